//! Several inputs: they are independent streams.

use std::io::Write;
use std::process::Stdio;

use crate::footage::{colours, small};
use crate::program::{Finished, Program, probe, text};
use crate::tiny;

#[test]
fn a_bad_input_does_not_stop_the_others() {
    let program = Program::new();
    let folder = program.folder.path();
    let clips = [small(folder, "one.mp4", 10), small(folder, "two.mkv", 20), small(folder, "three.mp4", 30)];
    std::fs::write(program.path("bad.mp4"), "no video").unwrap();
    let model = tiny::model();
    let mut arguments = vec!["run", "bad.mp4", "missing.mp4"];
    arguments.extend(clips.iter().map(|clip| text(clip)));
    arguments.extend(["--model", text(&model), "--output-dir", "out", "--jobs", "3"]);
    let finished = program.start(&arguments);
    assert_eq!(finished.code, 2, "{}", finished.stderr);
    let errors: Vec<&str> = finished.stderr.lines().filter(|line| line.contains("error: ")).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    for (name, frames) in [("one", 10), ("two", 20), ("three", 30)] {
        assert_eq!(probe(&program.path(&format!("out/{name}.labelled.avi"))).frames, frames);
        let timeline = program.json(&format!("out/{name}.timeline.json"));
        assert_eq!((&timeline["frames"]["decoded"], &timeline["complete"]), (&frames.into(), &true.into()));
    }
    for line in ["one.mp4: ", "two.mkv: ", "three.mp4: ", "5 clips: 3 done, 2 failed ("] {
        assert_eq!(finished.stdout.lines().filter(|found| found.starts_with(line)).count(), 1, "{}", finished.stdout);
    }
}

/// Creates two clips of the same name, one with red and one with green and blue.
fn folder_of_clips(program: &Program) {
    for (folder, shown) in [("a", &["red"][..]), ("b", &["green", "blue"])] {
        let folder = program.path("clips").join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        colours(&folder, "one.mp4", shown, &[]);
    }
    std::fs::write(program.path("clips/notes.txt"), "").unwrap();
}

/// Checks the lines that end a run of [`folder_of_clips`].
fn check_findings(program: &Program, finished: &Finished) {
    let peak = |name: &str, interval: usize| {
        let timeline = program.json(&format!("out/{name}.timeline.json"));
        format!("{:.0} %", 100.0 * timeline["intervals"][interval]["peak"].as_f64().unwrap())
    };
    let mut lines: Vec<&str> = finished.stdout.lines().collect();
    lines[..2].sort_unstable();
    let (green, blue) = (peak("one-2", 0), peak("one-2", 1));
    let expected = [
        format!("one-2.mp4 (clips/b/one.mp4): green 0:00–0:01 ({green}); blue 0:01–0:02 ({blue})"),
        format!("one.mp4: red 0:00–0:01 ({})", peak("one", 0)),
        "2 clips: 2 done".into(),
        "  red    1 interval in 1 clip, 0:01 in all".into(),
        "  green  1 interval in 1 clip, 0:01 in all".into(),
        "  blue   1 interval in 1 clip, 0:01 in all".into(),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_folder_is_its_clips_and_the_end_says_what_was_found() {
    let program = Program::new();
    folder_of_clips(&program);
    let model = tiny::model();
    let options = ["--model", text(&model), "--only", "timeline", "--window", "1", "--output-dir", "out"];
    let finished = program.start(&[&["run", "clips"], &options[..]].concat()).succeeded();
    assert!(finished.stderr.contains("clips: clips/notes.txt is no video and is skipped"), "{}", finished.stderr);
    check_findings(&program, &finished);

    // The same clips as a list on stdin.
    let mut child = program
        .command(&[&["run", "-", "--force"], &options[..]].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"clips/a/one.mp4\n\nclips/b/one.mp4\n").unwrap();
    check_findings(&program, &Finished::from(child.wait_with_output().unwrap()).succeeded());

    std::fs::create_dir(program.path("empty")).unwrap();
    let refused = program.start(&[&["run", "empty"], &options[..]].concat());
    assert!(refused.refusal(2).contains("empty: has no video"));
    let refused = program.start(&[&["run", "-"], &options[..]].concat());
    assert!(refused.refusal(2).contains("stdin: names no input"));
}

#[test]
fn with_several_inputs_the_output_is_a_folder() {
    let program = Program::new();
    let folder = program.folder.path();
    std::fs::create_dir_all(folder.join("a")).unwrap();
    std::fs::create_dir_all(folder.join("b")).unwrap();
    let clips = [small(&folder.join("a"), "same.mp4", 5), small(&folder.join("b"), "same.mp4", 6)];
    let model = tiny::model();
    let arguments =
        ["run", text(&clips[0]), text(&clips[1]), "--model", text(&model), "--output", "videos", "--only", "video"];
    program.start(&arguments).succeeded();
    assert_eq!(probe(&program.path("videos/same.labelled.avi")).frames, 5);
    assert_eq!(probe(&program.path("videos/same-2.labelled.avi")).frames, 6);
}

#[test]
fn quiet_prints_nothing_and_the_json_log_is_json() {
    let program = Program::new();
    let clip = small(program.folder.path(), "clip.mp4", 5);
    let finished = program.run(&clip, &["--quiet"]).succeeded();
    assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("", ""));
    let finished = program.run(&clip, &["--log-format", "json"]);
    assert_eq!(finished.code, 2);
    let line: serde_json::Value = serde_json::from_str(finished.stderr.trim()).unwrap();
    assert_eq!(line["level"], "ERROR");
    assert!(line["fields"]["message"].as_str().unwrap().contains("exists already"));
}
