//! `livelabel bench clip`: measures each stage on a clip alone and all stages together, and compares both.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::bench::meter::{Cost, ResourceMeter, peak_memory};
use crate::config::Config;
use crate::config::options::{FileKind, StreamOptions};
use crate::config::settings::Settings;
use crate::error::{Error, Result};
use crate::inference::device::threads;
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::inference::preprocess::Preprocessor;
use crate::inference::session::SessionOptions;
use crate::labels::decision::Decision;
use crate::labels::overlay::{Overlay, OverlayFrame, OverlayStyle};
use crate::labels::stride::Stride;
use crate::media;
use crate::media::clip_decoder::{ClipDecoder, ClipEvent};
use crate::media::encoder::Encoder;
use crate::media::frame::{Frame, RenderedFrame};
use crate::media::limits::Limits;
use crate::pipeline::overlay_renderer::OverlayRenderer;
use crate::pipeline::single_clip;
use crate::pipeline::stream;
use crate::shutdown::Shutdown;
use crate::system::clock::SystemClock;
use crate::system::words::count;

/// Number of frames that the stages after the decoder are measured on, repeatedly.
const SAMPLE: usize = 8;
const POLL: Duration = Duration::from_millis(100);

/// The result of a measurement.
#[derive(Debug, Serialize)]
pub struct Report {
    pub clip: String,
    pub width: usize,
    pub height: usize,
    pub frames: u64,
    pub cores: usize,
    pub device: String,
    pub effective_precision: String,
    pub batch: usize,
    pub model: String,
    pub precision: String,
    pub stages: Stages,
    /// Frames a second if all cores were busy with the stages alone.
    pub limit: f64,
    pub together: Cost,
    /// The measured speed as a share of the limit.
    pub share: f64,
    pub peak_mib: u64,
}

/// The cost of each stage alone.
#[derive(Debug, Serialize)]
pub struct Stages {
    pub decode: Cost,
    pub scale: Cost,
    pub draw: Cost,
    pub jpeg: Cost,
    pub network: Cost,
}

