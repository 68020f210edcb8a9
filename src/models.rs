//! `livelabel model`: looks at, builds and checks model files; and `livelabel devices`.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::error::{Error, Result};
use crate::inference::device::{Device, INT8, candidates, survey};
use crate::inference::model::Model;
use crate::inference::preprocess::Preprocessor;
use crate::inference::session::{Demand, Session};
use crate::onnx::build::{self, HeadSource};
use crate::onnx::graph::Precision;
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
        ("input", format!("{size}x{size} {:?}, minus {:?}, times {}", input.channels, input.mean, input.scale)),
        ("window", model.window.to_string()),
        ("threshold", model.threshold.to_string()),
        ("precision", model.precision.clone()),
        ("backbone", model.backbone.clone()),
        ("trained on", model.trained_on.clone()),
        ("metrics", model.metrics.clone()),
    ]
    .map(|(name, value)| format!("{name:<11}{value}"))
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

/// Loads and runs a model, and classifies pictures with it.
///
/// # Errors
/// Where the model cannot be loaded, or its answers are no probabilities, or depend on the batch they are made in.
pub fn verify(model: &Model, pictures: &[PathBuf], demand: Demand, as_json: bool) -> Result<String> {
    let mut session = Session::load(model, demand)?;
    let mut preprocessor = Preprocessor::new(&model.input);
    check_answers(model, &mut session)?;
    let mut results = Vec::new();
    for path in pictures {
        let mut tensor = vec![0.0; model.input.len()];
        preprocessor.prepare(&read_picture(path)?.view(), &mut tensor)?;
        let probabilities = session.run(&tensor, 1)?;
        results.push((path, session.logits(&tensor)?, probabilities));
    }
    if as_json {
        let pictures: Vec<_> = results
            .iter()
            .map(|(path, logits, probabilities)| {
                json!({"picture": path.display().to_string(), "logits": logits, "probabilities": probabilities})
            })
            .collect();
        return Ok(json!({"model": model, "device": session.device().to_string(), "pictures": pictures}).to_string());
    }
    let mut lines = vec![format!(
        "{}: loads on {}, its answers are probabilities and do not depend on the batch",
        model.path.display(),
        session.device()
    )];
    for (path, _, probabilities) in results {
        let mut order: Vec<usize> = (0..probabilities.len()).collect();
        order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        let best: Vec<String> =
            order.iter().take(TOP).map(|&i| format!("{} {:.3}", model.labels[i], probabilities[i])).collect();
        lines.push(format!("{}: {}", path.display(), best.join(", ")));
    }
    Ok(lines.join("\n"))
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
    let found = survey();
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
