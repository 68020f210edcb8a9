//! A network that needs no training: its three labels are the colours, its answer follows the picture's mean.

use std::path::PathBuf;
use std::sync::OnceLock;

use livelabel::onnx::build::{LOGITS, PROBABILITIES};
use livelabel::onnx::graph::{GraphBuilder, Precision, Weight};
use livelabel::onnx::proto::ModelProto;
use prost::Message;

/// Its file, made once for all tests.
pub fn model() -> PathBuf {
    static FILE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FILE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("tiny.onnx"), proto().encode_to_vec()).expect("a file");
        folder
    });
    folder.path().join("tiny.onnx")
}

/// The network as a message, to be changed.
pub fn proto() -> ModelProto {
    let mut graph = GraphBuilder::new("tiny", Precision::Fp32);
    let input = graph.input("pixels", &[3, 32, 32]);
    let mean = graph.global_mean("mean", &input);
    // Rows are red, green, blue; columns are the input's blue, green, red.
    let weight =
        Weight { shape: vec![3, 3], values: [0., 0., 1., 0., 1., 0., 1., 0., 0.].map(|w: f32| w / 32.0).into() };
    let dense = graph.dense("dense", &mean, &weight, &Weight { shape: vec![3], values: vec![0.0; 3] });
    let logits = graph.float_copy(LOGITS, &dense);
    graph.softmax(PROBABILITIES, &logits);
    graph.output(PROBABILITIES, &[3]);
    graph.output(LOGITS, &[3]);
    graph.finish(&metadata())
}

pub fn metadata() -> Vec<(String, String)> {
    [
        ("livelabel.version", "1"),
        ("labels", "[\"red\", \"green\", \"blue\"]"),
        ("input.size", "32"),
        ("input.layout", "NCHW"),
        ("input.channels", "BGR"),
        ("input.mean", "[103.939, 116.779, 123.68]"),
        ("input.scale", "1.0"),
        ("window", "128"),
        ("threshold", "0.0"),
        ("precision", "fp32"),
        ("backbone", "none"),
        ("trained_on", "nothing"),
        ("metrics", "none"),
    ]
    .map(|(key, value)| (key.to_string(), value.to_string()))
    .into()
}
