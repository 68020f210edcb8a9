//! The classifier on top of the features: two dense layers that the user trained, or ImageNet's single layer.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::labels::window::SmoothingWindow;
use crate::onnx::build::{LEARNED_FROM, SLICES};
use crate::onnx::graph::{GraphBuilder, Weight};
use crate::onnx::resnet::FEATURES;
use crate::onnx::weights::{MAX_FILE_SIZE, Weights, safetensors};
use crate::system::regular_file;

/// Units of the hidden layer, as in the original network.
pub const HIDDEN: usize = 512;

/// How the last feature map `[batch, 2048, 7, 7]` is reduced to 2048 features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The mean over all positions, as in the original
    #[default]
    Mean,
    /// The maximum over all positions
    Max,
}

/// Dense layers with their labels. Weights are `[out, in]`.
#[derive(Debug)]
pub struct Head {
    pub labels: Vec<String>,
    pub pooling: Pooling,
    /// Convolutions of the backbone that were trained with the head, with folded batch norm: `NAME.weight`,
    /// `NAME.bias`.
    pub backbone: HashMap<String, Weight>,
    pub hidden: Option<Layer>,
    pub output: Layer,
    pub units: Option<Units>,
    /// Information about the training, for the model's metadata.
    pub notes: Notes,
}

/// Metadata of a head's file.
#[derive(Debug, Default)]
pub struct Notes {
    pub window: Option<String>,
    pub threshold: Option<String>,
    pub hysteresis: Option<String>,
    pub trained_on: Option<String>,
    pub metrics: Option<String>,
    /// As JSON.
    pub slices: Option<String>,
    pub learned_from: Option<String>,
}

/// Several output units for a label.
#[derive(Debug)]
pub struct Units {
    /// Index of the label of each unit.
    pub labels: Vec<usize>,
    /// What the labels' logits are divided by.
    pub temperature: f32,
}

#[derive(Debug)]
pub struct Layer {
    pub weight: Weight,
    pub bias: Weight,
}

/// Names of the nodes that [`Head::add_to`] adds.
pub const NODES: [&str; 7] = ["dense1", "dense1.relu", "dense2", "units", "labels", "labels.log", "labels.logits"];

impl Head {
    /// Reads a head: `dense1.weight` 512×2048, `dense1.bias`, `dense2.weight` classes×512, `dense2.bias`, and `labels`
    /// as a JSON list in the metadata. The file may also contain trained convolutions of the backbone. `pooling` in the
    /// metadata is `mean`, the default, or `max`. If `units` is there, a JSON list with the index of a label for each
    /// output, a label's probability is the sum over its outputs; `temperature` then divides the labels' logits.
    ///
    /// # Errors
    /// Input, with the name of the invalid tensor or metadata.
    pub fn read(path: &Path) -> Result<Self> {
        let origin = path.display().to_string();
        let bytes = regular_file::read(path, MAX_FILE_SIZE).map_err(|cause| {
            Error::input(format!("{origin}: cannot be read")).because(cause).remedy("give the head's .safetensors file")
        })?;
        let (metadata, mut tensors) = safetensors(&bytes, &origin)?;
        let labels = metadata.get("labels").ok_or_else(|| {
            Error::input(format!("{origin}: its metadata has no labels"))
                .remedy("store the class names as a JSON list under `labels`")
        })?;
        let labels: Vec<String> = serde_json::from_str(labels).map_err(|cause| {
            Error::input(format!("{origin}: its labels are not a JSON list of names"))
                .because(cause)
                .remedy("store them like [\"cooking\", \"drinking\"]")
        })?;
        check_labels(&labels)
            .map_err(|what| Error::input(format!("{origin}: {what}")).remedy("give each class one distinct name"))?;
        let mut take = |name: &str, shape: &[usize]| {
            let tensor = tensors.remove(name).ok_or_else(|| {
                Error::input(format!("{origin}: has no tensor {name}"))
                    .remedy("a head holds dense1 and dense2, each with weight and bias")
            })?;
            if tensor.shape != shape {
                return Err(Error::input(format!("{origin}: {name} has shape {:?}, not {shape:?}", tensor.shape))
                    .remedy("train the head on ResNet50's 2048 features with 512 hidden units, one output a label"));
            }
            Ok(tensor)
        };
        let units = Units::read(&metadata, labels.len())
            .map_err(|what| Error::input(format!("{origin}: {what}")).remedy("export the run again"))?;
        let outputs = units.as_ref().map_or(labels.len(), |units| units.labels.len());
        let hidden =
            Layer { weight: take("dense1.weight", &[HIDDEN, FEATURES])?, bias: take("dense1.bias", &[HIDDEN])? };
        let output =
            Layer { weight: take("dense2.weight", &[outputs, HIDDEN])?, bias: take("dense2.bias", &[outputs])? };
        let note = |key: &str| metadata.get(key).cloned();
        check_number::<SmoothingWindow>(&metadata, "window", &origin)?;
        check_number::<f64>(&metadata, "threshold", &origin)?;
        check_number::<f64>(&metadata, "hysteresis", &origin)?;
        let notes = Notes {
            window: note("window"),
            threshold: note("threshold"),
            hysteresis: note("hysteresis"),
            trained_on: note("trained_on"),
            metrics: note("metrics"),
            slices: note(SLICES),
            learned_from: note(LEARNED_FROM),
        };
        let pooling = match metadata.get("pooling").map(String::as_str) {
            None | Some("mean") => Pooling::Mean,
            Some("max") => Pooling::Max,
            Some(other) => {
                return Err(
                    Error::input(format!("{origin}: its metadata pooling is {other:?}")).remedy("use mean or max")
                );
            }
        };
        Ok(Self { labels, pooling, backbone: tensors, hidden: Some(hidden), output, units, notes })
    }

