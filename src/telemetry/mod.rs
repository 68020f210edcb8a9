//! Telemetry: the state of every stream, for the page, metrics and terminal.
//!
//! A stream's threads write, all others read. A write takes a short lock, and its cost does not depend on the number of
//! readers. All history is bounded.

mod finished_run;
mod history;
mod kept_pictures;
mod metric_label;
mod pictures;
mod progress;
pub mod status;
mod stream_state;

use std::sync::Arc;

use time::OffsetDateTime;

use crate::system::utc;

pub use finished_run::FinishedRun;
pub use history::{Gap, Row, Span};
pub use metric_label::label_value;
pub use pictures::Picture;
pub use progress::Progress;
pub use stream_state::{StreamInfo, StreamState};

/// All streams of a run, in the order of the command line.
pub struct Telemetry {
    pub started: OffsetDateTime,
    pub streams: Vec<Arc<StreamState>>,
    /// Whether there is an index to ask about what was before.
    pub history: bool,
}

impl Telemetry {
    pub fn new(streams: Vec<Arc<StreamState>>, history: bool) -> Self {
        Self { started: utc::now(), streams, history }
    }

    pub fn find(&self, name: &str) -> Option<&Arc<StreamState>> {
        self.streams.iter().find(|stream| stream.info.name == name)
    }
}
