//! How a stream ended.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::inference::engine::Engine;
use crate::media::recorder::Recorded;
use crate::report::journal::{AutoStride, FrameCounts, Record};
use crate::report::summary::Gaps;
use crate::telemetry::status::Latency;

/// What runs the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineInfo {
    /// `cpu`, `openvino`, `cuda` or `cuda:N`.
    pub device: String,
    /// What the numbers are computed in, for people.
    pub arithmetic: String,
    /// The largest batch, in frames.
    pub batch: usize,
}

impl EngineInfo {
    pub(super) fn of(engine: &Engine) -> Self {
        Self { device: engine.device().to_string(), arithmetic: engine.arithmetic().into(), batch: engine.batch() }
    }
}

/// How a stream ended, with what it found. The files are closed either way.
pub struct Outcome {
    pub engine: EngineInfo,
    pub began: Instant,
    pub frames: FrameCounts,
    /// From the start to the closed video.
    pub wall: Duration,
    /// End of the last labelled frame, in nanoseconds.
    pub position: u64,
    /// Whether the input was analysed to its end. A camera has none, and is complete when the user stops it.
    pub complete: bool,
    /// Set where the user stopped the run before a clip's end.
    pub interrupted: bool,
    /// The first thing that went wrong on the way; what came before it is in the files.
    pub error: Option<Error>,
    pub intervals: u64,
    pub gaps: Gaps,
    /// Gaps that are too long to be filled in an AVI.
    pub long_gaps: u64,
    /// What `--stride auto` chose last on a clip, with the agreement it measured.
    pub stride: Option<(u64, f64)>,
    pub latency: Latency,
    pub reconnects: u64,
    pub stalls: u64,
    /// GStreamer's decoder of a clip.
    pub decoder: Option<String>,
    /// What was done to a clip's video to keep an AVI's rate.
    pub recorded: Recorded,
    /// The files of a clip.
    pub files: Vec<PathBuf>,
    /// A camera's videos, those that failed, and pictures that were left out.
    pub videos: u64,
    pub video_failures: u64,
    pub pictures_skipped: u64,
}

impl Outcome {
    pub(super) fn new(began: Instant, engine: EngineInfo) -> Self {
        Self {
            engine,
            began,
            frames: FrameCounts::default(),
            wall: Duration::ZERO,
            position: 0,
            complete: false,
            interrupted: false,
            error: None,
            intervals: 0,
            gaps: Gaps::default(),
            long_gaps: 0,
            stride: None,
            latency: Latency::default(),
            reconnects: 0,
            stalls: 0,
            decoder: None,
            recorded: Recorded::default(),
            files: Vec::new(),
            videos: 0,
            video_failures: 0,
            pictures_skipped: 0,
        }
    }

    /// Frames labelled in a second of real time.
    pub fn frames_per_second(&self) -> f64 {
        (self.frames.analysed + self.frames.held) as f64 / self.wall.as_secs_f64().max(1e-9)
    }

    /// The last record of a journal.
    pub(super) fn record(&self, auto_stride: Option<AutoStride>) -> Record {
        Record::End {
            frames: self.frames.clone(),
            wall_s: self.wall.as_secs_f64(),
            frames_per_second: self.frames_per_second(),
            reconnects: self.reconnects,
            auto_stride,
            complete: self.complete,
        }
    }
}
