//! The state of every stream, for page, metrics and terminal.
//!
//! A stream's threads write, everybody else reads. Writing takes a short lock and nothing that grows with the number of
//! those who read; all that is remembered has a bound.

mod finished_run;
mod history;
mod pictures;
mod progress;
pub mod status;
mod stream_state;

use std::sync::Arc;

use time::OffsetDateTime;

use crate::utc;

pub use finished_run::FinishedRun;
pub use history::{Gap, Row, Span};
pub use pictures::Picture;
pub use progress::Progress;
pub use stream_state::{StreamInfo, StreamState};

/// A label's value as the metrics' exporter wants it, which takes a pair of backslashes for one.
pub fn label_value(text: &str) -> String {
    text.replace('\\', "\\\\")
}

/// All streams of a run, in the order in which they were given.
pub struct Telemetry {
    pub started: OffsetDateTime,
    pub streams: Vec<Arc<StreamState>>,
}

impl Telemetry {
    pub fn new(streams: Vec<Arc<StreamState>>) -> Self {
        Self { started: utc::now(), streams }
    }

    pub fn find(&self, name: &str) -> Option<&Arc<StreamState>> {
        self.streams.iter().find(|stream| stream.info.name == name)
    }
}
