//! Where things are published, and how a state reads.

use serde_json::json;
use time::OffsetDateTime;

use crate::events::escape::level;
use crate::report::rounded;
use crate::telemetry::status::{State, Status};
use crate::utc;

pub const ONLINE: &str = "online";
pub const OFFLINE: &str = "offline";

/// What the last level of an event's topic is called.
const EVENT: &str = "event";

pub struct Topics {
    pub prefix: String,
}

impl Topics {
    pub fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// Whether the program is there.
    pub fn status(&self) -> String {
        format!("{}/status", self.prefix)
    }

    /// Whether a stream is there.
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

/// Whether a stream in this state is there.
pub fn availability(state: State) -> &'static str {
    if state == State::Running { ONLINE } else { OFFLINE }
}

/// How a stream is, as it is published.
#[derive(Clone, PartialEq)]
pub struct Now {
    pub state: State,
    pub label: Option<String>,
    confidence: f64,
    /// Since when state and label are these.
    since: OffsetDateTime,
}

impl Now {
    /// `before` is how it was.
    pub fn new(status: Status, before: Option<&Now>) -> Self {
        let Status { state, label, confidence, .. } = status;
        let confidence = if label.is_some() || state == State::Running { rounded(confidence) } else { 0.0 };
        let same = before.filter(|before| (before.state, &before.label) == (state, &label));
        // It is looked at so often that what is new is new now.
        let since = same.map_or_else(utc::now, |before| before.since);
        Self { state, label, confidence, since }
    }

    pub fn is_another_than(&self, before: &Now) -> bool {
        (self.state, &self.label) != (before.state, &before.label)
    }

    pub fn payload(&self) -> Vec<u8> {
        let Self { state, label, confidence, since } = self;
        json!({"label": label, "confidence": confidence, "state": state, "since": utc::milliseconds(*since)})
            .to_string()
            .into()
    }
}
