//! The network alone, in batches of several sizes: latency of a batch, pictures a second with tensors that are there
//! already, and from decoded pictures.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::bench::meter::peak_memory;
use crate::board::status::Delays;
use crate::error::{Error, Result};
use crate::inference::model::Model;
use crate::inference::preprocess::Preprocessor;
use crate::inference::session::{Demand, Session};
use crate::picture::{Colorimetry, OwnedPicture};

/// Width and height of the pictures that are prepared.
const PICTURE: (usize, usize) = (640, 360);

/// How a network runs.
#[derive(Debug, Serialize)]
pub struct Report {
    pub device: String,
    pub arithmetic: String,
    pub model: String,
    pub precision: String,
    pub batches: Vec<Batch>,
    pub peak_mib: u64,
}

/// One size of batch.
#[derive(Debug, Serialize)]
pub struct Batch {
    pub size: usize,
    pub p50_ms: f64,
    pub p95_ms: f64,
    /// Tensors to probabilities.
    pub frames_per_second: f64,
    /// Decoded pictures to probabilities, prepared by the same thread.
    pub from_pictures_per_second: f64,
}

/// Runs batches of each size for `time`, on a session that was made for that size.
///
/// # Errors
/// Those of [`Session::load`].
pub fn measure(model: &Model, demand: Demand, sizes: &[usize], time: Duration) -> Result<Report> {
    let mut batches = Vec::new();
    let mut told = None;
    for &size in sizes {
        let mut session = Session::load(model, Demand { batch: Some(size), singles: false, ..demand })?;
        batches.push(batch(model, &mut session, size, time)?);
        told = Some((session.device().to_string(), session.arithmetic().to_string()));
    }
    let (device, arithmetic) = told.ok_or_else(|| Error::usage("no size of batch is given"))?;
    let (name, precision) = (model.name.clone(), model.precision.clone());
    Ok(Report { device, arithmetic, model: name, precision, batches, peak_mib: peak_memory() })
}

impl Report {
    /// A table for people.
    pub fn text(&self) -> String {
        let mut lines = vec![
            format!("{} ({}) on {} in {}", self.model, self.precision, self.device, self.arithmetic),
            format!("{:>6}{:>10}{:>10}{:>12}{:>26}", "batch", "p50 ms", "p95 ms", "frames/s", "frames/s from pictures"),
        ];
        for Batch { size, p50_ms, p95_ms, frames_per_second, from_pictures_per_second } in &self.batches {
            lines.push(format!(
                "{size:>6}{p50_ms:>10.2}{p95_ms:>10.2}{frames_per_second:>12.0}{from_pictures_per_second:>26.0}"
            ));
        }
        lines.push(format!("{} MiB at most", self.peak_mib));
        lines.join("\n")
    }
}

fn batch(model: &Model, session: &mut Session, size: usize, time: Duration) -> Result<Batch> {
    let pictures: Vec<OwnedPicture> = (0..size).map(picture).collect();
    let mut tensors = vec![vec![0.0; model.input.len()]; size];
    let mut preprocessor = Preprocessor::new(&model.input);
    let mut delays = Delays::default();
    let prepare = |preprocessor: &mut Preprocessor, tensors: &mut [Vec<f32>]| {
        pictures.iter().zip(tensors).try_for_each(|(picture, tensor)| preprocessor.prepare(&picture.view(), tensor))
    };
    prepare(&mut preprocessor, &mut tensors)?;
    let resident = repeat(time, || {
        let began = Instant::now();
        let batch: Vec<&[f32]> = tensors.iter().map(Vec::as_slice).collect();
        session.run_each(&batch)?;
        delays.add(began.elapsed());
        Ok(())
    })?;
    let from_pictures = repeat(time, || {
        prepare(&mut preprocessor, &mut tensors)?;
        let batch: Vec<&[f32]> = tensors.iter().map(Vec::as_slice).collect();
        session.run_each(&batch).map(drop)
    })?;
    let latency = delays.latency();
    Ok(Batch {
        size,
        p50_ms: latency.p50,
        p95_ms: latency.p95,
        frames_per_second: resident * size as f64,
        from_pictures_per_second: from_pictures * size as f64,
    })
}

/// Runs `work` for `time`; returns how often a second.
fn repeat(time: Duration, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    let mut runs = 0_u32;
    while began.elapsed() < time {
        work()?;
        runs += 1;
    }
    Ok(f64::from(runs) / began.elapsed().as_secs_f64())
}

/// A picture unlike the others.
fn picture(number: usize) -> OwnedPicture {
    let (width, height) = PICTURE;
    let mut picture = OwnedPicture::new(width, height, Colorimetry::JPEG);
    for plane in picture.view_mut().planes {
        for (i, value) in plane.data.iter_mut().enumerate() {
            *value = (i.wrapping_mul(31 + number) >> 4) as u8;
        }
    }
    picture
}
