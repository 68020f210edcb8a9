//! `run --dry-run` says what a run would do, ends as the run would, and writes nothing; completions are printed.

use std::path::Path;

use crate::footage::small;
use crate::program::{Finished, Program, text};
use crate::tiny;

fn check(program: &Program, arguments: &[&str]) -> Finished {
    let model = tiny::model();
    program.start(&[&["run", "--dry-run", "--model", text(&model)], arguments].concat())
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn inputs_outputs_and_receivers_are_listed_and_nothing_is_written() {
    let program = Program::new();
    small(program.folder.path(), "clip.mp4", 5);
    let camera = "[[stream]]\ninput = \"test://?size=320x240\"\nname = \"door\"\nsegment = \"10m\"\n";
    std::fs::write(program.path("p.toml"), camera).unwrap();
    let arguments = ["--pipeline", "p.toml", "--output-dir", "out", "--events", "events.jsonl"];
    let finished = check(&program, &arguments).succeeded();
    let has = |line: &str| assert!(finished.stdout.lines().any(|found| found == line), "{line}\n{}", finished.stdout);
    has("input    door: 320x240, 25 frames/s");
    has("  writes out/door-*.timeline.jsonl, out/door-*.mkv in files of 10m, out/door-*.vtt");
    let takes = finished.stdout.lines().find_map(|line| line.strip_prefix("  takes  about ")).unwrap();
    assert!(takes.ends_with(" a day at the rate of the first seconds"), "{takes}");
    has("events   to events.jsonl");
    let finished = check(&program, &["test://?size=320x240", "--name", "door"]).succeeded();
    assert!(finished.stdout.contains("  writes door-*.timeline.jsonl, door-*.pictures.mjpg\n"), "{}", finished.stdout);
    let takes = finished.stdout.lines().find_map(|line| line.strip_prefix("  takes  at most ")).unwrap();
    assert!(takes.ends_with(" a day for 3000 pictures of intervals like the first frame"), "{takes}");

    let finished = check(&program, &["clip.mp4", "--only", "timeline,plot"]).succeeded();
    let input = finished.stdout.lines().find(|line| line.starts_with("input")).unwrap();
    assert!(input.starts_with("input    clip.mp4: 320x136, 25 frames/s, 0.2 s, decoded by avdec_h264"), "{input}");
    assert!(finished.stdout.contains("  writes clip.timeline.json, clip.plot.png\n"), "{}", finished.stdout);
    assert_eq!(files(program.folder.path()), ["clip.mp4", "p.toml"]);
}

#[test]
fn the_exit_code_is_that_of_the_run() {
    let program = Program::new();
    small(program.folder.path(), "clip.mp4", 5);
    let finished = check(&program, &["missing.mp4", "clip.mp4"]);
    assert!(finished.refusal(2).contains("missing.mp4"), "{}", finished.stderr);
    assert!(finished.stdout.contains("input    clip.mp4: "), "{}", finished.stdout);

    assert!(check(&program, &["clip.mp4", "--action", "driking"]).refusal(2).contains("no label"));
    assert!(check(&program, &["clip.mp4", "--output-dir", "clip.mp4/out"]).refusal(2).contains("cannot be written"));

    // A run would wait for its camera.
    let finished = check(&program, &["/dev/video97"]).succeeded();
    assert!(finished.stderr.contains("a run reconnects until it answers"), "{}", finished.stderr);
}

#[test]
fn completions_know_every_command() {
    let program = Program::new();
    let script = |shell: &str| program.start(&["completions", shell]).succeeded().stdout;
    for shell in ["bash", "zsh", "fish"] {
        let script = script(shell);
        assert!(script.contains("dry-run") && script.contains("devices"), "{shell}: {script}");
    }
}
