//! Model files and weights.

use prost::bytes::Bytes;

use crate::fuzz::files::{Scratch, split};
use crate::inference::model::Model;
use crate::labels::window::SmoothingWindow;
use crate::onnx::cut::Cut;
use crate::onnx::graph::value_count;
use crate::onnx::head::Head;
use crate::onnx::import::{Description, Softmax, import};
use crate::onnx::raw::{fields, message};
use crate::onnx::weights::Weights;

/// An ONNX file: as a model, as one to adapt, and as another program's.
pub fn model(bytes: &[u8]) {
    let file = Bytes::copy_from_slice(bytes);
    if let Some(all) = fields(&file) {
        assert_eq!(message(&all), file, "fields are kept as they are");
    }
    let labels: Vec<String> = ["cooking", "drinking"].map(String::from).into();
    if let Ok(cut) = Cut::of(file.clone(), &labels, "fuzz.onnx") {
        assert_eq!(cut.backbone_sha256().len(), 64);
        assert!(fields(&cut.backbone_file()).is_some());
    }
    let description = Description {
        labels,
        mean: [0.0; 3],
        scale: [1.0; 3],
        channels: "RGB",
        size: Some(64),
        layout: None,
        output: None,
        softmax: Softmax::Auto,
        window: SmoothingWindow::Predictions(1),
        threshold: 0.5,
        hysteresis: 0.1,
        origin: "fuzz.onnx".into(),
    };
    let imported = import(file.clone(), &description).ok();
    Scratch::with(|scratch| {
        for file in [Some(file), imported].into_iter().flatten() {
            let Ok(model) = Model::read(&scratch.file("fuzz.onnx", &file)) else { continue };
            assert!(model.labels.len() == model.width && model.width > 0);
            assert!((0.0..=1.0).contains(&model.threshold) && (0.0..=1.0).contains(&model.hysteresis));
            assert!(model.input.shape().iter().all(|side| (1..=2048).contains(side)));
        }
    });
}

/// Weights and heads: a safetensors file, or a TensorFlow.js manifest, a zero byte and its shard.
pub fn weights(bytes: &[u8]) {
    Scratch::with(|scratch| {
        let path = scratch.file("fuzz.safetensors", bytes);
        if let Ok(head) = Head::read(&path) {
            assert!(!head.labels.is_empty());
        }
        let (manifest, shard) = split(bytes, 0);
        scratch.file("shard", shard);
        for path in [path, scratch.file("model.json", manifest)] {
            let Ok(weights) = Weights::read(&path) else { continue };
            for (name, weight) in weights.iter() {
                assert_eq!(value_count(&weight.shape), Some(weight.values.len()), "{name}");
            }
        }
    });
}
