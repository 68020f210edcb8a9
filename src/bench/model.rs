//! `livelabel bench model`: measures the network alone for several batch sizes: latency and frames a second with
//! tensors already on the device, and frames a second from decoded pictures.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ndarray::Array4;
use serde::Serialize;

use crate::bench::meter::peak_memory;
use crate::error::{Error, Result};
use crate::inference::batches::Arrival;
use crate::inference::device::threads;
use crate::inference::engine::{Client, Engine};
use crate::inference::model::Model;
use crate::inference::preprocess::Preprocessor;
use crate::inference::session::{Session, SessionOptions};
use crate::picture::{Colorimetry, OwnedPicture};
use crate::telemetry::status::{Delays, Latency};

/// Width and height of the decoded pictures.
const PICTURE: (usize, usize) = (640, 360);

/// The result of a measurement.
#[derive(Debug, Serialize)]
pub struct Report {
    pub device: String,
    pub effective_precision: String,
    pub model: String,
    pub precision: String,
    pub batches: Vec<Batch>,
    pub peak_mib: u64,
}

/// The result for one batch size.
#[derive(Debug, Serialize)]
pub struct Batch {
    pub size: usize,
    pub p50_ms: f64,
    pub p95_ms: f64,
    /// From tensors on the device to probabilities.
    pub frames_per_second: f64,
    /// From decoded pictures to probabilities, with one preparing thread for each core, and the engine as for many
    /// streams.
    pub from_pictures_per_second: f64,
}

/// Runs batches of each size for `time`, on a session for that size.
///
/// # Errors
/// The errors of [`Session::load`].
pub fn measure(model: &Model, options: SessionOptions, sizes: &[usize], time: Duration) -> Result<Report> {
    let mut batches = Vec::new();
    let mut description = None;
    for &size in sizes {
        let options = SessionOptions { batch: Some(size), arrival: Arrival::Batches, ..options };
        let mut session = Session::load(model, options)?;
        description = Some((session.device().to_string(), session.effective_precision().to_string()));
        let (latency, frames_per_second) = resident(model, &mut session, size, time)?;
        drop(session);
        let from_pictures_per_second = from_pictures(model, options, size, time)?;
        let (p50_ms, p95_ms) = (latency.p50, latency.p95);
        batches.push(Batch { size, p50_ms, p95_ms, frames_per_second, from_pictures_per_second });
    }
    let (device, effective_precision) = description.ok_or_else(|| Error::usage("no batch size is given"))?;
    let (name, precision) = (model.name.clone(), model.precision.clone());
    Ok(Report { device, effective_precision, model: name, precision, batches, peak_mib: peak_memory() })
}

impl Report {
    /// Formats the report as a table.
    pub fn text(&self) -> String {
        let mut lines = vec![
            format!("{} ({}) on {} in {}", self.model, self.precision, self.device, self.effective_precision),
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

/// Returns the latency of a batch, and frames a second.
fn resident(model: &Model, session: &mut Session, size: usize, time: Duration) -> Result<(Latency, f64)> {
    let mut preprocessor = Preprocessor::new(&model.input);
    let [channels, rows, columns] = model.input.shape();
    let mut tensors = Array4::zeros((size, channels, rows, columns));
    for (number, tensor) in tensors.outer_iter_mut().enumerate() {
        preprocessor.prepare(&picture(number).view(), tensor)?;
    }
    session.run(tensors.view())?;
    let mut delays = Delays::default();
    let (began, mut runs) = (Instant::now(), 0);
    while began.elapsed() < time {
        let run = Instant::now();
        session.run_again(size)?;
        delays.add(run.elapsed());
        runs += size;
    }
    Ok((delays.latency(), runs as f64 / began.elapsed().as_secs_f64()))
}

fn from_pictures(model: &Model, options: SessionOptions, size: usize, time: Duration) -> Result<f64> {
    let engine = Engine::start(model, options, Arc::new(|| false))?;
    let pictures: Vec<OwnedPicture> = (0..size).map(picture).collect();
    // Enough for one batch in each worker and one more waiting.
    let in_flight = ((engine.workers() + 1) * size).div_ceil(threads());
    let began = Instant::now();
    let answered = std::thread::scope(|scope| {
        let preparers = (0..threads())
            .map(|_| {
                let (client, pictures) = (engine.client(false), pictures.as_slice());
                Ok(scope.spawn(move || prepare(model, &client, pictures, in_flight, time)))
            })
            .collect::<Result<Vec<_>>>()?;
        preparers.into_iter().try_fold(0, |sum, preparer| {
            let answered = preparer.join().map_err(|_| Error::internal("a measurement thread panicked"))??;
            Ok(sum + answered)
        })
    })?;
    Ok(answered as f64 / began.elapsed().as_secs_f64())
}

/// Submits pictures for `time`, with at most `waiting` in flight. Returns their number.
fn prepare(model: &Model, client: &Client, pictures: &[OwnedPicture], waiting: usize, time: Duration) -> Result<usize> {
    let mut preprocessor = Preprocessor::new(&model.input);
    let (mut replies, mut answered) = (VecDeque::new(), 0);
    let began = Instant::now();
    for picture in pictures.iter().cycle().take_while(|_| began.elapsed() < time) {
        let mut tensor = client.tensor();
        preprocessor.prepare(&picture.view(), tensor.view_mut())?;
        replies.push_back(client.submit(tensor, false)?);
        if replies.len() > waiting
            && let Some(reply) = replies.pop_front()
        {
            reply.wait()?;
            answered += 1;
        }
    }
    for reply in replies {
        reply.wait()?;
        answered += 1;
    }
    Ok(answered)
}

/// Creates a test picture that depends on `number`.
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
