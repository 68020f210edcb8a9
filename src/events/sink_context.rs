//! What a sink of events works with.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

/// Events that wait for a sink that does not take them; beyond it the oldest are left out.
pub(super) const CAPACITY: usize = 1024;
/// How long what waits may be delivered after the streams have ended.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);

/// An event on its way.
pub(super) struct EventEnvelope {
    pub stream: String,
    pub json: String,
    /// Different for every event of every run.
    pub key: String,
    pub at: Instant,
}

/// What a sink works with.
pub(super) struct SinkContext {
    pub events: EventReceiver,
    pub delivered: Arc<AtomicU64>,
    pub deadline: Deadline,
}

impl SinkContext {
    /// For the sink called `name`.
    pub fn new(
        events: broadcast::Receiver<Arc<EventEnvelope>>,
        name: &str,
        delivered: &Arc<AtomicU64>,
        deadline: watch::Receiver<Option<Instant>>,
    ) -> Self {
        let events = EventReceiver { events, name: name.into(), warned: false };
        Self { events, delivered: Arc::clone(delivered), deadline: Deadline(deadline) }
    }
}

/// The events as one sink takes them.
pub(super) struct EventReceiver {
    events: broadcast::Receiver<Arc<EventEnvelope>>,
    name: String,
    /// Whether it was said that events are left out.
    warned: bool,
}

impl EventReceiver {
    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Arc<EventEnvelope>> {
        loop {
            match self.events.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Closed) => return None,
                Err(RecvError::Lagged(_)) if self.warned => {}
                Err(RecvError::Lagged(_)) => {
                    self.warned = true;
                    tracing::warn!("{}: more than {CAPACITY} events wait; the oldest are left out", self.name);
                }
            }
        }
    }
}

/// The moment at which everyone gives up.
#[derive(Clone)]
pub(super) struct Deadline(watch::Receiver<Option<Instant>>);

impl Deadline {
    /// Waits until the end has begun.
    pub async fn begins(&mut self) {
        // Without a sender the program is ending too.
        let _ = self.0.wait_for(Option::is_some).await;
    }

    pub fn has_begun(&self) -> bool {
        self.0.borrow().is_some() || self.0.has_changed().is_err()
    }

    /// Waits until the time is over.
    pub async fn passes(mut self) {
        self.begins().await;
        let deadline = self.0.borrow().unwrap_or_else(|| Instant::now() + FAREWELL);
        tokio::time::sleep_until(deadline.into()).await;
    }
}
