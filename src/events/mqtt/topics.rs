//! The topics, and the payload of a stream's state.

use serde_json::json;
use time::OffsetDateTime;

use crate::events::escape::level;
use crate::report::rounded;
use crate::system::utc;
use crate::telemetry::status::{Status, StreamPhase};

pub const ONLINE: &str = "online";
pub const OFFLINE: &str = "offline";

/// The last level of an event's topic.
const EVENT: &str = "event";

pub struct Topics {
    pub prefix: String,
}

impl Topics {
    pub fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// The topic of the program's availability.
    pub fn status(&self) -> String {
        format!("{}/status", self.prefix)
    }

    /// The topic of a stream's availability.
    pub fn availability(&self, stream: &str) -> String {
        self.of(stream, "availability")
    }

    pub fn state(&self, stream: &str) -> String {
        self.of(stream, "state")
    }

    pub fn event(&self, stream: &str) -> String {
        self.of(stream, EVENT)
    }

    fn of(&self, stream: &str, what: &str) -> String {
        format!("{}/{}/{what}", self.prefix, level(stream))
    }
}

pub fn is_event(topic: &str) -> bool {
    topic.rsplit('/').next() == Some(EVENT)
}

/// Returns the availability of a stream in this phase.
pub fn availability(phase: StreamPhase) -> &'static str {
    if phase == StreamPhase::Running { ONLINE } else { OFFLINE }
}

/// A stream's state as published.
#[derive(Clone, PartialEq)]
pub struct PublishedState {
    pub state: StreamPhase,
    pub label: Option<String>,
    confidence: f64,
    /// When state or label last changed.
    since: OffsetDateTime,
}

impl PublishedState {
    /// `before` is the state at the previous check.
    pub fn new(status: Status, before: Option<&Self>, now: OffsetDateTime) -> Self {
        let Status { state, label, confidence, .. } = status;
        let confidence = if label.is_some() || state == StreamPhase::Running { rounded(confidence) } else { 0.0 };
        let same = before.filter(|before| (before.state, &before.label) == (state, &label));
        // States are checked every 100 ms, so a change dates from now.
        let since = same.map_or(now, |before| before.since);
        Self { state, label, confidence, since }
    }

    /// Returns whether state or label changed. Ignores the confidence.
    pub fn differs_from(&self, before: &Self) -> bool {
        (self.state, &self.label) != (before.state, &before.label)
    }

    pub fn payload(&self) -> Vec<u8> {
        let Self { state, label, confidence, since } = self;
        json!({"label": label, "confidence": confidence, "state": state, "since": utc::milliseconds(*since)})
            .to_string()
            .into()
    }
}
