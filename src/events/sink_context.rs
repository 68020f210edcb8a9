//! What the [`EventBus`](super::event_bus::EventBus) hands to each event receiver's thread: events, a counter and a
//! deadline.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use crate::events::durable::Durable;

/// Capacity of the broadcast channel. A receiver that is further behind misses the oldest events.
pub(super) const CAPACITY: usize = 1024;
/// How long receivers may deliver waiting events after the streams have ended.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// A serialised event with its stream and its idempotency key.
pub struct EventEnvelope {
    pub stream: String,
    pub json: String,
    /// Unique among all events of all runs.
    pub key: String,
    pub at: Instant,
    /// When it may be sent; `None` for at once.
    pub durable: Option<Durable>,
}

/// What an event receiver's thread works with.
pub(super) struct SinkContext {
    pub events: EventReceiver,
    pub delivered: Arc<AtomicU64>,
    pub deadline: Deadline,
}

impl SinkContext {
    /// `name` is the receiver's name in log messages.
    pub fn new(
        events: broadcast::Receiver<Arc<EventEnvelope>>,
        name: &str,
        delivered: &Arc<AtomicU64>,
        deadline: watch::Receiver<Option<Instant>>,
    ) -> Self {
        let events = EventReceiver::new(events, name);
        Self { events, delivered: Arc::clone(delivered), deadline: Deadline(deadline) }
    }
}

/// One receiver's end of the broadcast channel.
pub struct EventReceiver {
    events: broadcast::Receiver<Arc<EventEnvelope>>,
    name: String,
    /// A warning about dropped events was logged.
    warned: bool,
    /// The next event, while it may not be sent yet, and what it waits for.
    waiting: Option<(Arc<EventEnvelope>, Durable)>,
}

impl EventReceiver {
    pub(super) fn new(events: broadcast::Receiver<Arc<EventEnvelope>>, name: &str) -> Self {
        Self { events, name: name.into(), warned: false, waiting: None }
    }

    /// Returns the next event once it may be sent; `None` at the end of the run. Cancel-safe.
    pub async fn next(&mut self) -> Option<Arc<EventEnvelope>> {
        if self.waiting.is_none() {
            let event = self.receive().await?;
            match event.durable.clone() {
                Some(durable) => self.waiting = Some((event, durable)),
                None => return Some(event),
            }
        }
        if let Some((event, durable)) = &mut self.waiting {
            durable.wait(event.at).await;
        }
        self.waiting.take().map(|(event, _)| event)
    }

    /// Returns whether no further event has been published.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    async fn receive(&mut self) -> Option<Arc<EventEnvelope>> {
        loop {
            match self.events.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Closed) => return None,
                Err(RecvError::Lagged(_)) if self.warned => {}
                Err(RecvError::Lagged(_)) => {
                    self.warned = true;
                    tracing::warn!("{}: more than {CAPACITY} events wait; the oldest are dropped", self.name);
                }
            }
        }
    }
}

/// The deadline for delivering the remaining events. It is set when the streams have ended.
#[derive(Clone)]
pub(super) struct Deadline(watch::Receiver<Option<Instant>>);

impl Deadline {
    /// Waits until the deadline is set.
    pub async fn set(&mut self) {
        // Without a sender the program is ending as well.
        let _ = self.0.wait_for(Option::is_some).await;
    }

    pub fn is_set(&self) -> bool {
        self.0.borrow().is_some() || self.0.has_changed().is_err()
    }

    /// Waits until the deadline has passed.
    pub async fn expires(mut self) {
        self.set().await;
        let deadline = self.0.borrow().unwrap_or_else(|| Instant::now() + DRAIN_TIMEOUT);
        tokio::time::sleep_until(deadline.into()).await;
    }
}
