//! Keeps a small picture of each interval for the page: of its first frame, and again whenever its label becomes clearly
//! more confident.

use std::sync::Arc;

use crate::error::Result;
use crate::picture::file::thumbnail;
use crate::pipeline::context::StreamContext;
use crate::pipeline::sinks::sink::{LabeledFrame, Sink};
use crate::report::milliseconds;
use crate::telemetry::{Picture, StreamState};

/// Longest side of a picture, in pixels.
const LONGEST: usize = 640;
/// By how much the confidence must rise for a new picture: an interval costs at most a few pictures, however long it is.
const RISE: f64 = 0.1;

/// Keeps pictures of the intervals of a stream.
pub struct KeptPicturesSink<'a> {
    state: &'a Arc<StreamState>,
    /// The interval of the last picture, and its confidence.
    kept: Option<(u64, f64)>,
}

impl<'a> KeptPicturesSink<'a> {
    /// Returns `None` without a page.
    pub fn new(context: &StreamContext<'a>) -> Option<Self> {
        context.state.is_shown().then_some(Self { state: context.state, kept: None })
    }
}

impl Sink for KeptPicturesSink<'_> {
    /// Called after the stream's state knows the open interval.
    fn frame(&mut self, labeled: &LabeledFrame) -> Result<()> {
        let Some(interval) = self.state.open_interval() else { return Ok(()) };
        let confidence = labeled.decision.confidence;
        if self.kept.is_some_and(|(kept, before)| kept == interval && confidence < before + RISE) {
            return Ok(());
        }
        self.kept = Some((interval, confidence));
        match thumbnail(&labeled.frame.picture(), (LONGEST, LONGEST)) {
            Ok(jpeg) => {
                let picture = Picture { jpeg: jpeg.into(), ms: milliseconds(labeled.frame.pts) };
                self.state.kept.put(interval, picture);
            }
            // A picture for the page must not end a run.
            Err(error) => {
                tracing::error!("{error}; the page shows an interval of {} without one", self.state.info.name)
            }
        }
        Ok(())
    }
}
