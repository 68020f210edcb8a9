//! `livelabel-train export`: a run's model file in the precision that is wanted.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use clap::ValueEnum;

use crate::error::{Error, Result};
use crate::inference::device::{Device, DeviceSelection};
use crate::inference::model::Model;
use crate::inference::session::{Session, SessionOptions};
use crate::locate;
use crate::onnx::build::{self, HeadSource};
use crate::onnx::graph;
use crate::picture::file::read_picture;
use crate::shutdown::Shutdown;
use crate::train::augment::Recipe;
use crate::train::dataset::{Dataset, Item};
use crate::train::features::frames;
use crate::train::fit::{Reporter, backbone};
use crate::train::metrics::{Metrics, Prediction};
use crate::train::run::{HEAD, Run};
use crate::train::views::Views;

/// The script around ONNX Runtime's quantizer, under the project's folder.
const QUANTIZER: &str = "scripts/python/quantize.py";
/// Training pictures by which the ranges of the activations are measured.
const CALIBRATION: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    Fp32,
    Fp16,
    /// Static quantization by training pictures: a quarter of the size, and the fastest on CPUs
    Int8,
}

/// Writes the model file of `run`. For int8 it says what that costs on the validation pictures.
///
/// # Errors
/// Input, where the run is not complete or, for int8, its data is not there any more; unavailable, where the quantizer is
/// not.
pub fn export(
    run: &Run,
    output: &Path,
    precision: Precision,
    reporter: &dyn Reporter,
    shutdown: &Shutdown,
) -> Result<()> {
    let (_, config) = Run::open(&run.folder)?;
    let backbone = backbone(&config.options)?;
    let head = HeadSource::File(run.path(HEAD));
    match precision {
        Precision::Fp32 => return build::build(&backbone, &head, graph::Precision::Fp32, output),
        Precision::Fp16 => return build::build(&backbone, &head, graph::Precision::Fp16, output),
        Precision::Int8 => {}
    }
    let options = &config.options;
    let data = options.data.as_deref().ok_or_else(|| Error::input("the run names no data"))?;
    let data = Dataset::read(data, &options.classes)?;
    let kept = run.split()?.validates(&data);
    let full = run.path("model.fp32.onnx");
    let pictures = run.path("calibration.f32");
    build::build(&backbone, &head, graph::Precision::Fp32, &full)?;
    let made = calibrate(&data, &kept, options.every, &pictures, shutdown)
        .and_then(|()| quantize(&full, &pictures, output))
        .and_then(|()| compare(&full, output, &data, &kept, options.every, shutdown));
    for path in [&full, &pictures] {
        let _ = std::fs::remove_file(path);
    }
    reporter.tell(&made?);
    Ok(())
}

/// Writes the tensors of training pictures, spread over the data.
fn calibrate(data: &Dataset, kept: &[bool], every: u64, output: &Path, shutdown: &Shutdown) -> Result<()> {
    let unwritable = |cause| {
        Error::failed(format!("{}: cannot be written", output.display())).because(cause).remedy("free some room there")
    };
    let mut file = BufWriter::new(File::create(output).map_err(unwritable)?);
    let items: Vec<&Item> = data.items.iter().zip(kept).filter(|(_, kept)| !**kept).map(|(item, _)| item).collect();
    let each = CALIBRATION.div_ceil(items.len());
    for item in items.iter().step_by(items.len().div_ceil(CALIBRATION)) {
        tensors(item, every, each, shutdown, &mut |tensor| {
            let bytes: Vec<u8> = tensor.iter().flat_map(|value| value.to_le_bytes()).collect();
            file.write_all(&bytes).map_err(unwritable)
        })?;
    }
    file.flush().map_err(unwritable)
}

fn quantize(full: &Path, pictures: &Path, output: &Path) -> Result<()> {
    let missing = || {
        Error::unavailable("the int8 quantizer is not here").remedy(
            "run scripts/setup train, and keep the program in the project's folder or name that in LIVELABEL_HOME",
        )
    };
    let script = locate::find(QUANTIZER).ok_or_else(missing)?;
    let run = Command::new("python3").arg(script).args([full, pictures, output]).output();
    let run = run.map_err(|cause| missing().because(cause))?;
    if run.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&run.stderr);
    Err(Error::failed(format!("{}: cannot be quantized", output.display()))
        .because(told.lines().last().unwrap_or("no reason given").to_string())
        .remedy("run scripts/setup train again"))
}

/// Both files on the validation pictures, where there are any.
fn compare(full: &Path, int8: &Path, data: &Dataset, kept: &[bool], every: u64, shutdown: &Shutdown) -> Result<String> {
    if !kept.contains(&true) {
        return Ok("this run kept nothing to measure the loss on; the runs that checked it tell theirs".into());
    }
    let models = [Model::read(full)?, Model::read(int8)?];
    let mut sessions = Vec::new();
    for model in &models {
        sessions.push(Session::load(model, SessionOptions::of(DeviceSelection::Exactly(Device::Cpu), 1))?);
    }
    let mut predictions = [Vec::new(), Vec::new()];
    for (item, _) in data.items.iter().zip(kept).filter(|(_, kept)| **kept) {
        let told = tensors(item, every, usize::MAX, shutdown, &mut |tensor| {
            for (session, predictions) in sessions.iter_mut().zip(&mut predictions) {
                let probabilities = session.run(tensor, 1)?.into_iter().map(f64::from).collect();
                let (name, group) = (item.name.clone(), item.group.clone());
                predictions.push(Prediction { name, group, class: item.class, probabilities });
            }
            Ok(())
        });
        if let Err(error) = told {
            tracing::warn!("{error}; {} is left out", item.name);
        }
    }
    let [before, after] = &predictions;
    let same = before.iter().zip(after).filter(|(a, b)| a.label() == b.label()).count();
    let [before, after] = predictions.each_ref().map(|predictions| Metrics::of(&data.labels, predictions));
    Ok(format!(
        "on {} validation pictures: accuracy {:.3} in fp32, {:.3} in int8; macro F1 {:.3}, {:.3}; log loss {:.3}, {:.3}; \
         same label on {:.1} %",
        before.pictures,
        before.accuracy,
        after.accuracy,
        before.macro_f1,
        after.macro_f1,
        before.log_loss,
        after.log_loss,
        100.0 * same as f64 / before.pictures.max(1) as f64
    ))
}

/// Hands on the tensor of a picture, or of a clip's first `most` frames.
fn tensors(
    item: &Item,
    every: u64,
    most: usize,
    shutdown: &Shutdown,
    take: &mut dyn FnMut(&[f32]) -> Result<()>,
) -> Result<()> {
    let plain = Views { augmentation: Recipe::None.augmentation(), seed: 0 };
    if !item.clip {
        return take(&plain.tensor(&read_picture(&item.path)?.view(), &[0; 32], 0)?);
    }
    let mut taken = 0;
    frames(&item.path, every, shutdown, &mut |_, picture| {
        take(&plain.tensor(picture, &[0; 32], 0)?)?;
        taken += 1;
        Ok(taken < most)
    })
}
