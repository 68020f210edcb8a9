//! The model file: reads its metadata, and rejects invalid files before they run.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use ndarray::Array3;
use prost::Message;
use prost::bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::inference::output::Output;
use crate::inference::slices::Slice;
use crate::labels::window::SmoothingWindow;
use crate::onnx::build::{ADAPTED_FROM, BASE, CORRECTIONS, LEARNED_FROM, METADATA_VERSION, PROBABILITIES, SLICES};
use crate::onnx::head::check_labels;
use crate::onnx::nested::Contents;
use crate::onnx::proto::{EXTERNAL, FLOAT, ModelProto, ValueInfoProto};
use crate::system::{locate, regular_file};

/// The default model.
pub const DEFAULT: &str = "models/drinking-cooking.int8.onnx";
/// Supported heights and widths of the input: larger ones would need gigabytes for a batch.
const SIZES: std::ops::RangeInclusive<usize> = 1..=2048;
/// Largest fixed batch size.
const MAX_BATCH: i64 = 256;
/// Largest file in bytes, which is protobuf's limit too.
const MAX_FILE_SIZE: u64 = 2 << 30;
/// Largest number of nodes, including branches and functions: large classifiers have a few thousand.
const MAX_NODES: usize = 10_000;
/// Largest operator set version; the newest is under 30.
const MAX_OPSET: i64 = 100;
/// Operator sets that ONNX Runtime includes.
const KNOWN_DOMAINS: [&str; 4] = ["", "ai.onnx", "ai.onnx.ml", "com.microsoft"];

/// Order of the input's colour channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Channels {
    Rgb,
    Bgr,
}

/// The input tensor: `(channel − mean) · scale`, `[batch, 3, size, size]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InputSpec {
    pub name: String,
    pub size: usize,
    pub channels: Channels,
    /// In the order of `channels`, of 0–255.
    pub mean: [f32; 3],
    /// In the same order.
    pub scale: [f32; 3],
}

impl InputSpec {
    /// Returns the shape of one frame's tensor: channels, rows, columns.
    pub fn shape(&self) -> [usize; 3] {
        [3, self.size, self.size]
    }

    /// Returns a tensor of zeros for one frame.
    pub fn tensor(&self) -> Array3<f32> {
        Array3::zeros(self.shape())
    }
}

/// A model file that has passed every check that does not require running it.
#[derive(Clone, Debug, Serialize)]
pub struct Model {
    #[serde(skip)]
    pub path: PathBuf,
    /// The file's name without folders.
    pub name: String,
    /// Checksum of the file, in hexadecimal.
    pub sha256: String,
    pub labels: Vec<String>,
    /// The main output.
    #[serde(skip)]
    pub output: Output,
    /// Values of the main output for each frame: one for each label, for a classifier.
    #[serde(skip)]
    pub width: usize,
    pub input: InputSpec,
    /// The batch size, if the file fixes it.
    pub batch: Option<usize>,
    /// Whether it contains loops, which may not end.
    #[serde(skip)]
    pub loops: bool,
    /// Default smoothing window.
    pub window: SmoothingWindow,
    /// Default threshold.
    pub threshold: f64,
    /// Default hysteresis; 0 if the file states none.
    pub hysteresis: f64,
    pub precision: String,
    pub backbone: String,
    pub trained_on: String,
    pub metrics: String,
    /// Accuracy on parts of the test data, if the file states it.
    pub slices: Vec<Slice>,
    /// What recognises the files that it learned from, if the file has it.
    #[serde(skip)]
    pub learned_from: Option<String>,
    /// How it was adapted, if it was.
    pub adaptation: Option<Adaptation>,
}

/// What `livelabel-train adapt` says of a model that it made.
#[derive(Clone, Debug, Serialize)]
pub struct Adaptation {
    /// SHA-256 of the file that was first adapted, whose accuracy the metadata state.
    pub base: String,
    /// SHA-256 of the file that this one was made of.
    pub adapted_from: String,
    /// Number of frames whose labels it learned.
    pub corrections: usize,
}

