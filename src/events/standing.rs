//! How a stream is at this moment, for those who are told of more than events.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;
use tokio::sync::Notify;

/// One stream, told by its threads and read by others.
pub struct Standing {
    pub name: String,
    /// Whether it is a camera; a clip leaves nothing behind that would be out of date when it is over.
    pub live: bool,
    now: Mutex<Now>,
    changed: Arc<Notify>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Now {
    pub state: &'static str,
    /// None while the picture says "computing...".
    pub label: Option<String>,
    pub confidence: f64,
    /// Since when state and label are these.
    pub since: OffsetDateTime,
}

impl Standing {
    /// `changed` is notified of every other state or label.
    pub fn new(name: String, live: bool, changed: Arc<Notify>) -> Self {
        let now = Now { state: "connecting", label: None, confidence: 0.0, since: OffsetDateTime::now_utc() };
        Self { name, live, now: Mutex::new(now), changed }
    }

    pub fn now(&self) -> Now {
        self.lock().clone()
    }

    /// It is in another state, unless it is in this one already.
    pub fn state(&self, state: &'static str) {
        let mut now = self.lock();
        if now.state != state {
            (now.state, now.since) = (state, OffsetDateTime::now_utc());
            self.changed.notify_one();
        }
    }

    /// What is shown on a frame, which appeared at `time`.
    pub(super) fn shown(&self, label: Option<&str>, confidence: f64, time: OffsetDateTime) {
        let mut now = self.lock();
        now.confidence = confidence;
        if now.label.as_deref() != label {
            (now.label, now.since) = (label.map(Into::into), time);
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
