//! The [`EventBus`]: a bounded broadcast channel of events, and one thread for each event receiver.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tokio::sync::{broadcast, watch};

use crate::config::events::EventsConfig;
use crate::error::{Error, Result};
use crate::events::durable::Durable;
use crate::events::event::Event;
use crate::events::sink_context::{CAPACITY, DRAIN_TIMEOUT, EventEnvelope, EventReceiver, SinkContext};
use crate::events::{json_lines, mqtt, webhook};
use crate::system::clock::SharedClock;
use crate::telemetry::Telemetry;

/// How long a thread may take to end after the drain timeout.
const GRACE: Duration = Duration::from_millis(100);

/// Publishes events to all event receivers. An unreachable receiver never blocks a stream.
pub struct EventBus {
    events: broadcast::Sender<Arc<EventEnvelope>>,
    clock: SharedClock,
    run: String,
    count: AtomicU64,
    /// The cameras whose last loss has no return yet. A restart of a camera does not end it.
    lost: Mutex<BTreeSet<String>>,
    closing: Closing,
    sinks: Vec<Sink>,
    /// Disconnects when every thread has ended.
    ended: Receiver<()>,
}

struct Sink {
    what: String,
    delivered: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

/// Set at the end of the run, to the deadline for the remaining events.
type Closing = watch::Sender<Option<Instant>>;

impl EventBus {
    /// Starts a thread for each configured event receiver. Returns `None` if none is configured.
    ///
    /// # Errors
    /// `Usage` if the file cannot be written; `Unavailable` if a thread cannot be started.
    pub fn start(config: &EventsConfig, telemetry: &Arc<Telemetry>) -> Result<Option<Self>> {
        if config.is_empty() {
            return Ok(None);
        }
        let (alive, ended) = bounded(0);
        let mut event_bus = Self::new(&telemetry.clock, ended);
        if let Some(lines) = &config.lines {
            let sink = json_lines::JsonLinesSink::open(lines)?;
            event_bus.add(&alive, "events", lines.to_string(), move |context| sink.run(context))?;
        }
        if let Some(broker) = &config.broker {
            let (publisher, telemetry) = (mqtt::MqttPublisher::new(broker)?, Arc::clone(telemetry));
            event_bus.add(&alive, "mqtt", broker.to_string(), move |context| publisher.run(telemetry, context))?;
        }
        for hook in &config.webhooks {
            let sink = webhook::WebhookSink::new(hook, &telemetry.clock);
            event_bus.add(&alive, "webhook", hook.to_string(), move |context| sink.run(context))?;
        }
        Ok(Some(event_bus))
    }

    /// Returns a bus without event receivers of its own, and what gets its events. `name` is in the log.
    pub fn to_one(name: &str, clock: &SharedClock) -> (Self, EventReceiver) {
        // No thread has to end.
        let (_, ended) = bounded(0);
        let event_bus = Self::new(clock, ended);
        let receiver = EventReceiver::new(event_bus.events.subscribe(), name);
        (event_bus, receiver)
    }

    fn new(clock: &SharedClock, ended: Receiver<()>) -> Self {
        Self {
            events: broadcast::Sender::new(CAPACITY),
            clock: SharedClock::clone(clock),
            run: format!("{:016x}", fastrand::u64(..)),
            count: AtomicU64::new(0),
            lost: Mutex::default(),
            closing: watch::Sender::new(None),
            sinks: Vec::new(),
            ended,
        }
    }

    fn add<F: Future<Output = ()>>(
        &mut self,
        alive: &Sender<()>,
        name: &str,
        what: String,
        work: impl FnOnce(SinkContext) -> F + Send + 'static,
    ) -> Result<()> {
        let cannot = |cause| Error::unavailable("a thread cannot be started").because(cause);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        let delivered = Arc::new(AtomicU64::new(0));
        let context = SinkContext::new(self.events.subscribe(), &what, &delivered, self.closing.subscribe());
        let alive = alive.clone();
        let run = move || {
            runtime.block_on(work(context));
            // Does not wait for a pending DNS lookup.
            runtime.shutdown_background();
            drop(alive);
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(run).map_err(cannot)?;
        self.sinks.push(Sink { what, delivered, thread });
        Ok(())
    }

    /// Publishes an event to all receivers without blocking. They send it once the disk has the journal's record of it, if `durable`
    /// says when that is.
    pub fn publish(&self, event: &Event, durable: Option<Durable>) {
        let Ok(json) = serde_json::to_string(event) else { return };
        match event {
            Event::Lost { stream, .. } => drop(self.lost().insert((*stream).to_string())),
            Event::Back { stream, .. } => drop(self.lost().remove(*stream)),
            Event::Start { .. } | Event::End { .. } => {}
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let key = format!("{}-{count}", self.run);
        // Fails only if every thread has ended early. `finish` reports undelivered events.
        let _ = self.events.send(Arc::new(EventEnvelope {
            stream: event.stream().into(),
            json,
            key,
            at: self.clock.instant(),
            durable,
        }));
    }

    fn lost(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a loss of this camera was published, and no return.
    pub fn is_lost(&self, stream: &str) -> bool {
        self.lost().contains(stream)
    }

    /// Waits up to one second for the remaining events. Returns a summary of delivered and undelivered events for the
    /// terminal.
    pub fn finish(self) -> String {
        let Self { events, closing, sinks, ended, count, .. } = self;
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        closing.send_replace(Some(deadline));
        drop(events);
        let all_ended = ended.recv_deadline(deadline + GRACE) == Err(RecvTimeoutError::Disconnected);
        let count = count.into_inner();
        let mut text = format!("events: {count}");
        for Sink { what, delivered, thread } in sinks {
            let delivered = delivered.load(Ordering::Relaxed);
            let missed = count.saturating_sub(delivered);
            let missed = if missed > 0 { format!(", {missed} not") } else { String::new() };
            let _ = write!(text, "\n  {what}: {delivered} delivered{missed}");
            // A thread that is blocked in a request ends with the process.
            if all_ended || thread.is_finished() {
                let _ = thread.join();
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::events::Webhook;
    use crate::system::clock::SystemClock;

    #[test]
    fn an_unreachable_receiver_misses_events_and_blocks_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.jsonl");
        // No server listens on port 9, the discard port.
        let unreachable = Webhook { url: "http://127.0.0.1:9/".parse().unwrap(), credentials: None };
        let config = EventsConfig {
            lines: Some(crate::config::events::JsonLines::File(file)),
            broker: None,
            webhooks: vec![unreachable],
        };
        let event_bus = EventBus::start(&config, &Arc::new(Telemetry::new(Vec::new(), false, &SystemClock::shared())))
            .unwrap()
            .unwrap();
        let count = CAPACITY + 100;
        for number in 0..count {
            let back = Event::Back { stream: "door", ms: number as f64, time: String::new() };
            event_bus.publish(&back, None);
            // Gives the file's thread time to keep up.
            std::thread::sleep(Duration::from_micros(50));
        }
        let text = event_bus.finish();
        let (written, posted) = text.split_once("\n  http").unwrap();
        assert!(written.starts_with("events: 1124\n") && written.ends_with(": 1124 delivered"), "{text}");
        assert_eq!(posted, "://127.0.0.1:9: 0 delivered, 1124 not");
    }
}
