//! Unusual files: endless, without frames, without labels of their own.

use std::process::Command;

use prost::Message;

use crate::footage::small;
use crate::program::{Program, text};
use crate::tiny;

#[test]
fn a_device_or_a_pipe_for_a_small_file_is_refused_at_once() {
    let program = Program::new();
    let clip = small(program.folder.path(), "in.mp4", 3);
    let model = tiny::model();
    assert!(Command::new("mkfifo").arg(program.path("pipe")).status().unwrap().success());
    let run = ["run", text(&clip)];
    for (arguments, expected) in [
        (vec!["--model", "/dev/zero"], "not a regular file"),
        (vec!["--model", "pipe"], "not a regular file"),
        (
            vec!["--model", text(&model), "--web", "127.0.0.1:0", "--web-token-file", "/dev/zero"],
            "more than 4096 bytes",
        ),
        (
            vec!["--model", text(&model), "--mqtt", "mqtt://127.0.0.1", "--mqtt-password-file", "/dev/zero"],
            "more than 4096 bytes",
        ),
    ] {
        let line = program.start(&[&run[..], &arguments].concat()).refusal(2).to_string();
        assert!(line.contains(expected), "{line}");
    }
    std::os::unix::fs::symlink("/dev/zero", program.path("endless.toml")).unwrap();
    let line = program.start(&["run", text(&clip), "--pipeline", "endless.toml"]).refusal(2).to_string();
    assert!(line.contains("endless.toml: cannot be read") && line.contains("bytes"), "{line}");
}

#[test]
fn a_clip_without_frames_is_an_error() {
    let program = Program::new();
    let whole = program.path("whole.ogv");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=2", "-c:v", "libtheora"])
        .arg(&whole)
        .status();
    assert!(made.unwrap().success());
    // Only Theora's headers.
    let bytes = std::fs::read(&whole).unwrap();
    let second_page = bytes.windows(4).enumerate().filter(|(_, four)| four == b"OggS").map(|(at, _)| at).nth(2);
    let cut = program.path("cut.ogv");
    std::fs::write(&cut, &bytes[..second_page.unwrap()]).unwrap();
    let finished = program.run(&cut, &["--output", "out.mkv"]);
    assert!(matches!(finished.code, 1 | 2), "{} {}", finished.stdout, finished.stderr);
    let line = finished.refusal(finished.code).to_string();
    assert!(line.contains("cut.ogv"), "{line}");
    assert!(!program.path("out.mkv").exists());
}

#[test]
fn two_labels_never_share_a_key() {
    let program = Program::new();
    let clip = small(program.folder.path(), "in.mp4", 3);
    let mut proto = tiny::proto();
    let labels = proto.metadata_props.iter_mut().find(|entry| entry.key == "labels").unwrap();
    labels.value = r#"["frames", "label:frames", "blue"]"#.into();
    let model = program.path("labels.onnx");
    std::fs::write(&model, proto.encode_to_vec()).unwrap();
    program.start(&["run", text(&clip), "--model", text(&model)]).succeeded();
    let timeline = program.json("in.timeline.json");
    assert!(timeline["frames"]["decoded"].is_u64(), "{timeline}");
    assert!(timeline["label:frames"].is_array() && timeline["label:label:frames"].is_array(), "{timeline}");
}
