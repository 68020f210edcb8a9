//! Stopping: Ctrl-C finalises every file, a second one exits immediately, and a kill leaves the journal.

use std::io::{BufRead, BufReader, PipeReader, Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};

use crate::footage::bikes;
use crate::program::{Finished, Program, decodes_cleanly, probe, text, wait_for_size};
use crate::tiny;

/// Starts a run with the shipped model, which is slow enough to interrupt, and waits until it has labelled some frames.
fn running(program: &Program) -> Child {
    running_into(program, Stdio::piped())
}

fn running_into(program: &Program, stdout: Stdio) -> Child {
    let clip = bikes();
    // Without progress lines, only the end writes to the log.
    let child = program
        .command(&["run", text(&clip), "--batch", "2", "--window", "8", "--csv", "all.csv", "--overview", "all.html"])
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let journal = program.path("bikes.timeline.jsonl");
    let began = Instant::now();
    while std::fs::read_to_string(&journal).unwrap_or_default().lines().count() < 12 {
        assert!(began.elapsed() < Duration::from_secs(60), "no frame is labelled");
        std::thread::sleep(Duration::from_millis(50));
    }
    child
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
}

#[test]
fn an_interrupt_finalises_the_files_and_is_logged() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let program = Program::new();
        let child = running(&program);
        signal(&child, name);
        let finished = Finished::from(child.wait_with_output().unwrap());
        assert_eq!(finished.code, code, "{}", finished.stderr);
        assert!(finished.stderr.contains("stopping: closing the files"), "{}", finished.stderr);
        assert!(finished.stdout.contains("every file is complete up to that point"), "{}", finished.stdout);
        let made = probe(&program.path("bikes.labelled.avi"));
        assert!((11..250).contains(&made.frames), "{}", made.frames);
        decodes_cleanly(&program.path("bikes.labelled.avi"));
        let timeline = program.json("bikes.timeline.json");
        assert_eq!((&timeline["complete"], &timeline["frames"]["decoded"]), (&false.into(), &made.frames.into()));
        assert!(program.path("bikes.vtt").exists() && program.path("bikes.plot.png").exists());
        assert!(!program.path("bikes.timeline.jsonl").exists());
        let intervals = timeline["intervals"].as_array().unwrap().len();
        let table = std::fs::read_to_string(program.path("all.csv")).unwrap();
        assert_eq!(table.lines().count(), 1 + intervals, "{table}");
        let page = std::fs::read_to_string(program.path("all.html")).unwrap();
        assert!(page.contains("<p class=stopped>Stopped before its end</p>"), "{page}");
    }
}

#[test]
fn two_simultaneous_signals_count_as_one() {
    let program = Program::new();
    let child = running(&program);
    // As `timeout` does, which signals its child and then the group. The kernel may merge signals of the same kind.
    for name in ["STOP", "INT", "TERM", "CONT"] {
        signal(&child, name);
    }
    let finished = Finished::from(child.wait_with_output().unwrap());
    assert!([130, 143].contains(&finished.code), "{}", finished.code);
    assert!(finished.stdout.contains("every file is complete up to that point"), "{}", finished.stdout);
    decodes_cleanly(&program.path("bikes.labelled.avi"));
}

#[test]
fn a_second_interrupt_exits_immediately() {
    let program = Program::new();
    // The pipe is full, so after one interrupt the program would block on its summary.
    let (full, mut filler) = std::io::pipe().unwrap();
    let mut child = running_into(&program, filler.try_clone().unwrap().into());
    let filling = std::thread::spawn(move || while filler.write_all(&[0; 4096]).is_ok() {});
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    signal(&child, "INT");
    assert!(lines.any(|line| line.contains("signal again to exit at once")));
    std::thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().unwrap().is_none(), "it does not wait");
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    drop(full);
    filling.join().unwrap();
}

/// Starts a run with a camera and a log that takes nothing until the first 4096 bytes are read. Waits until it has recorded some frames.
fn with_full_log(program: &Program) -> (Child, PipeReader) {
    let (log, mut filler) = std::io::pipe().unwrap();
    fcntl(&filler, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    filler.write_all(&[b'x'; 4096]).unwrap();
    let model = tiny::model();
    let run = ["run", "test://?rate=20", "--model", text(&model), "--output", "out.mkv", "--status-interval", "1s"];
    let child = program.command(&run).stdout(Stdio::null()).stderr(filler).spawn().unwrap();
    wait_for_size(&program.path("out.mkv"), 100_000);
    (child, log)
}

#[test]
fn a_log_that_nobody_reads_neither_stops_a_camera_nor_its_end() {
    let program = Program::new();
    let (mut child, log) = with_full_log(&program);
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    decodes_cleanly(&program.path("out.mkv"));
    assert_eq!(std::io::read_to_string(log).unwrap(), "x".repeat(4096));
}

#[test]
fn a_log_that_is_read_again_says_what_was_lost() {
    let program = Program::new();
    let (mut child, mut log) = with_full_log(&program);
    // Its first line waits for two seconds, and there is one each second.
    std::thread::sleep(Duration::from_secs(10));
    log.read_exact(&mut [0; 4096]).unwrap();
    let mut lines = BufReader::new(log).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    let lost = first.strip_prefix("livelabel: warning: lost ").and_then(|rest| rest.split_once(" line"));
    assert!(lost.is_some_and(|(count, _)| count.parse::<u64>().is_ok_and(|count| count > 0)), "{first}");
    assert!(lines.next().unwrap().starts_with("livelabel: "));
    signal(&child, "TERM");
    assert!(lines.any(|line| line.contains("stopping: closing the files")));
    assert_eq!(lines.filter(|line| line.contains("of this log")).count(), 0);
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn a_kill_leaves_the_journal() {
    let program = Program::new();
    let mut child = running(&program);
    child.kill().unwrap();
    child.wait().unwrap();
    let journal = std::fs::read_to_string(program.path("bikes.timeline.jsonl")).unwrap();
    let whole: Vec<serde_json::Value> = journal.lines().map_while(|line| serde_json::from_str(line).ok()).collect();
    assert!(whole[0].get("start").is_some());
    assert!(whole.len() >= 11 && whole[1..].iter().all(|record| record.get("frame").is_some()), "{journal}");
    assert!(!program.path("bikes.timeline.json").exists());
}
