//! The summary file of a camera's run.

use std::path::PathBuf;

use crate::error::Result;
use crate::pipeline::context::StreamContext;
use crate::pipeline::outcome::Outcome;
use crate::pipeline::sinks::sink::Sink;
use crate::report::summary::{self, SUMMARY_SCHEMA, SUMMARY_VERSION, Summary};
use crate::system::clock::SharedClock;
use crate::system::utc;

/// Writes the summary after all other files are finalised.
pub struct SummarySink<'a> {
    clock: &'a SharedClock,
    path: PathBuf,
    input: String,
    started: String,
}

impl<'a> SummarySink<'a> {
    /// `started` is the start of the run, as in the journals.
    pub fn new(context: &StreamContext<'a>, path: PathBuf, started: String) -> Self {
        Self { clock: context.clock, path, input: context.job.shown(), started }
    }
}

impl Sink for SummarySink<'_> {
    fn finish(self: Box<Self>, outcome: &mut Outcome) -> Result<()> {
        let numbers = Summary {
            schema: SUMMARY_SCHEMA,
            version: SUMMARY_VERSION,
            input: self.input,
            started: self.started,
            ended: utc::exact(self.clock.utc()),
            frames: outcome.frames.clone(),
            wall_s: outcome.wall.as_secs_f64(),
            reconnects: outcome.reconnects,
            stalls: outcome.stalls,
            gaps: outcome.gaps,
            intervals: outcome.intervals,
            latency_ms: outcome.latency,
            videos: outcome.videos,
            video_failures: outcome.video_failures,
            pictures_skipped: outcome.pictures_skipped,
            video_bytes: outcome.recorded_bytes,
        };
        summary::write(&self.path, &numbers)
    }
}
