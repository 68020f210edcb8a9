//! The outcome of a stream.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::media::recorder::Recorded;
use crate::report::journal::{FrameCounts, Record};
use crate::report::milliseconds;
use crate::report::summary::Gaps;
use crate::telemetry::status::Latency;

/// What runs the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineInfo {
    /// `cpu`, `openvino`, `cuda` or `cuda:N`.
    pub device: String,
    /// What the numbers are computed in, for people.
    pub effective_precision: String,
    /// The largest batch, in frames.
    pub batch: usize,
}

impl EngineInfo {
    pub(crate) fn of(engine: &Engine) -> Self {
        Self {
            device: engine.device().to_string(),
            effective_precision: engine.effective_precision().into(),
            batch: engine.batch(),
        }
    }
}

/// Formats it as `openvino in int8, batches of up to 4`.
impl fmt::Display for EngineInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}, batches of up to {}", self.device, self.effective_precision, self.batch)
    }
}

/// Formats the model like `drinking-cooking.int8.onnx (int8)`.
pub(super) fn model_line(model: &Model) -> String {
    format!("{} ({})", model.name, model.precision)
}

/// What a recording has come to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RecordingTotals {
    /// Complete files.
    pub files: u64,
    pub failures: u64,
    pub bytes: u64,
}

/// The outcome of a stream: counts, results and the first error. The files are finalised in any case.
pub struct Outcome {
    pub engine: EngineInfo,
    /// The model's name and precision.
    pub model: String,
    pub began: Instant,
    pub frames: FrameCounts,
    /// Time from the start to the last sink's end; to a sink that finishes, until then.
    pub wall: Duration,
    /// End of the last labelled frame, in nanoseconds.
    pub position: u64,
    /// Whether the input was analysed to its end. A camera is complete when the user stops it.
    pub complete: bool,
    /// Whether the user stopped the run before a clip's end.
    pub interrupted: bool,
    /// The first error while running. The files hold everything before it.
    pub error: Option<Error>,
    pub intervals: u64,
    pub gaps: Gaps,
    /// Gaps that are too long to fill in an AVI.
    pub long_gaps: u64,
    /// Duration in nanoseconds of the shortest activity that gets a label if every prediction is certain; `None` if
    /// there were too few frames to know.
    pub shortest: Option<u64>,
    /// The frames that a centred window was limited to, if it would need more memory.
    pub ahead_limit: Option<usize>,
    pub latency: Latency,
    pub reconnects: u64,
    pub stalls: u64,
    /// The GStreamer decoder of a clip.
    pub decoder: Option<String>,
    /// Frames repeated or skipped to keep an AVI's constant rate.
    pub recorded: Recorded,
    /// The files of a clip.
    pub files: Vec<PathBuf>,
    /// A camera's videos, failed videos, and frames that were skipped.
    pub videos: u64,
    pub video_failures: u64,
    pub pictures_skipped: u64,
    /// Bytes of a camera's videos.
    pub recorded_bytes: u64,
}

impl Outcome {
    pub(super) fn new(began: Instant) -> Self {
        Self {
            engine: EngineInfo::default(),
            model: String::new(),
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
            shortest: None,
            ahead_limit: None,
            latency: Latency::default(),
            reconnects: 0,
            stalls: 0,
            decoder: None,
            recorded: Recorded::default(),
            files: Vec::new(),
            videos: 0,
            video_failures: 0,
            pictures_skipped: 0,
            recorded_bytes: 0,
        }
    }

    /// Adds what a camera's recording has come to. `skipped` frames were left out.
    pub(super) fn add_recording(&mut self, totals: RecordingTotals, skipped: u64) {
        self.videos += totals.files;
        self.video_failures += totals.failures;
        self.pictures_skipped += skipped;
        self.recorded_bytes += totals.bytes;
    }

    /// Returns labelled frames per second of real time.
    pub fn frames_per_second(&self) -> f64 {
        (self.frames.analysed + self.frames.held) as f64 / self.wall.as_secs_f64().max(1e-9)
    }

    /// Returns the last record of a journal.
    pub(super) fn record(&self) -> Record {
        Record::End {
            frames: self.frames.clone(),
            wall_s: self.wall.as_secs_f64(),
            frames_per_second: self.frames_per_second(),
            reconnects: self.reconnects,
            shortest_ms: self.shortest.map(milliseconds),
            complete: self.complete,
        }
    }
}
