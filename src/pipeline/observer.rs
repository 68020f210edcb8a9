//! How a program that embeds livelabel follows a run.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::pipeline::analyzer::RunReport;
use crate::pipeline::outcome::Outcome;
use crate::telemetry::{StreamInfo, StreamState};

/// A stretch of a stream in which one label was shown on every frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabeledInterval<'a> {
    pub label: &'a str,
    /// Time of the stream at which its first frame is shown; a stream starts at 0.
    pub start: Duration,
    /// Time of the stream at which its last frame ends.
    pub end: Duration,
    /// Mean and highest confidence of its frames, from 0 to 1.
    pub mean: f64,
    pub peak: f64,
    /// Where the single predictions begin and end to speak for the label: estimates of when the activity itself began
    /// and ended, which smoothing shows late or blurred.
    pub onset: Duration,
    pub offset: Duration,
}

/// A picture and what the model says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct LabeledPicture<'a> {
    pub input: &'a Path,
    /// Every label of the model with its probability, the most probable first.
    pub confidences: Vec<(&'a str, f64)>,
    /// The files that were written.
    pub files: Vec<PathBuf>,
}

/// Receives what happens in a run. Every method has a default that does nothing.
///
/// The streams' threads call the methods: several streams may call at the same time, and a slow observer delays the stream
/// that calls it.
pub trait Observer: Sync {
    /// A stream starts: its input is about to be opened.
    fn started(&self, _stream: &Arc<StreamState>) {}

    /// An interval has ended.
    fn interval(&self, _stream: &StreamInfo, _interval: LabeledInterval) {}

    /// With `--resume`: an earlier run has completed the clip. The intervals that were passed for it are those of its timeline.
    fn skipped(&self, _stream: &Arc<StreamState>) {}

    /// A picture was labelled, or could not be.
    fn picture(&self, _name: &str, _result: Result<&LabeledPicture, &Error>) {}

    /// A stream has ended and its files are closed. `result` is an error if it could not start; an [`Outcome`] may hold an
    /// error of the run.
    fn ended(&self, _stream: &Arc<StreamState>, _result: Result<&Outcome, &Error>) {}

    /// All streams have ended and all events are delivered. `page` is the address of the page if it stays until the request
    /// to stop.
    fn all_ended(&self, _report: &RunReport, _page: Option<SocketAddr>) {}
}

/// Observes nothing.
impl Observer for () {}
