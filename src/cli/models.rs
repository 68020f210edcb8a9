//! `livelabel model`: looks at, builds and checks model files; and `livelabel devices`.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::args::{ChannelOrder, ImportArgs};
use crate::error::{Error, Result};
use crate::inference::device::{Device, DeviceSelection, INT8};
use crate::inference::model::Model;
use crate::inference::preprocess::Preprocessor;
use crate::inference::probe::{candidates, probe};
use crate::inference::session::{Session, SessionOptions};
use crate::inference::slices;
use crate::onnx::build::{self, HeadSource};
use crate::onnx::graph::Precision;
use crate::onnx::head::check_labels;
use crate::onnx::import::{Description, import as wrap};
use crate::picture::file::read_picture;

/// Labels that are printed for a picture.
const TOP: usize = 5;
/// How far an answer may move with the size of its batch.
const BATCH_TOLERANCE: f32 = 1e-3;

/// The named model, or the shipped one.
pub fn read(path: Option<&Path>) -> Result<Model> {
    match path {
        Some(path) => Model::read(path),
        None => Model::read(&Model::default_path()?),
    }
}

/// What a model says of itself, for people or programs.
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
        ("precision", model.precision.clone()),
        ("backbone", model.backbone.clone()),
        ("trained on", model.trained_on.clone()),
        ("metrics", model.metrics.clone()),
    ]
    .map(|(name, value)| format!("{name:<11}{value}"))
    .into_iter()
    .chain((!model.slices.is_empty()).then(|| format!("\n{}", slices::table(&model.labels, &model.slices))))
    .collect::<Vec<_>>()
    .join("\n")
}

