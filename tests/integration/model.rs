//! Model files: the network computes what it should.

use std::path::Path;
use std::process::Command;

use livelabel::inference::device::{Device, DeviceSelection};
use livelabel::inference::model::Model;
use livelabel::inference::preprocess::Preprocessor;
use livelabel::inference::session::{Session, SessionOptions};
use livelabel::onnx::weights::Weights;
use livelabel::picture::file::read_picture;
use ndarray::Array3;
use serde_json::Value;

use crate::footage::{fetched, project};
use crate::program::{Program, skipped, text};
use crate::tiny::random_head;

const PHOTOGRAPHS: [(&str, &str, usize); 5] = [
    ("chelsea.png", "cat", 1),
    ("coffee.png", "espresso", 1),
    ("orange.jpg", "orange", 1),
    ("baboon.jpg", "baboon", 1),
    ("butterfly.jpg", "monarch", 3),
];

fn build(program: &Program, head: &str, output: &str, more: &[&str]) {
    let backbone = fetched("resnet50");
    let arguments = ["model", "build", "--backbone", text(&backbone), "--head", head, "--output", output];
    program.start(&[&arguments[..], more].concat()).succeeded();
}

/// Computes the logits of every tensor with TensorFlow.js from the published files.
fn reference(program: &Program, tensors: &[Array3<f32>]) -> Vec<Vec<f64>> {
    let channels_last: Vec<u8> = tensors
        .iter()
        .flat_map(|tensor| tensor.view().permuted_axes([1, 2, 0]).iter().copied().collect::<Vec<_>>())
        .flat_map(f32::to_le_bytes)
        .collect();
    let file = program.path("tensors.f32");
    std::fs::write(&file, channels_last).unwrap();
    let output = Command::new("node")
        .arg(project().join("scripts/reference/logits.cjs"))
        .args([&fetched("resnet50"), &file])
        .arg(tensors.len().to_string())
        .env("NODE_PATH", fetched("reference/node_modules"))
        .output()
        .expect("node starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn with_the_original_top_it_equals_the_published_network() {
    let program = Program::new();
    build(&program, "imagenet", "imagenet.onnx", &[]);
    let model = Model::read(&program.path("imagenet.onnx")).unwrap();
    let mut session = Session::load(&model, SessionOptions::of(DeviceSelection::Exactly(Device::Cpu), 1)).unwrap();
    let mut preprocessor = Preprocessor::new(&model.input);
    let tensors: Vec<Array3<f32>> = PHOTOGRAPHS
        .iter()
        .map(|(name, _, _)| {
            let mut tensor = model.input.tensor();
            let picture = read_picture(&fetched("footage").join(name)).unwrap();
            preprocessor.prepare(&picture.view(), tensor.view_mut()).unwrap();
            tensor
        })
        .collect();
    let expected = reference(&program, &tensors);
    for (((name, class, rank), tensor), expected) in PHOTOGRAPHS.iter().zip(&tensors).zip(expected) {
        let logits = session.logits(tensor.view()).unwrap();
        assert_eq!(logits.len(), 1000);
        let furthest = logits.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
        assert!(furthest < 1e-3, "{name}: logits are off by {furthest}");
        let mut order: Vec<usize> = (0..1000).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        let best: Vec<&String> = order[..*rank].iter().map(|&i| &model.labels[i]).collect();
        assert!(best.iter().any(|label| label.contains(class)), "{name} is seen as {best:?}");
    }
}

#[test]
fn half_precision_keeps_the_predictions() {
    let program = Program::new();
    let head = random_head(&program);
    build(&program, text(&head), "half.onnx", &["--precision", "fp16"]);
    build(&program, text(&head), "full.onnx", &[]);
    let full = program.path("full.onnx");
    let size = |path: &Path| std::fs::metadata(path).unwrap().len() as f64;
    let ratio = size(&program.path("half.onnx")) / size(&full);
    assert!((0.49..0.52).contains(&ratio), "{ratio}");
    let pictures = ["chelsea.png", "coffee.png"].map(|name| fetched("footage").join(name));
    let verify = |model: &str| -> Value {
        let arguments = ["model", "verify", model, "--json", "--pictures", text(&pictures[0]), text(&pictures[1])];
        serde_json::from_str(&program.start(&arguments).succeeded().stdout).unwrap()
    };
    let (half, full) = (verify("half.onnx"), verify(text(&full)));
    assert_eq!(half["model"]["precision"], "fp16");
    for picture in [0, 1] {
        for class in [0, 1, 2] {
            let p = |model: &Value| model["pictures"][picture]["probabilities"][class].as_f64().unwrap();
            assert!((p(&half) - p(&full)).abs() < 0.01, "{} {}", p(&half), p(&full));
        }
    }
}

#[test]
fn weights_in_safetensors_give_the_same_file() {
    let program = Program::new();
    let weights = Weights::read(&fetched("resnet50")).unwrap();
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = weights
        .iter()
        .map(|(name, w)| (name.to_string(), w.shape.clone(), w.values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap();
        (name.clone(), view)
    });
    let metadata = std::collections::HashMap::from([("epsilon".to_string(), "0.001".to_string())]);
    let file = program.path("backbone.safetensors");
    safetensors::serialize_to_file(views, Some(metadata), &file).unwrap();
    let head = random_head(&program);
    let arguments = ["--backbone", text(&file), "--head", text(&head), "--output", "m.onnx"];
    program.start(&[&["model", "build"], &arguments[..]].concat()).succeeded();
    build(&program, text(&head), "n.onnx", &[]);
    assert!(std::fs::read(program.path("m.onnx")).unwrap() == std::fs::read(program.path("n.onnx")).unwrap());
}

#[test]
fn show_prints_the_files_metadata() {
    let program = Program::new();
    let shown: Value = serde_json::from_str(&program.start(&["model", "show", "--json"]).succeeded().stdout).unwrap();
    assert_eq!(shown["labels"], serde_json::json!(["cooking", "drinking", "other"]));
    assert_eq!(shown["input"]["channels"], "BGR");
    assert_eq!((&shown["window"], &shown["precision"]), (&"1.2s".into(), &"int8".into()));
    let text = program.start(&["model", "show"]).succeeded().stdout;
    assert!(text.contains("cooking, drinking, other") && text.contains("keras-resnet50-imagenet"), "{text}");
}

#[test]
fn devices_shows_what_auto_selects() {
    let program = Program::new();
    let report: Value = serde_json::from_str(&program.start(&["devices", "--json"]).succeeded().stdout).unwrap();
    let devices = report["devices"].as_array().unwrap();
    let cpu = devices.iter().find(|device| device["device"] == "cpu").unwrap();
    assert_eq!(cpu["usable"], true);
    assert!(devices.iter().all(|device| !device["reason"].as_str().unwrap().is_empty()));
    let auto = report["auto"].as_str().unwrap();
    assert!(devices.iter().any(|device| device["device"] == auto && device["usable"] == true), "{report}");
}

#[test]
fn a_missing_device_is_never_replaced_silently() {
    let program = Program::new();
    let report: Value = serde_json::from_str(&program.start(&["devices", "--json"]).succeeded().stdout).unwrap();
    if report["devices"][0]["usable"] == true {
        skipped("this machine has a GPU");
        return;
    }
    let clip = crate::footage::small(program.folder.path(), "clip.mp4", 3);
    let finished = program.run(&clip, &["--device", "cuda"]);
    let line = finished.refusal(1);
    assert!(line.contains("device cuda cannot run") && line.contains("livelabel devices"), "{line}");
    assert!(!program.path("clip.timeline.json").exists());
}
