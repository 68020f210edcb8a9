//! Where things are published, and how a state reads.

use serde_json::json;

use crate::events::escape::level;
use crate::events::event::rfc3339;
use crate::events::standing::Now;

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
pub fn availability(state: &str) -> &'static str {
    if state == "running" { ONLINE } else { OFFLINE }
}

pub fn payload(now: &Now) -> Vec<u8> {
    let Now { state, label, confidence, since } = now;
    json!({"label": label, "confidence": confidence, "state": state, "since": rfc3339(*since)}).to_string().into()
}
