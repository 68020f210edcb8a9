//! `livelabel bench model` as a program that needs no GStreamer, and of OpenCV two libraries only: for machines with a GPU
//! and little else.
//!
//! usage: bench_model MODEL DEVICE BATCH...

#![allow(clippy::panic, clippy::unwrap_used, reason = "a failure here is to be seen")]

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use livelabel::bench::model;
use livelabel::inference::device::DeviceSelection;
use livelabel::inference::model::Model;
use livelabel::inference::session::SessionOptions;

/// For each size, with tensors on the device and from pictures.
const TIME: Duration = Duration::from_secs(3);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    ensure!(arguments.len() > 2, "usage: bench_model MODEL DEVICE BATCH...");
    let model = Model::read(Path::new(&arguments[0]))?;
    let selection: DeviceSelection = arguments[1].parse().map_err(anyhow::Error::msg)?;
    let sizes = arguments[2..].iter().map(|size| size.parse()).collect::<Result<Vec<usize>, _>>();
    let report = model::measure(
        &model,
        SessionOptions { selection, ..SessionOptions::default() },
        &sizes.context("a size of batch")?,
        TIME,
    )?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