    /// Reads the backbone's own 1000-class layer `fc1000`. `labels` is a JSON object from index to name.
    pub fn imagenet(weights: &Weights, labels: &Path) -> Result<Self> {
        let unreadable = |cause: Box<dyn std::error::Error + Send + Sync>| {
            Error::input(format!("{}: not a JSON object from index to name", labels.display()))
                .because(cause)
                .remedy("give the labels.json of the weights' package")
        };
        let text = fs::read(labels).map_err(|cause| unreadable(cause.into()))?;
        let names: HashMap<usize, String> = serde_json::from_slice(&text).map_err(|cause| unreadable(cause.into()))?;
        let labels = (0..names.len())
            .map(|index| names.get(&index).map(|name| format!("{index} {name}")))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| unreadable("an index is missing".into()))?;
        let classes = labels.len();
        let kernel = weights.tensor("fc1000/kernel", &[FEATURES, classes])?;
        let mut transposed = vec![0.0; kernel.values.len()];
        for (i, row) in kernel.values.chunks_exact(classes).enumerate() {
            for (o, &value) in row.iter().enumerate() {
                transposed[o * FEATURES + i] = value;
            }
        }
        let output = Layer {
            weight: Weight { shape: vec![classes, FEATURES], values: transposed },
            bias: weights.tensor("fc1000/bias", &[classes])?.clone(),
        };
        let notes = Notes { trained_on: Some("ImageNet, 1000 classes".into()), ..Default::default() };
        Ok(Self { labels, pooling: Pooling::Mean, backbone: HashMap::new(), hidden: None, output, units: None, notes })
    }

    /// Reads the head that [`Head::add_to`] added to a graph, from the graph's tensors. `labels` may be more than it has:
    /// others follow those of the head.
    ///
    /// # Errors
    /// A message that describes the missing or invalid tensor.
    pub fn of_graph(mut tensors: HashMap<String, Weight>, labels: &[String]) -> std::result::Result<Self, String> {
        let mut layer = |name: &str| {
            Some(Layer {
                weight: tensors.remove(&format!("{name}.weight"))?,
                bias: tensors.remove(&format!("{name}.bias"))?,
            })
        };
        let (hidden, output) = (layer("dense1"), layer("dense2").ok_or("it has no layer dense2")?);
        let width = |layer: &Layer| layer.weight.shape.get(1).copied();
        let from = hidden.as_ref().unwrap_or(&output);
        if width(from) != Some(FEATURES) {
            return Err(format!("its head is not on {FEATURES} features"));
        }
        let outputs = output.bias.values.len();
        let units = match (tensors.remove("labels.weight"), tensors.remove("labels.logits.divisor")) {
            (Some(members), Some(temperature)) => {
                let row = |row: &[f32]| row.iter().position(|&member| member == 1.0);
                let count = members.shape.get(1).copied().unwrap_or(0).max(1);
                let of_units: Option<Vec<usize>> = members.values.chunks(count).map(row).collect();
                let of_units = of_units.filter(|units| units.len() == outputs).ok_or("its units have no labels")?;
                Some(Units { labels: of_units, temperature: temperature.values.first().copied().unwrap_or(1.0) })
            }
            _ => None,
        };
        let count = units.as_ref().map_or(outputs, |units| units.labels.iter().max().map_or(0, |last| last + 1));
        let labels = labels.get(..count).ok_or("it has more outputs than labels")?.to_vec();
        let (pooling, backbone, notes) = (Pooling::Mean, HashMap::new(), Notes::default());
        Ok(Self { labels, pooling, backbone, hidden, output, units, notes })
    }

    /// Adds the head after `features`; returns the name of the labels' logits.
    pub fn add_to(&self, graph: &mut GraphBuilder, features: &str) -> String {
        let mut x = features.to_string();
        if let Some(hidden) = &self.hidden {
            let dense = graph.dense("dense1", &x, &hidden.weight, &hidden.bias);
            x = graph.relu("dense1.relu", &dense);
        }
        let logits = graph.dense("dense2", &x, &self.output.weight, &self.output.bias);
        self.units.as_ref().map_or(logits.clone(), |units| units.add_to(graph, &logits, self.labels.len()))
    }
}

