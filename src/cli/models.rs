//! `livelabel model`: shows, builds, imports and verifies model files; and `livelabel devices`.

use std::path::{Path, PathBuf};

use ndarray::Array4;
use serde_json::json;

use crate::cli::args::{ChannelOrder, ImportArgs};
use crate::error::{Error, Result};
use crate::inference::device::{Device, DeviceSelection, INT8};
use crate::inference::model::{Adaptation, Model};
use crate::inference::preprocess::Preprocessor;
use crate::inference::probe::{candidates, probe};
use crate::inference::session::{Session, SessionOptions};
use crate::inference::slices;
use crate::onnx::build::{self, HeadSource};
use crate::onnx::graph::WeightPrecision;
use crate::onnx::head::check_labels;
use crate::onnx::import::{Description, import as wrap};
use crate::picture::file::read_picture;
use crate::system::words::count;
use crate::system::{durable, folders, sandbox};

/// Number of labels printed for a picture.
const TOP: usize = 5;
/// How far a probability may differ with the batch size.
const BATCH_TOLERANCE: f32 = 1e-3;

/// Formats a model's metadata.
pub fn show(model: &Model, as_json: bool) -> String {
    if as_json {
        return json!(model).to_string();
    }
    let input = &model.input;
    let labels = match model.labels.len() {
        0..=20 => model.labels.join(", "),
        count => format!("{count}: {}, …", model.labels[..5].join(", ")),
    };
    let size = input.size;
    [
        ("file", model.path.display().to_string()),
        ("sha256", model.sha256.clone()),
        ("labels", labels),
        ("input", format!("{size}x{size} {:?}, minus {:?}, times {:?}", input.channels, input.mean, input.scale)),
        ("window", model.window.to_string()),
        ("threshold", model.threshold.to_string()),
        ("hysteresis", model.hysteresis.to_string()),
        ("precision", model.precision.clone()),
        ("backbone", model.backbone.clone()),
        ("trained on", model.trained_on.clone()),
        ("metrics", model.metrics.clone()),
    ]
    .map(|(name, value)| format!("{name:<11}{value}"))
    .into_iter()
    .chain(model.adaptation.as_ref().map(|Adaptation { base, corrections, .. }| {
        let corrections = count(*corrections as u64, "correction");
        format!("{:<11}to {corrections}; the accuracy is that of {base}, before", "adapted")
    }))
    .chain((!model.slices.is_empty()).then(|| format!("\n{}", slices::table(&model.labels, &model.slices))))
    .collect::<Vec<_>>()
    .join("\n")
}

/// Builds a model file; `head` may be the word `imagenet`.
///
/// # Errors
/// Those of [`build::build`], and a usage error if `output` exists and `force` is not set.
pub fn build(
    backbone: &Path,
    head: PathBuf,
    labels: Option<PathBuf>,
    precision: WeightPrecision,
    output: &Path,
    force: bool,
) -> Result<Model> {
    if output.exists() && !force {
        return Err(Error::usage(format!("{}: exists already", output.display())).remedy("overwrite it with --force"));
    }
    let head = if head.as_os_str() == "imagenet" {
        let folder = if backbone.is_dir() { Some(backbone) } else { backbone.parent() };
        let beside = folder.unwrap_or(Path::new(".")).join("labels.json");
        HeadSource::ImageNet { labels: labels.unwrap_or(beside) }
    } else {
        HeadSource::File(head)
    };
    build::build(backbone, &head, precision, output)?;
    Model::read(output)
}