impl Stages {
    fn named(&self) -> [(&'static str, &Cost); 5] {
        [
            ("decode", &self.decode),
            ("scale", &self.scale),
            ("draw", &self.draw),
            ("jpeg", &self.jpeg),
            ("network", &self.network),
        ]
    }

    fn cpu_ms(&self) -> f64 {
        self.named().iter().map(|(_, cost)| cost.cpu_ms).sum()
    }
}

/// Measures `clip` with `model`: first a complete run that writes a video, then each stage for the same number of
/// frames.
///
/// # Errors
/// The errors of a run.
pub fn measure(clip: &Path, model: &Model, options: SessionOptions) -> Result<Report> {
    media::init()?;
    let shutdown = Shutdown::default();
    let (together, frames, peak_mib) = together(clip, model, options, &shutdown)?;
    let (decode, sample) = decode(clip)?;
    let first = sample.first().ok_or_else(|| Error::input(format!("{}: has no frames", clip.display())))?;
    let layout = first.format().layout;
    let (draw, drawn) = draw(&sample, frames)?;
    let engine = Engine::start(model, options, Arc::new(|| false))?;
    let stages = Stages {
        decode,
        scale: scale(&sample, model, frames)?,
        draw,
        jpeg: jpeg(&drawn, &sample, frames)?,
        network: network(&sample, model, &engine, frames)?,
    };
    let cores = threads();
    let limit = 1000.0 * cores as f64 / stages.cpu_ms();
    Ok(Report {
        clip: clip.display().to_string(),
        width: layout.width,
        height: layout.height,
        frames,
        cores,
        device: engine.device().to_string(),
        effective_precision: engine.effective_precision().into(),
        batch: engine.batch(),
        model: model.name.clone(),
        precision: model.precision.clone(),
        limit,
        share: together.frames_per_second / limit,
        together,
        stages,
        peak_mib,
    })
}

impl Report {
    /// Formats the report as a table.
    pub fn text(&self) -> String {
        let mut lines = vec![
            format!("{}: {} of {}x{}", self.clip, count(self.frames, "frame"), self.width, self.height),
            format!("{:<12}{:>16}{:>18}", "stage", "CPU-ms a frame", "frames/s alone"),
        ];
        for (name, cost) in self.stages.named() {
            lines.push(format!("{name:<12}{:>16.2}{:>18.0}", cost.cpu_ms, cost.frames_per_second));
        }
        lines.push(format!(
            "{:<12}{:>16.2}   at most {:.0} frames/s on {} cores",
            "sum",
            self.stages.cpu_ms(),
            self.limit,
            self.cores
        ));
        lines.push(format!(
            "{:<12}{:>16.2}{:>18.1}   {:.2} of that; {} MiB at most",
            "together", self.together.cpu_ms, self.together.frames_per_second, self.share, self.peak_mib
        ));
        lines.push(format!(
            "network on {} in {}, batches of {}: {} ({})",
            self.device, self.effective_precision, self.batch, self.model, self.precision
        ));
        lines.join("\n")
    }
}

/// Measures a complete run, from opening the clip to closing the video.
fn together(clip: &Path, model: &Model, options: SessionOptions, shutdown: &Shutdown) -> Result<(Cost, u64, u64)> {
    let folder = tempfile::tempdir().map_err(|cause| {
        Error::failed("no temporary folder can be created for the video")
            .because(cause)
            .remedy("set TMPDIR to a writable folder")
    })?;
    let streams = StreamOptions {
        input: vec![clip.to_path_buf()],
        only: Some(vec![FileKind::Video]),
        output_dir: Some(PathBuf::from(folder.path())),
        // As each stage alone.
        stride: Some(Stride::Every(1)),
        ..StreamOptions::default()
    };
    let settings = Settings { streams, ..Settings::default() };
    let config = Config::resolve(settings)?;
    let job = config.jobs.first().ok_or_else(|| Error::internal("no job"))?;
    let engine = Arc::new(Engine::start(model, options, Arc::new(|| false))?);
    let clock = SystemClock::shared();
    let state = stream::state(job, model, false, &clock);
    let meter = ResourceMeter::start();
    let outcome = single_clip::label(job, model, &engine, &state, &clock, shutdown)?;
    let frames = outcome.frames.analysed + outcome.frames.held;
    let cost = Cost { frames_per_second: outcome.frames_per_second(), ..meter.cost(frames) };
    Ok((cost, frames, peak_memory()))
}

fn decode(clip: &Path) -> Result<(Cost, Vec<Frame>)> {
    let mut source = ClipDecoder::open(clip, Limits::default(), &|| false)?;
    let mut sample = Vec::new();
    let mut frames = 0;
    let meter = ResourceMeter::start();
    source.play()?;
    loop {
        match source.next(POLL) {
            None => {}
            Some(ClipEvent::Frame(frame)) => {
                frames += 1;
                // Every 30th frame, so that they differ.
                if sample.len() < SAMPLE && frames % 30 == 1 {
                    sample.push(*frame);
                }
            }
            Some(ClipEvent::End) => return Ok((meter.cost(frames), sample)),
            Some(ClipEvent::Failed(error)) => return Err(error),
        }
    }
}

fn scale(sample: &[Frame], model: &Model, frames: u64) -> Result<Cost> {
    let mut preprocessor = Preprocessor::new(&model.input);
    let mut tensor = model.input.tensor();
    let meter = ResourceMeter::start();
    for frame in sample.iter().cycle().take(frames as usize) {
        preprocessor.prepare(&frame.picture(), tensor.view_mut())?;
    }
    Ok(meter.cost(frames))
}

/// Also returns rendered frames for the encoder.
fn draw(sample: &[Frame], frames: u64) -> Result<(Cost, Vec<RenderedFrame>)> {
    let layout = sample[0].format().layout;
    let mut renderer = OverlayRenderer::new(layout, 1, true);
    let mut overlay = Overlay::new(OverlayStyle::default(), &["drinking".to_string()], None);
    let decision = Decision { label: 0, confidence: 0.9, shown: true };
    let mut render = |renderer: &mut OverlayRenderer, target, frame: &Frame| {
        let label = OverlayFrame { decision, warming_up: false, pts: frame.pts, end: frame.end() };
        overlay.record(&label);
        renderer.render(target, frame, &mut overlay, Some(&label))
    };
    let meter = ResourceMeter::start();
    for frame in sample.iter().cycle().take(frames as usize) {
        if let Some(target) = renderer.acquire() {
            render(&mut renderer, target, frame)?;
        }
    }
    let cost = meter.cost(frames);
    let mut drawn = Vec::new();
    while let Some(target) = renderer.acquire() {
        drawn.push(render(&mut renderer, target, &sample[drawn.len() % sample.len()])?);
    }
    Ok((cost, drawn))
}

fn jpeg(drawn: &[RenderedFrame], sample: &[Frame], frames: u64) -> Result<Cost> {
    let encoder = Encoder::new(&sample[0].format(), None)?;
    let meter = ResourceMeter::start();
    let mut done = 0;
    for (i, picture) in drawn.iter().cycle().take(frames as usize).enumerate() {
        let time = i as u64 * 40_000_000;
        encoder.put(picture, time, 40_000_000)?;
        // Keeps the queue short, as in a run.
        while i as u64 + 1 > done + 4 {
            done += u64::from(encoder.next(POLL).is_some());
        }
    }
    drop(encoder.finish());
    Ok(meter.cost(frames))
}

/// Measures the engine with all its workers, as in a run.
fn network(sample: &[Frame], model: &Model, engine: &Engine, frames: u64) -> Result<Cost> {
    let mut preprocessor = Preprocessor::new(&model.input);
    let mut tensors = Vec::new();
    for frame in sample {
        let mut tensor = model.input.tensor();
        preprocessor.prepare(&frame.picture(), tensor.view_mut())?;
        tensors.push(tensor);
    }
    let client = engine.client(false);
    let meter = ResourceMeter::start();
    let mut replies = VecDeque::new();
    for prepared in tensors.iter().cycle().take(frames as usize) {
        let mut tensor = client.tensor();
        tensor.assign(prepared);
        replies.push_back(client.submit(tensor, false)?);
        if replies.len() > engine.workers() * engine.batch()
            && let Some(reply) = replies.pop_front()
        {
            reply.wait()?;
        }
    }
    replies.into_iter().try_for_each(|reply| reply.wait().map(drop))?;
    Ok(meter.cost(frames))
}