impl Units {
    fn read(metadata: &HashMap<String, String>, labels: usize) -> std::result::Result<Option<Self>, String> {
        let Some(text) = metadata.get("units") else { return Ok(None) };
        let of_units: Vec<usize> =
            serde_json::from_str(text).map_err(|_| format!("its metadata units is not a list of numbers: {text}"))?;
        if !(0..labels).all(|label| of_units.contains(&label)) || of_units.iter().any(|&label| label >= labels) {
            return Err(format!("its metadata units does not cover its {labels} labels: {text}"));
        }
        let temperature = metadata.get("temperature").map_or("1", String::as_str);
        let number: Option<f32> = temperature.parse().ok().filter(|&number| number > 0.0 && number < f32::INFINITY);
        let temperature = number.ok_or_else(|| format!("its metadata temperature is {temperature:?}"))?;
        Ok(Some(Self { labels: of_units, temperature }))
    }

    /// Adds the sum over each label's units, as a logarithm; returns the name of the labels' logits.
    fn add_to(&self, graph: &mut GraphBuilder, logits: &str, labels: usize) -> String {
        let member = |&of: &usize| (0..labels).map(move |label| if label == of { 1.0 } else { 0.0 });
        let values = self.labels.iter().flat_map(member).collect();
        let units = graph.softmax("units", logits);
        let sums = graph.product("labels", &units, &Weight { shape: vec![self.labels.len(), labels], values });
        let logarithms = graph.log("labels.log", &sums);
        graph.divide("labels.logits", &logarithms, self.temperature)
    }
}

/// Checks a number in the metadata, since the model that gets it could not be read otherwise.
fn check_number<T: FromStr>(metadata: &HashMap<String, String>, key: &str, origin: &str) -> Result<()> {
    match metadata.get(key) {
        Some(text) if text.parse::<T>().is_err() => {
            Err(Error::input(format!("{origin}: its metadata {key} is {text:?}")).remedy("write a number"))
        }
        _ => Ok(()),
    }
}

/// Checks a model's labels: at least two, each with a distinct name.
///
/// # Errors
/// A message that describes the fault.
pub fn check_labels(labels: &[String]) -> std::result::Result<(), String> {
    if labels.len() < 2 {
        return Err("has fewer than two labels".into());
    }
    let mut known = HashSet::with_capacity(labels.len());
    for label in labels {
        if label.trim().is_empty() {
            return Err(format!("has an empty label: {label:?}"));
        }
        if !known.insert(label) {
            return Err(format!("has the label {label:?} twice"));
        }
    }
    Ok(())
}
