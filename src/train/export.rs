//! `livelabel-train export`: writes a run's model file in the requested precision.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use clap::ValueEnum;
use ndarray::ArrayView3;

use crate::error::{Error, Result};
use crate::inference::device::{Device, DeviceSelection};
use crate::inference::model::Model;
use crate::inference::session::{Session, SessionOptions};
use crate::onnx::build::{self, HeadSource};
use crate::onnx::graph;
use crate::picture::file::read_picture;
use crate::shutdown::Shutdown;
use crate::system::locate;
use crate::train::augment::AugmentationPreset;
use crate::train::dataset::{Dataset, Item};
use crate::train::features::frames;
use crate::train::fit::{Reporter, backbone};
use crate::train::metrics::{Metrics, Prediction};
use crate::train::run::{HEAD, Run};
use crate::train::views::Views;

/// The script that calls ONNX Runtime's quantizer, in the project's folder.
const QUANTIZER: &str = "scripts/python/quantize.py";
/// Number of training pictures for measuring the activations' ranges.
const CALIBRATION: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportPrecision {
    Fp32,
    Fp16,
    /// Static quantization, calibrated with training pictures: a quarter of the size, and the fastest on CPUs
    Int8,
}

/// Writes the model file of `run`. For int8 it reports the loss of accuracy on the validation pictures.
///
/// # Errors
/// `Input` if the run is incomplete or, for int8, its data no longer exists; `Unavailable` if the quantizer is missing.
pub fn export(
    run: &Run,
    output: &Path,
    precision: ExportPrecision,
    reporter: &dyn Reporter,
    shutdown: &Shutdown,
) -> Result<()> {
    let (_, config) = Run::open(&run.folder)?;
    let backbone = backbone(&config.options)?;
    let head = HeadSource::File(run.path(HEAD));
    match precision {
        ExportPrecision::Fp32 => return build::build(&backbone, &head, graph::WeightPrecision::Fp32, output),
        ExportPrecision::Fp16 => return build::build(&backbone, &head, graph::WeightPrecision::Fp16, output),
        ExportPrecision::Int8 => {}
    }
    let options = &config.options;
    let data = options.data.as_deref().ok_or_else(|| Error::input("the run's configuration has no data folder"))?;
    let data = Dataset::read(data, &options.classes)?;
    let validation = run.split()?.validates(&data);
    let full = run.path("model.fp32.onnx");
    let pictures = run.path("calibration.f32");
    build::build(&backbone, &head, graph::WeightPrecision::Fp32, &full)?;
    let report = calibrate(&data, &validation, options.every, &pictures, shutdown)
        .and_then(|()| quantize(&full, &pictures, output))
        .and_then(|()| compare(&full, output, &data, &validation, options.every, shutdown));
    for path in [&full, &pictures] {
        let _ = std::fs::remove_file(path);
    }
    reporter.message(&report?);
    Ok(())
}

/// Writes the tensors of training pictures, spread evenly over the data.
fn calibrate(data: &Dataset, validation: &[bool], every: u64, output: &Path, shutdown: &Shutdown) -> Result<()> {
    let unwritable = |cause| {
        Error::failed(format!("{}: cannot be written", output.display()))
            .because(cause)
            .remedy("free some space on that disk")
    };
    let mut file = BufWriter::new(File::create(output).map_err(unwritable)?);
    let items: Vec<&Item> =
        data.items.iter().zip(validation).filter(|(_, validation)| !**validation).map(|(item, _)| item).collect();
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
        Error::unavailable("the int8 quantizer was not found")
            .remedy("run scripts/setup train, or set LIVELABEL_HOME to the project's folder")
    };
    let script = locate::find(QUANTIZER).ok_or_else(missing)?;
    let run = Command::new("python3").arg(script).args([full, pictures, output]).output();
    let run = run.map_err(|cause| missing().because(cause))?;
    if run.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&run.stderr);
    Err(Error::failed(format!("{}: cannot be quantized", output.display()))
        .because(stderr.lines().last().unwrap_or("no reason given").to_string())
        .remedy("run scripts/setup train again"))
}

/// Compares both files on the validation pictures, if there are any.
fn compare(
    full: &Path,
    int8: &Path,
    data: &Dataset,
    validation: &[bool],
    every: u64,
    shutdown: &Shutdown,
) -> Result<String> {
    if !validation.contains(&true) {
        return Ok(
            "this run has no validation pictures, so the loss of accuracy is unknown; to measure it, export a run that --validated-by names"
                .into(),
        );
    }
    let models = [Model::read(full)?, Model::read(int8)?];
    let mut sessions = Vec::new();
    for model in &models {
        sessions.push(Session::load(model, SessionOptions::of(DeviceSelection::Exactly(Device::Cpu), 1))?);
    }
    let mut predictions = [Vec::new(), Vec::new()];
    for (item, _) in data.items.iter().zip(validation).filter(|(_, validation)| **validation) {
        let result = tensors(item, every, usize::MAX, shutdown, &mut |tensor| {
            for (session, predictions) in sessions.iter_mut().zip(&mut predictions) {
                let probabilities = session.run_each(&[tensor])?.into_iter().map(f64::from).collect();
                let (name, group) = (item.name.clone(), item.group.clone());
                predictions.push(Prediction { name, group, class: item.class, probabilities });
            }
            Ok(())
        });
        if let Err(error) = result {
            tracing::warn!("{error}; {} is skipped", item.name);
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

/// Passes the tensor of a picture, or of a clip's first `most` frames, to `take`.
fn tensors(
    item: &Item,
    every: u64,
    most: usize,
    shutdown: &Shutdown,
    take: &mut dyn FnMut(ArrayView3<f32>) -> Result<()>,
) -> Result<()> {
    let plain = Views { augmentation: AugmentationPreset::None.augmentation(), seed: 0 };
    if !item.clip {
        return take(plain.tensor(&read_picture(&item.path)?.view(), &[0; 32], 0)?.view());
    }
    let mut taken = 0;
    frames(&item.path, every, shutdown, &mut |_, picture| {
        take(plain.tensor(picture, &[0; 32], 0)?.view())?;
        taken += 1;
        Ok(taken < most)
    })
}
