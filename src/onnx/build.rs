//! `livelabel model build`: writes a model file from weights and a head.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;
use serde_json::json;

use crate::error::{Error, Result};
use crate::onnx::graph::{GraphBuilder, WeightPrecision};
use crate::onnx::head::{Head, Pooling};
use crate::onnx::resnet::{self, GraphLayers, INPUT_SIZE, Stage};
use crate::onnx::weights::Weights;
use crate::system::replace::replace;

/// Version of the metadata's format, stored as `livelabel.version`.
pub const METADATA_VERSION: &str = "1";
/// Name of the input: BGR pixels minus [`MEAN`], `[batch, 3, 224, 224]`, float32.
pub const INPUT: &str = "pixels";
/// Name of the softmax output, `[batch, classes]`, float32.
pub const PROBABILITIES: &str = "probabilities";
/// Name of the output before the softmax, `[batch, classes]`, float32.
pub const LOGITS: &str = "logits";
/// Name of the output of [`frozen`], `[batch, …]`, float32.
pub const FROZEN: &str = "frozen";
/// Metadata key of the accuracy on parts of the test data; optional.
pub const SLICES: &str = "slices";
/// Metadata key of what recognises the files that the model learned from; optional.
pub const LEARNED_FROM: &str = "learned_from";
/// Name of the tensor of pooled features, `[batch, 2048]`, that the head follows.
pub const FEATURES: &str = "features";
/// Metadata keys of an adapted model: SHA-256 of the file that was first adapted, and of the file that this one was made
/// of; the number of corrections that it learned from.
pub const BASE: &str = "base";
pub const ADAPTED_FROM: &str = "adapted_from";
pub const CORRECTIONS: &str = "corrections";
/// ImageNet's mean in BGR order, as in Keras' `caffe` preprocessing.
pub const MEAN: [f32; 3] = [103.939, 116.779, 123.68];

/// The setting that finds most events in labelled clips with no more false alarms than the original's window of 128
/// frames (docs/training.md).
const DEFAULT_WINDOW: &str = "1.2s";
const DEFAULT_HYSTERESIS: &str = "0.15";
const DEFAULT_THRESHOLD: &str = "0.0";

/// Where the backbone is cut for training; the layers before are frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreezePoint {
    /// After pooling: 2048 features for each picture.
    Pooled(Pooling),
    /// Before a stage: a map of [`Stage::input`].
    Before(Stage),
}

impl FreezePoint {
    /// Returns the output shape of the frozen layers for each picture.
    pub fn shape(self) -> Vec<usize> {
        match self {
            FreezePoint::Pooled(_) => vec![resnet::FEATURES],
            FreezePoint::Before(stage) => stage.input().to_vec(),
        }
    }
}

/// Where the classifier comes from.
#[derive(Clone, Debug)]
pub enum HeadSource {
    /// A trained head.
    File(PathBuf),
    /// ImageNet's 1000 classes with the names in this file.
    ImageNet { labels: PathBuf },
}

/// Builds the model and writes it to a temporary file that is renamed to `output`, so that a reader never sees an
/// incomplete file.
///
/// # Errors
/// Input if weights or head do not match; unavailable if `output` cannot be written.
pub fn build(backbone: &Path, head: &HeadSource, precision: WeightPrecision, output: &Path) -> Result<()> {
    let weights = Weights::read(backbone)?;
    let head = match head {
        HeadSource::File(path) => Head::read(path)?,
        HeadSource::ImageNet { labels } => Head::imagenet(&weights, labels)?,
    };
    let model = assemble(&weights, &head, precision)?;
    let unwritable = |cause| {
        Error::unavailable(format!("{}: cannot be written", output.display()))
            .because(cause)
            .remedy("choose a writable folder with 110 MB of free space")
    };
    if let Some(folder) = output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(unwritable)?;
    }
    replace(output, &model).map_err(unwritable)
}

/// Builds the layers before `cut` as a separate model file, for [`crate::inference::model::Model::frozen`].
///
/// # Errors
/// Input if the weights do not match.
pub fn frozen(weights: &Weights, cut: FreezePoint) -> Result<Vec<u8>> {
    let mut graph = GraphBuilder::new("livelabel-frozen", WeightPrecision::Fp32);
    let input = graph.input(INPUT, &[3, INPUT_SIZE as i64, INPUT_SIZE as i64]);
    let mut layers = GraphLayers { graph: &mut graph, weights, trained: &HashMap::new() };
    let features = match cut {
        FreezePoint::Before(stage) => resnet::before(stage, &mut layers, &input)?,
        FreezePoint::Pooled(pooling) => {
            let map = resnet::backbone(&mut layers, &input)?;
            pooled(&mut graph, pooling, &map)
        }
    };
    graph.float_copy(FROZEN, &features);
    let shape: Vec<i64> = cut.shape().into_iter().map(|dim| dim as i64).collect();
    graph.output(FROZEN, &shape);
    Ok(graph.finish(&[]).encode_to_vec())
}

fn pooled(graph: &mut GraphBuilder, pooling: Pooling, map: &str) -> String {
    match pooling {
        Pooling::Mean => graph.global_mean(FEATURES, map),
        Pooling::Max => graph.global_max(FEATURES, map),
    }
}

fn assemble(weights: &Weights, head: &Head, precision: WeightPrecision) -> Result<Vec<u8>> {
    let size = INPUT_SIZE as i64;
    let classes = head.labels.len() as i64;
    let mut graph = GraphBuilder::new("livelabel", precision);
    let input = graph.input(INPUT, &[3, size, size]);
    let mut layers = GraphLayers { graph: &mut graph, weights, trained: &head.backbone };
    let map = resnet::backbone(&mut layers, &input)?;
    let features = pooled(&mut graph, head.pooling, &map);
    let logits = head.add_to(&mut graph, &features);
    let logits = graph.float_copy(LOGITS, &logits);
    graph.softmax(PROBABILITIES, &logits);
    graph.output(PROBABILITIES, &[classes]);
    graph.output(LOGITS, &[classes]);
    Ok(graph.finish(&metadata(head, precision)).encode_to_vec())
}

fn metadata(head: &Head, precision: WeightPrecision) -> Vec<(String, String)> {
    let or = |note: &Option<String>, default: &str| note.clone().unwrap_or_else(|| default.into());
    let required = [
        ("livelabel.version", METADATA_VERSION.into()),
        ("labels", json!(head.labels).to_string()),
        ("input.size", INPUT_SIZE.to_string()),
        ("input.layout", "NCHW".into()),
        ("input.channels", "BGR".into()),
        ("input.mean", "[103.939, 116.779, 123.68]".into()),
        ("input.scale", "1.0".into()),
        ("window", or(&head.notes.window, DEFAULT_WINDOW)),
        ("threshold", or(&head.notes.threshold, DEFAULT_THRESHOLD)),
        ("hysteresis", or(&head.notes.hysteresis, DEFAULT_HYSTERESIS)),
        ("precision", precision.name().into()),
        ("backbone", "keras-resnet50-imagenet".into()),
        ("trained_on", or(&head.notes.trained_on, "not recorded")),
        ("metrics", or(&head.notes.metrics, "not recorded")),
    ];
    let optional = [(SLICES, &head.notes.slices), (LEARNED_FROM, &head.notes.learned_from)];
    let optional = optional.into_iter().filter_map(|(key, note)| Some((key, note.clone()?)));
    required.into_iter().chain(optional).map(|(key, value): (&str, String)| (key.into(), value)).collect()
}
