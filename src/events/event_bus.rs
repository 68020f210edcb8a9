//! Owns the ring of events and the threads that take from it.

use std::fmt::Write as _;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tokio::sync::{broadcast, watch};

use crate::config::events::EventsConfig;
use crate::error::{Error, Result};
use crate::events::event::Event;
use crate::events::sink_context::{CAPACITY, EventEnvelope, FAREWELL, SinkContext};
use crate::events::{json_lines, mqtt, webhook};
use crate::telemetry::Telemetry;

/// How much longer a thread may take to see that.
const GRACE: Duration = Duration::from_millis(100);

/// Tells everyone who shall be told.
pub struct EventBus {
    events: broadcast::Sender<Arc<EventEnvelope>>,
    run: String,
    count: AtomicU64,
    closing: Closing,
    sinks: Vec<Sink>,
    /// Disconnected when every thread has ended.
    ended: Receiver<()>,
}

struct Sink {
    what: String,
    delivered: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

/// Set at the end to the moment at which everyone gives up.
type Closing = watch::Sender<Option<Instant>>;

impl EventBus {
    /// Starts the sinks; `None` where there are none.
    ///
    /// # Errors
    /// Usage, where the file cannot be written; unavailable, where a thread cannot be started.
    pub fn start(config: &EventsConfig, telemetry: &Arc<Telemetry>) -> Result<Option<Self>> {
        if config.is_empty() {
            return Ok(None);
        }
        let (alive, ended) = bounded(0);
        let mut event_bus = Self {
            events: broadcast::Sender::new(CAPACITY),
            run: format!("{:016x}", fastrand::u64(..)),
            count: AtomicU64::new(0),
            closing: watch::Sender::new(None),
            sinks: Vec::new(),
            ended,
        };
        if let Some(lines) = &config.lines {
            let writer = json_lines::Writer::open(lines)?;
            event_bus.add(&alive, "events", lines.to_string(), move |context| writer.run(context))?;
        }
        if let Some(broker) = &config.broker {
            let (client, telemetry) = (mqtt::Client::new(broker)?, Arc::clone(telemetry));
            event_bus.add(&alive, "mqtt", broker.to_string(), move |context| client.run(telemetry, context))?;
        }
        for hook in &config.webhooks {
            let sink = webhook::WebhookSink::new(hook);
            event_bus.add(&alive, "webhook", hook.to_string(), move |context| sink.run(context))?;
        }
        Ok(Some(event_bus))
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
            // A name that is still being looked up is not waited for.
            runtime.shutdown_background();
            drop(alive);
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(run).map_err(cannot)?;
        self.sinks.push(Sink { what, delivered, thread });
        Ok(())
    }

    /// Tells an event. Never waits.
    pub fn tell(&self, event: &Event) {
        let Ok(json) = serde_json::to_string(event) else { return };
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let key = format!("{}-{count}", self.run);
        // Without a receiver every thread has ended early, and what is not delivered is told at the end.
        let _ =
            self.events.send(Arc::new(EventEnvelope { stream: event.stream().into(), json, key, at: Instant::now() }));
    }

    /// Lets everyone finish in the time that is left; returns what became of the events, for people.
    pub fn finish(self) -> String {
        let Self { events, closing, sinks, ended, count, .. } = self;
        let deadline = Instant::now() + FAREWELL;
        closing.send_replace(Some(deadline));
        drop(events);
        let all = ended.recv_deadline(deadline + GRACE) == Err(RecvTimeoutError::Disconnected);
        let count = count.into_inner();
        let mut text = format!("events: {count}");
        for Sink { what, delivered, thread } in sinks {
            let delivered = delivered.load(Ordering::Relaxed);
            let missed = count.saturating_sub(delivered);
            let missed = if missed > 0 { format!(", {missed} not") } else { String::new() };
            let _ = write!(text, "\n  {what}: {delivered} delivered{missed}");
            // Who hangs in a request that is not answered is left to the end of the process.
            if all || thread.is_finished() {
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

    #[test]
    fn who_is_away_misses_the_oldest_and_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.jsonl");
        // Nobody listens at the port for discarding.
        let nobody = Webhook { url: "http://127.0.0.1:9/".parse().unwrap(), login: None };
        let config = EventsConfig {
            lines: Some(crate::config::events::Lines::File(file)),
            broker: None,
            webhooks: vec![nobody],
        };
        let event_bus = EventBus::start(&config, &Arc::new(Telemetry::new(Vec::new()))).unwrap().unwrap();
        let count = CAPACITY + 100;
        for number in 0..count {
            let back = Event::Back { stream: "door", ms: number as f64, time: String::new() };
            event_bus.tell(&back);
            // The file's thread shares two cores with everything else.
            std::thread::sleep(Duration::from_micros(50));
        }
        let text = event_bus.finish();
        let (written, posted) = text.split_once("\n  http").unwrap();
        assert!(written.starts_with("events: 1124\n") && written.ends_with(": 1124 delivered"), "{text}");
        assert_eq!(posted, "://127.0.0.1:9: 0 delivered, 1124 not");
    }
}
