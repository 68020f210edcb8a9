//! Several inputs: they are independent streams.

use crate::footage::small;
use crate::program::{Program, probe, text};
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
        assert_eq!((&timeline["frames"]["analysed"], &timeline["complete"]), (&frames.into(), &true.into()));
    }
    assert_eq!(finished.stdout.matches("frames decoded").count(), 3);
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
