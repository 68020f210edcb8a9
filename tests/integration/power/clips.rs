//! A folder of clips, labelled with `--resume`.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::footage::colours;
use crate::power::disk::{Cut, Disk, Tree};
use crate::power::log::Log;
use crate::power::{Report, Run, root, try_cuts, try_moments};
use crate::program::{Program, probe, text};
use crate::tiny;

const CLIPS: usize = 5;

pub fn test(count: u64) {
    let run = record();
    let disk = Disk::new(&run.log);
    let end = Tree::read(&root(&run.program));
    disk.whole().assert_same(&end);
    let clips = run.program.path("clips");
    try_moments("clips", &disk, 40 * count, |tree, cut, report| check(&disk, &end, tree, cut, report));
    try_cuts("clips", &disk, &disk.cuts(count), |program, tree, cut, report| {
        check(&disk, &end, tree, cut, report);
        resume(program, &clips, &end, tree, report);
    });
}

fn arguments(clips: &Path) -> Vec<String> {
    let model = tiny::model();
    let given = "--resume --window 1 --output-dir out --csv out/all.csv --overview out/all.html --model";
    ["run", text(clips)].into_iter().chain(given.split_whitespace()).chain([text(&model)]).map(String::from).collect()
}

fn record() -> Run {
    let program = Program::new();
    let clips = program.path("clips");
    fs::create_dir(&clips).unwrap();
    (0..CLIPS).for_each(|number| drop(colours(&clips, &format!("{number}.mp4"), &["red", "blue"], &[])));
    let given = arguments(&clips);
    let mut command = program.command(&given.iter().map(String::as_str).collect::<Vec<_>>());
    let (root, log) = (root(&program), program.path("log"));
    Log::record(&mut command, &root, &log);
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
    let log = Log::read(&log, &root);
    Run { program, log }
}

fn timeline(bytes: Option<&[u8]>) -> Option<Value> {
    serde_json::from_slice(bytes?).ok()
}

fn check(disk: &Disk, end: &Tree, tree: &Tree, cut: Cut, report: &mut Report) {
    for number in 0..CLIPS {
        let of = |ending: &str| format!("{number}.{ending}");
        // The timeline says that all is there.
        if tree.bytes(of("timeline.json")).is_some() {
            report.count("completed clips", 1);
            for file in ["timeline.json", "labelled.avi", "plot.png", "vtt"].map(of) {
                report.check(tree.bytes(&file) == end.bytes(&file), || format!("{file} is not whole"));
            }
        }
    }
    if disk.time(cut) == u64::MAX {
        for (name, bytes) in end.ending("") {
            report.check(tree.bytes(name) == Some(bytes), || format!("{name} is lost after the end"));
        }
    }
}

fn resume(program: &Program, clips: &Path, end: &Tree, tree: &Tree, report: &mut Report) {
    let given = arguments(clips);
    let finished = program.start(&given.iter().map(String::as_str).collect::<Vec<_>>());
    report.check(finished.code == 0, || format!("{}: {}{}", finished.code, finished.stdout, finished.stderr));
    let made = Tree::read(&root(program));
    for number in 0..CLIPS {
        let of = |ending: &str| format!("{number}.{ending}");
        let intervals = |tree: &Tree| timeline(tree.bytes(of("timeline.json"))).map(|found| found["intervals"].clone());
        report.check(intervals(&made) == intervals(end), || format!("{number}: {:?}", intervals(&made)));
        let video = program.path("out").join(of("labelled.avi"));
        let same = made.bytes(of("labelled.avi")) == end.bytes(of("labelled.avi"));
        report.check(same || probe(&video).frames == 50, || format!("{}: {:?}", video.display(), probe(&video)));
        // What the cut left of a clip that was begun is reported.
        let was_complete = tree.bytes(of("timeline.json")).is_some();
        let was_begun = !was_complete && tree.bytes(of("timeline.jsonl")).is_some();
        let said = format!("{number}.mp4: the last run did not complete it");
        report.count("begun clips reported", usize::from(was_begun));
        report.check(finished.stderr.contains(&said) == was_begun, || format!("{number}: {}", finished.stderr));
        // Beside a complete timeline, which holds all of it, a journal may have come back.
        let is_left = made.bytes(of("timeline.jsonl")).is_some();
        report.check(!is_left || was_complete, || format!("{number}: its journal is left"));
    }
    let rows = made.bytes("all.csv").map(|bytes| bytes.iter().filter(|&&byte| byte == b'\n').count());
    let expected = end.bytes("all.csv").map(|bytes| bytes.iter().filter(|&&byte| byte == b'\n').count());
    report.check(rows == expected, || format!("{rows:?} rows"));
}