impl Model {
    /// Reads the file at `path`, or the shipped model.
    ///
    /// # Errors
    /// Those of [`Model::read`].
    pub fn open(path: Option<&Path>) -> Result<Self> {
        match path {
            Some(path) => Self::read(path),
            None => Self::read(&Self::default_path()?),
        }
    }

    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// Input if the file is not a complete ONNX file, has external weights or custom operators, lacks metadata, or has
    /// inputs or outputs that do not match the metadata.
    pub fn read(path: &Path) -> Result<Self> {
        let origin = path.display().to_string();
        let bytes = Bytes::from(regular_file::read(path, MAX_FILE_SIZE).map_err(|cause| {
            Error::input(format!("model {origin}: cannot be read"))
                .because(cause)
                .remedy("run scripts/setup to build the shipped model, or name another with --model")
        })?);
        let sha256 = checksum(&bytes);
        let proto = ModelProto::decode(bytes).map_err(|cause| not_onnx(&origin).because(cause))?;
        check_self_contained(&proto, &origin)?;
        let metadata = Metadata::of(&proto, &origin)?;
        let labels: Vec<String> = metadata.json("labels")?;
        let size: usize = metadata.json("input.size")?;
        if !SIZES.contains(&size) {
            let (least, most) = (SIZES.start(), SIZES.end());
            return Err(metadata
                .wrong("input.size", &size.to_string())
                .remedy(format!("export it with an input size from {least} to {most}")));
        }
        let channels = metadata.one_of("input.channels", &[("BGR", Channels::Bgr), ("RGB", Channels::Rgb)])?;
        metadata.one_of("input.layout", &[("NCHW", ())])?;
        let (input, batch) = check_shapes(&proto, size, labels.len(), &origin)?;
        let window = metadata.text("window");
        let window = window.parse().map_err(|cause: String| metadata.wrong("window", &window).because(cause))?;
        let threshold = metadata.fraction("threshold")?;
        let hysteresis = if metadata.has("hysteresis") { metadata.fraction("hysteresis")? } else { 0.0 };
        check_labels(&labels)
            .map_err(|what| Error::input(format!("model {origin}: {what}")).remedy("build it again"))?;
        Ok(Self {
            path: path.to_path_buf(),
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            sha256,
            output: Output::Probabilities,
            width: labels.len(),
            labels,
            input: InputSpec {
                name: input,
                size,
                channels,
                mean: metadata.json("input.mean")?,
                scale: metadata.scale()?,
            },
            batch,
            loops: Contents::of(&proto).loops(),
            window,
            threshold,
            hysteresis,
            precision: metadata.text("precision"),
            backbone: metadata.text("backbone"),
            trained_on: metadata.text("trained_on"),
            metrics: metadata.text("metrics"),
            slices: metadata.slices()?,
            learned_from: metadata.entries.get(LEARNED_FROM).map(ToString::to_string),
            adaptation: metadata.adaptation()?,
        })
    }

    /// Describes a file with the first layers of a network, which [`crate::onnx::build::frozen`] or
    /// [`crate::onnx::cut::Cut::backbone_file`] wrote to `path`. They output `width` values for each picture of `input`.
    ///
    /// # Errors
    /// Failed if the file cannot be read.
    pub fn frozen(path: &Path, input: InputSpec, width: usize, precision: &str) -> Result<Self> {
        let bytes = fs::read(path)
            .map_err(|cause| Error::failed(format!("{}: cannot be read", path.display())).because(cause))?;
        Ok(Self {
            path: path.to_path_buf(),
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            sha256: checksum(&bytes),
            labels: Vec::new(),
            output: Output::Features,
            width,
            input,
            batch: None,
            loops: false,
            window: SmoothingWindow::Predictions(1),
            threshold: 0.0,
            hysteresis: 0.0,
            precision: precision.into(),
            backbone: String::new(),
            trained_on: String::new(),
            metrics: String::new(),
            slices: Vec::new(),
            learned_from: None,
            adaptation: None,
        })
    }

    /// Returns the path of the shipped model.
    ///
    /// # Errors
    /// Unavailable if set-up has not built it.
    pub fn default_path() -> Result<PathBuf> {
        locate::find(DEFAULT).ok_or_else(|| {
            Error::unavailable(format!("the shipped model {DEFAULT} has not been built"))
                .remedy("run scripts/setup, or name a model with --model")
        })
    }
}

/// Returns the SHA-256 in hexadecimal.
fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn not_onnx(origin: &str) -> Error {
    Error::input(format!("model {origin}: not an ONNX model")).remedy("name a file that `livelabel model build` wrote")
}

fn check_self_contained(proto: &ModelProto, origin: &str) -> Result<()> {
    if proto.graph.as_ref().is_none_or(|graph| graph.node.is_empty()) {
        return Err(not_onnx(origin));
    }
    let contents = Contents::of(proto);
    if contents.nodes.len() > MAX_NODES {
        return Err(Error::input(format!(
            "model {origin}: has {} nodes, more than the limit of {MAX_NODES}",
            contents.nodes.len()
        ))
        .remedy("simplify the network before the export"));
    }
    if let Some(opset) = proto.opset_import.iter().find(|opset| !(1..=MAX_OPSET).contains(&opset.version)) {
        return Err(Error::input(format!("model {origin}: has the invalid operator set version {}", opset.version))
            .remedy("export it again"));
    }
    if let Some(tensor) = contents.tensors.iter().find(|tensor| tensor.data_location == EXTERNAL) {
        return Err(Error::input(format!("model {origin}: its tensor {} is in another file", tensor.name))
            .remedy("save the model as one file, without external data"));
    }
    if let Some(node) = contents.nodes.iter().find(|node| !KNOWN_DOMAINS.contains(&node.domain.as_str())) {
        return Err(Error::input(format!(
            "model {origin}: needs the custom operator {}::{}",
            node.domain, node.op_type
        ))
        .remedy("export it with standard ONNX operators"));
    }
    Ok(())
}

