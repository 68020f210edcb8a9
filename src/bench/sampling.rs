//! `livelabel bench sampling`: compares the labels of adaptive sampling, and of a fixed stride, with those of analysing every
//! frame. Each clip is analysed once; windows and settings are then applied to its predictions.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::bench::label_change::LabelChange;
use crate::error::Result;
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::inference::preprocess::Preprocessor;
use crate::inference::session::SessionOptions;
use crate::labels::rule::LabelRule;
use crate::labels::sampling::{Sample, replay, replay_forwards};
use crate::labels::window::{SmoothingWindow, WindowAlign};
use crate::media;
use crate::media::clip_decoder::{ClipDecoder, ClipEvent};
use crate::media::limits::Limits;
use crate::picture::LumaGrid;
use crate::system::words::count;

const POLL: Duration = Duration::from_millis(100);
/// Frames that are held: as many as a run holds of 640×360.
const HELD: usize = 740;
/// Windows and hysteresis that are compared, besides the model's.
const WINDOWS: [(SmoothingWindow, WindowAlign); 5] = [
    (SmoothingWindow::Predictions(128), WindowAlign::Trailing),
    (SmoothingWindow::Predictions(128), WindowAlign::Centred),
    (SmoothingWindow::Predictions(16), WindowAlign::Trailing),
    (SmoothingWindow::Predictions(16), WindowAlign::Centred),
    (SmoothingWindow::Predictions(1), WindowAlign::Centred),
];
const HYSTERESIS: [f64; 2] = [0.0, 0.05];
/// Frames after its own by which a camera's label comes, with an engine that is not overloaded.
const LATE: usize = 2;

/// The result of a comparison.
#[derive(Debug, Serialize)]
pub struct Report {
    pub clips: usize,
    pub frames: usize,
    pub model: String,
    pub rows: Vec<Row>,
}

/// One window with one way to choose frames.
#[derive(Debug, Serialize)]
pub struct Row {
    pub window: String,
    pub frames_chosen: String,
    pub change: LabelChange,
}

/// How the frames to analyse are chosen.
#[derive(Clone, Copy, Debug)]
enum Choice {
    Sampling {
        strictness: f64,
        step: usize,
    },
    /// As on a camera.
    Forwards,
    Stride(usize),
}

/// A clip of which every frame was analysed.
pub struct Track {
    pub frames: Vec<TrackFrame>,
}

pub struct TrackFrame {
    /// In nanoseconds.
    pub pts: u64,
    pub end: u64,
    pub prediction: Vec<f32>,
    pub picture: LumaGrid,
}

/// Compares on `clips`: adaptive sampling with each strictness and each longest step, and the fixed `strides`.
///
/// # Errors
/// The errors of a run.
pub fn compare(
    clips: &[PathBuf],
    model: &Model,
    options: SessionOptions,
    strictness: &[f64],
    steps: &[usize],
    strides: &[usize],
) -> Result<Report> {
    media::init()?;
    let engine = Engine::start(model, options, Arc::new(|| false))?;
    let tracks = clips.iter().map(|clip| track(clip, model, &engine)).collect::<Result<Vec<Track>>>()?;
    let sampling = strictness.iter().flat_map(|&strictness| steps.iter().map(move |&step| (strictness, step)));
    let choices: Vec<Choice> = sampling
        .map(|(strictness, step)| Choice::Sampling { strictness, step })
        .chain([Choice::Forwards])
        .chain(strides.iter().map(|&stride| Choice::Stride(stride)))
        .collect();
    let mut rows = Vec::new();
    for (window, rules) in windows(model) {
        for choice in &choices {
            if matches!(choice, Choice::Forwards) && rules.iter().any(|rule| rule.looks_ahead()) {
                continue;
            }
            let mut change = LabelChange::default();
            for track in tracks.iter().filter(|track| !track.frames.is_empty()) {
                rules.iter().for_each(|rule| change.add(rule, track, &choice.samples(rule, track)));
            }
            rows.push(Row { window: window.clone(), frames_chosen: choice.name(), change });
        }
    }
    let frames = tracks.iter().map(|track| track.frames.len()).sum();
    Ok(Report { clips: clips.len(), frames, model: model.name.clone(), rows })
}

