//! `livelabel model import`: imported classifiers give the same predictions as before.

use std::process::Command;

use serde_json::Value;

use crate::footage::{bikes, project};
use crate::program::{Finished, Program, text};

/// Mean and scale of `tests/classifiers/make.py`, in RGB and in BGR order.
const RGB: [&str; 4] = ["--mean", "123.7,116.3,103.5", "--scale", "0.0171,0.0175,0.0174"];
const BGR: [&str; 6] = ["--mean", "103.5,116.3,123.7", "--scale", "0.0174,0.0175,0.0171", "--channels", "bgr"];

/// Creates the classifiers, their picture, and a file of four labels.
fn classifiers() -> Program {
    let program = Program::new();
    let made = Command::new("python3")
        .arg(project().join("tests/classifiers/make.py"))
        .arg(program.folder.path())
        .output()
        .expect("python3 starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::write(program.path("labels.txt"), "reading\nwriting\ncooking\nother\n").unwrap();
    program
}

fn import(program: &Program, file: &str, more: &[&str]) -> Finished {
    program.start(&[&["model", "import", file, "--labels", "labels.txt", "--output", "own.onnx"], more].concat())
}

/// Compares the imported model's predictions for the picture with the classifier's.
fn assert_same_predictions(program: &Program, expected: &str) {
    let seen = program.start(&["model", "verify", "own.onnx", "--pictures", "picture.bmp", "--json"]).succeeded();
    let seen: Value = serde_json::from_str(&seen.stdout).unwrap();
    let found = seen["pictures"][0]["probabilities"].as_array().unwrap();
    let expected = program.json(expected);
    assert_eq!(found.len(), 4);
    for (found, expected) in found.iter().zip(expected.as_array().unwrap()) {
        let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
        assert!((found - expected).abs() < 0.02, "{seen} for {expected}");
    }
}

#[test]
fn a_channels_last_network_without_softmax_is_imported() {
    let program = classifiers();
    // The network accepts any size, so --size is required.
    let line = import(&program, "mobile.onnx", &RGB).refusal(2).to_string();
    assert!(line.contains("mobile.onnx") && line.contains("--size"), "{line}");
    assert!(!program.path("own.onnx").exists());
    let shown = import(&program, "mobile.onnx", &[&RGB[..], &["--size", "64", "--pictures", "picture.bmp"]].concat());
    let shown = shown.succeeded().stdout;
    assert!(shown.contains("picture.bmp: reading") && shown.contains("imported from mobile.onnx"), "{shown}");
    assert_same_predictions(&program, "mobile.json");
    let clip = bikes();
    program.start(&["run", text(&clip), "--model", "own.onnx", "--only", "timeline", "--window", "5"]).succeeded();
    let timeline = program.json("bikes.timeline.json");
    assert_eq!(timeline["model"]["labels"], serde_json::json!(["reading", "writing", "cooking", "other"]));
    let frames = &timeline["frames"];
    assert!(frames["analysed"].as_u64() > Some(0) && frames["dropped"] == serde_json::json!({}), "{frames}");
}

#[test]
fn a_transformer_with_batch_size_one_and_softmax_is_imported() {
    let program = classifiers();
    let shown = import(&program, "vision.onnx", &BGR).succeeded().stdout;
    assert!(shown.contains("64x64 Bgr"), "{shown}");
    assert_same_predictions(&program, "vision.json");
    // Runs with a larger batch than the network supports.
    program.start(&["run", text(&bikes()), "--model", "own.onnx", "--only", "timeline", "--batch", "4"]).succeeded();
    assert_eq!(program.json("bikes.timeline.json")["complete"], true);
}

#[test]
fn a_half_precision_network_with_a_fixed_batch_is_imported() {
    let program = classifiers();
    import(&program, "half.onnx", &RGB).succeeded();
    assert_same_predictions(&program, "half.json");
    assert!(import(&program, "half.onnx", &RGB).refusal(2).contains("own.onnx: exists already"));
    import(&program, "half.onnx", &[&RGB[..], &["--force"]].concat()).succeeded();
}

#[test]
fn an_unsuitable_file_is_refused_in_one_line_and_nothing_is_written() {
    let program = classifiers();
    std::fs::write(program.path("cut.onnx"), &std::fs::read(program.path("vision.onnx")).unwrap()[..5000]).unwrap();
    std::fs::write(program.path("two.txt"), "reading\nwriting\n").unwrap();
    std::fs::write(program.path("twice.txt"), "a\nb\na\nc\n").unwrap();
    for (file, more, expected) in [
        ("cut.onnx", &RGB[..], "not an ONNX file"),
        ("picture.bmp", &RGB[..], "not an ONNX file"),
        ("absent.onnx", &RGB[..], "cannot be read"),
        ("vision.onnx", &["--labels", "two.txt"], "[1, 4], but there are 2 labels"),
        ("vision.onnx", &["--labels", "twice.txt"], "\"a\" twice"),
        ("vision.onnx", &["--mean", "1,2"], "--mean has 2 numbers"),
        ("vision.onnx", &["--size", "224"], "takes pictures of 64x64"),
        ("vision.onnx", &["--layout", "nhwc"], "not that of a square colour picture"),
        ("vision.onnx", &["--output-name", "logits"], "has no output logits; use one of probs"),
        ("half.onnx", &["--softmax", "none"], "is not a probability"),
    ] {
        let given = ["model", "import", file, "--output", "own.onnx"];
        let labels = if more.contains(&"--labels") { vec![] } else { vec!["--labels", "labels.txt"] };
        let refused = program.start(&[&given[..], &labels, more].concat());
        let line = refused.refusal(2);
        assert!(line.contains(expected), "{line}");
        assert!(!line.contains(program.folder.path().to_str().unwrap()), "{line}");
    }
    let left: Vec<_> = std::fs::read_dir(program.folder.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert!(!left.iter().any(|name| name == "own.onnx" || name.to_string_lossy().starts_with('.')), "{left:?}");
}