/// Wraps an ONNX classifier into a model file, runs it, and classifies the pictures.
///
/// # Errors
/// Returns a usage error if `output` exists, and an input error if the file is not an image classifier with these
/// labels or its output is not probabilities. Nothing is written then.
pub fn import(args: &ImportArgs) -> Result<String> {
    let output = &args.output;
    if output.exists() && !args.force {
        return Err(Error::usage(format!("{}: exists already", output.display())).remedy("overwrite it with --force"));
    }
    let origin = args.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = std::fs::read(&args.file)
        .map_err(|cause| Error::input(format!("{}: cannot be read", args.file.display())).because(cause))?;
    let description = Description {
        labels: read_labels(&args.labels)?,
        mean: each_channel(&args.mean, "mean")?,
        scale: each_channel(&args.scale, "scale")?,
        channels: match args.channels {
            ChannelOrder::Rgb => "RGB",
            ChannelOrder::Bgr => "BGR",
        },
        size: args.size,
        layout: args.layout,
        output: args.output_name.clone(),
        softmax: args.softmax,
        window: args.window,
        threshold: args.threshold,
        hysteresis: args.hysteresis,
        origin,
    };
    let wrapped = wrap(file.into(), &description)?;
    let unwritable = |cause| {
        Error::unavailable(format!("{}: cannot be written", output.display()))
            .because(cause)
            .remedy("choose a writable folder with free space")
    };
    let folder = folders::of(output);
    let part = tempfile::Builder::new().suffix(".onnx").tempfile_in(folder).map_err(unwritable)?;
    std::fs::write(part.path(), &wrapped).map_err(unwritable)?;
    let mut model = Model::read(part.path())?;
    // From here on, errors name the user's file instead of the temporary one.
    model.name = description.origin.clone();
    let (_, classified) =
        classify(&model, &args.pictures, SessionOptions::of(DeviceSelection::Auto, 2)).map_err(|error| {
            let cause = error.to_string().replace(&part.path().display().to_string(), &args.file.display().to_string());
            Error::input(format!("{}: cannot be used", args.file.display())).because(cause)
        })?;
    durable::persist(part.into_temp_path(), output).map_err(unwritable)?;
    let model = Model::read(output)?;
    let lines = std::iter::once(show(&model, false)).chain(classified.iter().map(|picture| picture.line(&model)));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn read_labels(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(|cause| {
        Error::input(format!("{}: cannot be read", path.display()))
            .because(cause)
            .remedy("name a text file with one label a line")
    })?;
    let labels: Vec<String> = match serde_json::from_str(&text) {
        Ok(labels) => labels,
        Err(_) => text.lines().map(|line| line.trim().to_string()).filter(|line| !line.is_empty()).collect(),
    };
    check_labels(&labels).map_err(|what| {
        Error::input(format!("{}: {what}", path.display())).remedy("write one distinct label a line")
    })?;
    Ok(labels)
}

/// Expands one number to all three channels.
fn each_channel(numbers: &[f32], option: &str) -> Result<[f32; 3]> {
    match *numbers {
        [all] if all.is_finite() => Ok([all; 3]),
        [a, b, c] if [a, b, c].iter().all(|number| number.is_finite()) => Ok([a, b, c]),
        _ => Err(Error::usage(format!("--{option} has {} numbers", numbers.len()))
            .remedy("use one, or one for each of the three channels, like 123.7,116.3,103.5")),
    }
}

/// Loads and runs a model, and classifies pictures with it.
///
/// # Errors
/// Returns an error if the model cannot be loaded, or its output is not probabilities or depends on the batch size.
pub fn verify(model: &Model, pictures: &[PathBuf], options: SessionOptions, as_json: bool) -> Result<String> {
    let (device, classified) = classify(model, pictures, options)?;
    if as_json {
        let pictures: Vec<_> = classified
.iter()
.map(|Classified { picture, logits, probabilities }| {
                json!({"picture": picture.display().to_string(), "logits": logits, "probabilities": probabilities})
            })
            .collect();
        return Ok(json!({"model": model, "device": device.to_string(), "pictures": pictures}).to_string());
    }
    let first = format!(
        "{}: loads on {device}, its output is probabilities and does not depend on the batch size",
        model.path.display(),
    );
    let lines = std::iter::once(first).chain(classified.iter().map(|picture| picture.line(model)));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// A picture file and a model's output for it.
struct Classified<'a> {
    picture: &'a Path,
    /// Empty if the model has none.
    logits: Vec<f32>,
    probabilities: Vec<f32>,
}

impl Classified<'_> {
    /// Formats the most probable labels.
    fn line(&self, model: &Model) -> String {
        let mut order: Vec<usize> = (0..self.probabilities.len()).collect();
        order.sort_by(|&a, &b| self.probabilities[b].total_cmp(&self.probabilities[a]));
        let best: Vec<String> =
            order.iter().take(TOP).map(|&i| format!("{} {:.3}", model.labels[i], self.probabilities[i])).collect();
        format!("{}: {}", self.picture.display(), best.join(", "))
    }
}