/// Checks input and output against the metadata; returns the input's name and the batch size, if it is fixed.
fn check_shapes(proto: &ModelProto, size: usize, classes: usize, origin: &str) -> Result<(String, Option<usize>)> {
    let graph = proto.graph.as_ref().ok_or_else(|| not_onnx(origin))?;
    let weights: Vec<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let mut inputs = graph.input.iter().filter(|input| !weights.contains(&input.name.as_str()));
    let (Some(input), None) = (inputs.next(), inputs.next()) else {
        return Err(Error::input(format!("model {origin}: does not have exactly one input"))
            .remedy("export it with the pictures as its only input"));
    };
    let size = size as i64;
    let batch = check_shape(input, &[3, size, size], origin)?;
    let output = graph.output.iter().find(|output| output.name == PROBABILITIES).ok_or_else(|| {
        Error::input(format!("model {origin}: has no output named {PROBABILITIES}"))
            .remedy("give the softmax output that name, or build the model with `livelabel model build`")
    })?;
    check_shape(output, &[classes as i64], origin)?;
    Ok((input.name.clone(), batch))
}

/// Checks that a value is float32 with the shape `[batch, dims…]`. Returns the batch size, if it is fixed.
fn check_shape(value: &ValueInfoProto, dims: &[i64], origin: &str) -> Result<Option<usize>> {
    let tensor = value.r#type.as_ref().and_then(|ty| ty.tensor_type.as_ref());
    if tensor.is_none_or(|tensor| tensor.elem_type != FLOAT) {
        return Err(Error::input(format!("model {origin}: {} is not float32", value.name))
            .remedy("export it with float32 inputs and outputs; its weights may be of any kind"));
    }
    let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
    let found: Vec<i64> =
        shape.map(|shape| shape.dim.iter().map(|dim| dim.dim_value.unwrap_or(-1)).collect()).unwrap_or_default();
    if found.get(1..) == Some(dims) && (found[0] == -1 || (1..=MAX_BATCH).contains(&found[0])) {
        return Ok(usize::try_from(found[0]).ok());
    }
    Err(Error::input(format!(
        "model {origin}: {} has shape {found:?}, but its metadata requires [batch, {}]",
        value.name,
        dims.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
    ))
    .remedy("correct the metadata, or export the model again"))
}

/// The file's metadata. Each value is checked when it is read.
struct Metadata<'a> {
    entries: HashMap<&'a str, &'a str>,
    origin: &'a str,
}

const REQUIRED: [&str; 13] = [
    "livelabel.version",
    "labels",
    "input.size",
    "input.layout",
    "input.channels",
    "input.mean",
    "input.scale",
    "window",
    "threshold",
    "precision",
    "backbone",
    "trained_on",
    "metrics",
];

impl<'a> Metadata<'a> {
    fn of(proto: &'a ModelProto, origin: &'a str) -> Result<Self> {
        let entries: HashMap<_, _> =
            proto.metadata_props.iter().map(|entry| (entry.key.as_str(), entry.value.as_str())).collect();
        let missing: Vec<&str> = REQUIRED.into_iter().filter(|key| !entries.contains_key(key)).collect();
        if !missing.is_empty() {
            return Err(Error::input(format!("model {origin}: its metadata lacks {}", missing.join(", ")))
                .remedy("build it with `livelabel model build`, or add the keys"));
        }
        let metadata = Self { entries, origin };
        metadata.one_of("livelabel.version", &[(METADATA_VERSION, ())])?;
        Ok(metadata)
    }

    fn text(&self, key: &str) -> String {
        self.entries.get(key).copied().unwrap_or_default().to_string()
    }

    fn json<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        let text = self.text(key);
        serde_json::from_str(&text).map_err(|cause| self.wrong(key, &text).because(cause))
    }

    fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Reads a number between 0 and 1.
    fn fraction(&self, key: &str) -> Result<f64> {
        let value: f64 = self.json(key)?;
        if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(self.wrong(key, &value.to_string())) }
    }

    /// Returns the slices; empty if the file has none.
    fn slices(&self) -> Result<Vec<Slice>> {
        if self.has(SLICES) { self.json(SLICES) } else { Ok(Vec::new()) }
    }

    fn adaptation(&self) -> Result<Option<Adaptation>> {
        if !self.has(BASE) {
            return Ok(None);
        }
        let (base, adapted_from) = (self.text(BASE), self.text(ADAPTED_FROM));
        Ok(Some(Adaptation { base, adapted_from, corrections: self.json(CORRECTIONS)? }))
    }

    /// Reads one number for all channels, or one for each.
    fn scale(&self) -> Result<[f32; 3]> {
        match self.json::<f32>("input.scale") {
            Ok(scale) => Ok([scale; 3]),
            Err(_) => self.json("input.scale"),
        }
    }

    fn one_of<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<T> {
        let text = self.text(key);
        choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.wrong(key, &text).remedy(format!("use one of the supported values: {}", names.join(", ")))
        })
    }

    fn wrong(&self, key: &str, value: &str) -> Error {
        Error::input(format!("model {}: its metadata {key} is {value:?}", self.origin)).remedy("build it again")
    }
}