impl Report {
    /// Formats the report as a Markdown table.
    pub fn text(&self) -> String {
        let mut lines = vec![
            "| window | frames chosen by | analysed | same label | edges | off by more than 2 frames | intervals of 0.5 s lost, invented |"
                .to_string(),
            "|---|---|---|---|---|---|---|".into(),
        ];
        lines.extend(self.rows.iter().map(|Row { window, frames_chosen, change }| {
            let share = |part: usize| 100.0 * part as f64 / change.frames.max(1) as f64;
            format!(
                "| {window} | {frames_chosen} | {:.1} % | {:.3} % | {} | {} | {}, {} |",
                share(change.analysed),
                share(change.same),
                change.edges,
                change.shifted,
                change.lost,
                change.invented
            )
        }));
        lines.push(format!(
            "\n{}, {}; model {}",
            count(self.clips as u64, "clip"),
            count(self.frames as u64, "frame"),
            self.model
        ));
        lines.join("\n")
    }
}

/// Returns the windows that are compared, each with its rules: the model's own, and the others with every hysteresis.
fn windows(model: &Model) -> Vec<(String, Vec<LabelRule>)> {
    let Model { window, threshold, hysteresis, .. } = *model;
    let own = |align| LabelRule { action: None, window, align, threshold, hysteresis };
    let mut windows: Vec<(String, Vec<LabelRule>)> = [WindowAlign::Centred, WindowAlign::Trailing]
        .map(|align| (format!("{window}, {align:?}, hysteresis {hysteresis}").to_lowercase(), vec![own(align)]))
        .into();
    for (window, align) in WINDOWS {
        let rule = |hysteresis| LabelRule { action: None, window, align, threshold: 0.0, hysteresis };
        windows.push((format!("{window}, {align:?}").to_lowercase(), HYSTERESIS.map(rule).into()));
    }
    windows
}

/// Analyses every frame of a clip.
fn track(clip: &Path, model: &Model, engine: &Engine) -> Result<Track> {
    let client = engine.client(false);
    let mut preprocessor = Preprocessor::new(&model.input);
    let mut source = ClipDecoder::open(clip, Limits::default(), &|| false)?;
    let mut pending = Vec::new();
    source.play()?;
    loop {
        match source.next(POLL) {
            None => {}
            Some(ClipEvent::Frame(frame)) => {
                let mut tensor = client.tensor();
                preprocessor.prepare(&frame.picture(), tensor.view_mut())?;
                let reply = client.submit(tensor, false)?;
                pending.push((frame.pts, frame.end(), LumaGrid::of(&frame.picture()), reply));
            }
            Some(ClipEvent::End) => break,
            Some(ClipEvent::Failed(error)) => return Err(error),
        }
    }
    let frames = pending
        .into_iter()
        .map(|(pts, end, picture, reply)| reply.wait().map(|prediction| TrackFrame { pts, end, prediction, picture }));
    Ok(Track { frames: frames.collect::<Result<_>>()? })
}

impl Choice {
    fn name(self) -> String {
        match self {
            Self::Sampling { strictness, step } => format!("sampling, strictness {strictness}, step up to {step}"),
            Self::Forwards => "sampling as on a camera".into(),
            Self::Stride(stride) => format!("stride {stride}"),
        }
    }

    /// Returns the predictions that a run would label.
    fn samples(self, rule: &LabelRule, track: &Track) -> Vec<Sample> {
        match self {
            Self::Sampling { strictness, step } => {
                let plan = rule.sampling_plan(track.rate(), HELD, strictness).with_max_step(step);
                let sampler = rule.sampler(track.frames[0].prediction.len(), plan);
                let frames = track.frames.iter().map(|frame| (frame.pts, frame.picture.clone()));
                replay(sampler, frames, |number| track.frames[number].prediction.clone(), 0).0
            }
            Self::Forwards => {
                let labeler = rule.labeler(track.frames[0].prediction.len(), 0);
                let frames = track.frames.iter().map(|frame| (frame.pts, frame.picture.clone()));
                replay_forwards(labeler, frames, |number| track.frames[number].prediction.clone(), LATE)
            }
            Self::Stride(stride) => {
                let held = |number: usize| Sample {
                    probabilities: track.frames[number - number % stride].prediction.clone(),
                    analysed: number.is_multiple_of(stride),
                };
                (0..track.frames.len()).map(held).collect()
            }
        }
    }
}

impl Track {
    /// Returns the frames a second.
    fn rate(&self) -> f64 {
        let (first, last) = (self.frames[0].pts, self.frames[self.frames.len() - 1].pts);
        (self.frames.len() - 1) as f64 * 1e9 / (last - first).max(1) as f64
    }
}