/// Checks a model's output for synthetic tensors, and classifies pictures.
fn classify<'a>(
    model: &Model,
    pictures: &'a [PathBuf],
    options: SessionOptions,
) -> Result<(Device, Vec<Classified<'a>>)> {
    let mut session = Session::load(model, options)?;
    let mut preprocessor = Preprocessor::new(&model.input);
    check_output(model, &mut session)?;
    let mut classified = Vec::new();
    for picture in pictures {
        let mut tensor = model.input.tensor();
        preprocessor.prepare(&read_picture(picture)?.view(), tensor.view_mut())?;
        let probabilities = session.run_each(&[tensor.view()])?.into_iter().collect();
        classified.push(Classified { picture, logits: session.logits(tensor.view())?, probabilities });
    }
    Ok((session.device(), classified))
}

fn check_output(model: &Model, session: &mut Session) -> Result<()> {
    let broken = |what: String| {
        Error::input(format!("model {}: {what}", model.path.display()))
            .remedy("export it again, with a softmax at the end")
    };
    // Two different tensors in the range of a model's input.
    let [channels, rows, columns] = model.input.shape();
    let mut number = 0_usize;
    let tensors = Array4::from_shape_simple_fn((2, channels, rows, columns), || {
        number += 7919;
        (number % 256) as f32 - 128.0
    });
    let together = session.run(tensors.view())?;
    let alone = tensors.outer_iter().map(|tensor| session.run_each(&[tensor])).collect::<Result<Vec<_>>>()?;
    for row in together.outer_iter() {
        let sum = row.sum();
        if !((sum - 1.0).abs() < 1e-3 && row.iter().all(|&p| (0.0..=1.0).contains(&p))) {
            return Err(broken(format!("its probabilities add up to {sum}, not 1")));
        }
    }
    let difference = together.iter().zip(alone.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    if difference > BATCH_TOLERANCE {
        return Err(broken(format!("its probabilities differ by {difference} with the batch size")));
    }
    Ok(())
}

/// Formats the devices that can run the model here.
pub fn devices(as_json: bool) -> String {
    let found = probe();
    let shipped = Model::default_path().and_then(|path| Model::read(&path));
    let precision = shipped.map_or(INT8.into(), |model| model.precision);
    let selected = candidates(&precision)[0];
    let auto = selected.to_string();
    let sandbox = sandbox::support().to_string();
    if as_json {
        return json!({"auto": auto, "devices": found, "sandbox": sandbox}).to_string();
    }
    let mut lines: Vec<String> = found
        .iter()
        .map(|status| {
            let state = if status.usable { "yes" } else { "no " };
            format!("{:<10}{state}  {}", status.device, status.reason)
        })
        .collect();
    let reason = match (selected, precision.as_str()) {
        (Device::Cuda(_), _) => "a GPU is the fastest",
        (Device::OpenVino, INT8) => "the shipped model is int8, for CPUs, and OpenVINO is the fastest on a CPU",
        (Device::OpenVino, _) => "no GPU is usable, and OpenVINO is the fastest on a CPU",
        (Device::Cpu, _) => "neither a GPU nor OpenVINO is usable; scripts/setup --openvino installs OpenVINO",
    };
    lines.push(format!("auto selects {auto}: {reason}"));
    lines.push(format!("sandbox   {sandbox}"));
    lines.join("\n")
}
