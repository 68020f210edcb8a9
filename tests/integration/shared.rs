//! Clips of people, from a folder beside the project. Without it these tests are skipped.

use std::path::PathBuf;

use crate::footage::project;
use crate::program::{Program, decodes_cleanly, probe, skipped, text};

/// Returns a clip of the folder `../shared/data/clips`; `None` if the folder is missing, with a note that the test is
/// skipped.
fn clip(name: &str) -> Option<PathBuf> {
    let path = project().join("../shared/data/clips").join(name);
    if !path.exists() {
        skipped(&format!("{name} is not beside the project"));
    }
    path.exists().then_some(path)
}

#[test]
fn a_man_drinking_is_labelled_drinking() {
    let Some(clip) = clip("drinking/msrda-a01s12.avi") else { return };
    let program = Program::new();
    program.start(&["run", text(&clip), "--action", "drinking", "--stride", "4"]).succeeded();
    let timeline = program.json("msrda-a01s12.timeline.json");
    assert!(timeline["drinking"].as_array().unwrap().len() > 300);
    let made = probe(&program.path("msrda-a01s12.labelled.avi"));
    assert_eq!((made.frames, made.width, made.height), (328, 640, 480));
    decodes_cleanly(&program.path("msrda-a01s12.labelled.avi"));
}

#[test]
fn chopping_is_labelled_cooking() {
    let Some(clip) = clip("cooking/drbbq-chopping-test.mp4") else { return };
    let program = Program::new();
    program.start(&["run", text(&clip), "--only", "timeline"]).succeeded();
    let timeline = program.json("drbbq-chopping-test.timeline.json");
    assert_eq!(timeline["frames"]["decoded"], 64);
    assert!(timeline["cooking"].as_array().unwrap().len() > 60);
}

#[test]
fn a_portrait_clip_stays_portrait() {
    let Some(clip) = clip("other/web-chamethyay-v1.mp4") else { return };
    let program = Program::new();
    program.run(&clip, &["--output", "out.mkv"]).succeeded();
    let (given, made) = (probe(&clip), probe(&program.path("out.mkv")));
    assert_eq!((made.width, made.height, made.frames), (720, 1280, given.frames));
}