/// Builds a model file; `head` may be the word `imagenet`.
///
/// # Errors
/// Those of [`build::build`], and usage where `output` exists and is not to be written over.
pub fn build(
    backbone: &Path,
    head: PathBuf,
    labels: Option<PathBuf>,
    precision: Precision,
    output: &Path,
    force: bool,
) -> Result<Model> {
    if output.exists() && !force {
        return Err(Error::usage(format!("{}: exists already", output.display())).remedy("write over it with --force"));
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

/// Wraps a classifier of somebody else's into a model file, runs it, and says what it sees in the pictures.
///
/// # Errors
/// Usage, where `output` exists; input, where the file is no image classifier with these labels, or its answers are no
/// probabilities. Nothing is written then.
pub fn import(args: &ImportArgs) -> Result<String> {
    let output = &args.output;
    if output.exists() && !args.force {
        return Err(Error::usage(format!("{}: exists already", output.display())).remedy("write over it with --force"));
    }
    let origin = args.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = std::fs::read(&args.file)
        .map_err(|cause| Error::input(format!("{}: cannot be read", args.file.display())).because(cause))?;
    let about = Description {
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
        origin,
    };
    let made = wrap(file.into(), &about)?;
    let unwritable = |cause| {
        Error::unavailable(format!("{}: cannot be written", output.display()))
            .because(cause)
            .remedy("choose a folder that can be written to and has room")
    };
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let part = tempfile::Builder::new().suffix(".onnx").tempfile_in(folder).map_err(unwritable)?;
    std::fs::write(part.path(), &made).map_err(unwritable)?;
    let mut model = Model::read(part.path())?;
    // Errors from here on name the file that the user knows.
    model.name = about.origin.clone();
    let (_, seen) =
        classify(&model, &args.pictures, SessionOptions::of(DeviceSelection::Auto, 2)).map_err(|error| {
            let told = error.to_string().replace(&part.path().display().to_string(), &args.file.display().to_string());
            Error::input(format!("{}: cannot be used", args.file.display())).because(told)
        })?;
    part.persist(output).map_err(|cause| unwritable(cause.error))?;
    let model = Model::read(output)?;
    let lines = std::iter::once(show(&model, false)).chain(seen.iter().map(|seen| seen.line(&model)));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn read_labels(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(|cause| {
        Error::input(format!("{}: cannot be read", path.display()))
            .because(cause)
            .remedy("give a text file with one label a line")
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

/// One number for all channels, or three.
fn each_channel(numbers: &[f32], option: &str) -> Result<[f32; 3]> {
    match *numbers {
        [all] if all.is_finite() => Ok([all; 3]),
        [a, b, c] if [a, b, c].iter().all(|number| number.is_finite()) => Ok([a, b, c]),
        _ => Err(Error::usage(format!("--{option} has {} numbers", numbers.len()))
            .remedy("give one, or one for each of the three channels, like 123.7,116.3,103.5")),
    }
}

/// Loads and runs a model, and classifies pictures with it.
///
/// # Errors
/// Where the model cannot be loaded, or its answers are no probabilities, or depend on the batch they are made in.
pub fn verify(model: &Model, pictures: &[PathBuf], options: SessionOptions, as_json: bool) -> Result<String> {
    let (device, seen) = classify(model, pictures, options)?;
    if as_json {
        let pictures: Vec<_> = seen
            .iter()
            .map(|Seen { picture, logits, probabilities }| {
                json!({"picture": picture.display().to_string(), "logits": logits, "probabilities": probabilities})
            })
            .collect();
        return Ok(json!({"model": model, "device": device.to_string(), "pictures": pictures}).to_string());
    }
    let first = format!(
        "{}: loads on {device}, its answers are probabilities and do not depend on the batch",
        model.path.display(),
    );
    Ok(std::iter::once(first).chain(seen.iter().map(|seen| seen.line(model))).collect::<Vec<_>>().join("\n"))
}

/// What a model says of a picture file.
struct Seen<'a> {
    picture: &'a Path,
    /// Empty where the model gives none.
    logits: Vec<f32>,
    probabilities: Vec<f32>,
}

impl Seen<'_> {
    /// The likeliest labels.
    fn line(&self, model: &Model) -> String {
        let mut order: Vec<usize> = (0..self.probabilities.len()).collect();
        order.sort_by(|&a, &b| self.probabilities[b].total_cmp(&self.probabilities[a]));
        let best: Vec<String> =
            order.iter().take(TOP).map(|&i| format!("{} {:.3}", model.labels[i], self.probabilities[i])).collect();
        format!("{}: {}", self.picture.display(), best.join(", "))
    }
}

/// Checks a model's answers on made-up tensors, and classifies pictures.
fn classify<'a>(model: &Model, pictures: &'a [PathBuf], options: SessionOptions) -> Result<(Device, Vec<Seen<'a>>)> {
    let mut session = Session::load(model, options)?;
    let mut preprocessor = Preprocessor::new(&model.input);
    check_answers(model, &mut session)?;
    let mut seen = Vec::new();
    for picture in pictures {
        let mut tensor = vec![0.0; model.input.len()];
        preprocessor.prepare(&read_picture(picture)?.view(), &mut tensor)?;
        let probabilities = session.run(&tensor, 1)?;
        seen.push(Seen { picture, logits: session.logits(&tensor)?, probabilities });
    }
    Ok((session.device(), seen))
}

fn check_answers(model: &Model, session: &mut Session) -> Result<()> {
    let broken = |what: String| {
        Error::input(format!("model {}: {what}", model.path.display()))
            .remedy("export it again, with a softmax at its end")
    };
    // Two different pictures of numbers such as a network sees.
    let each = model.input.len();
    let tensors: Vec<f32> = (0..2 * each).map(|i| ((i * 7919) % 256) as f32 - 128.0).collect();
    let together = session.run(&tensors, 2)?;
    let alone = [session.run(&tensors[..each], 1)?, session.run(&tensors[each..], 1)?].concat();
    for row in together.chunks_exact(model.labels.len()) {
        let sum: f32 = row.iter().sum();
        if !((sum - 1.0).abs() < 1e-3 && row.iter().all(|&p| (0.0..=1.0).contains(&p))) {
            return Err(broken(format!("its answers add up to {sum}, not 1")));
        }
    }
    let furthest = together.iter().zip(&alone).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    if furthest > BATCH_TOLERANCE {
        return Err(broken(format!("its answers change by {furthest} with the batch")));
    }
    Ok(())
}

/// What can run a network here.
pub fn devices(as_json: bool) -> String {
    let found = probe();
    let shipped = Model::default_path().and_then(|path| Model::read(&path));
    let precision = shipped.map_or(INT8.into(), |model| model.precision);
    let taken = candidates(&precision)[0];
    let auto = taken.to_string();
    if as_json {
        return json!({"auto": auto, "devices": found}).to_string();
    }
    let mut lines: Vec<String> = found
        .iter()
        .map(|presence| {
            let state = if presence.usable { "yes" } else { "no " };
            format!("{:<10}{state}  {}", presence.device, presence.reason)
        })
        .collect();
    let why = match (taken, precision.as_str()) {
        (Device::Cuda(_), _) => "a GPU is the fastest",
        (Device::OpenVino, INT8) => {
            "the shipped model is int8, which is made for CPUs, and OpenVINO is the fastest there"
        }
        (Device::OpenVino, _) => "no GPU is usable, and OpenVINO is the fastest on a CPU",
        (Device::Cpu, _) => "scripts/setup --openvino makes it faster",
    };
    lines.push(format!("auto takes {auto}: {why}"));
    lines.join("\n")
}
