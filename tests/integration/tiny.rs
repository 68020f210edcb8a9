//! A tiny model without training: its three labels are colours, and its output depends on the picture's mean.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use livelabel::onnx::build::{LOGITS, PROBABILITIES};
use livelabel::onnx::graph::{GraphBuilder, Weight, WeightPrecision};
use livelabel::onnx::proto::ModelProto;
use prost::Message;

use crate::program::Program;

/// Returns the model file, created once for all tests.
pub fn model() -> PathBuf {
    static FILE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FILE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("tiny.onnx"), proto().encode_to_vec()).expect("a file");
        folder
    });
    folder.path().join("tiny.onnx")
}

/// Creates a head file with the shipped model's labels and fixed random weights.
pub fn random_head(program: &Program) -> PathBuf {
    let shapes = [
        ("dense1.weight", vec![512, 2048]),
        ("dense1.bias", vec![512]),
        ("dense2.weight", vec![3, 512]),
        ("dense2.bias", vec![3]),
    ];
    let mut random = 1u32;
    let tensors = shapes.map(|(name, shape)| {
        let values = (0..shape.iter().product::<usize>()).flat_map(|_| {
            // A linear congruential generator (Numerical Recipes' constants), from -0.05 to 0.05.
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((random >> 8) as f32 / (1 << 24) as f32 * 0.1 - 0.05).to_le_bytes()
        });
        (name, shape, values.collect::<Vec<u8>>())
    });
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (*name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).expect("a tensor"))
    });
    let labels = r#"["cooking", "drinking", "other"]"#;
    let metadata = std::collections::HashMap::from([("labels".to_string(), labels.to_string())]);
    let path = program.path("random.safetensors");
    safetensors::serialize_to_file(views, Some(metadata), &path).expect("a file");
    path
}

/// Returns the model as a protobuf message.
pub fn proto() -> ModelProto {
    let mut graph = GraphBuilder::new("tiny", WeightPrecision::Fp32);
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

/// Writes the model with other values of its metadata.
pub fn write(path: &Path, values: &[(&str, &str)]) {
    let mut proto = proto();
    for (key, value) in values {
        proto.metadata_props.iter_mut().find(|entry| entry.key == *key).expect("the key").value = (*value).into();
    }
    std::fs::write(path, proto.encode_to_vec()).expect("a file");
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
