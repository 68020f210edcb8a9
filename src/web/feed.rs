//! The [`Feed`]: detects changes of all streams once for all subscribers. Sends their states each second and on every
//! change, and their new rows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::{Notify, broadcast};

use crate::telemetry::status::StreamPhase;
use crate::telemetry::{StreamState, Streams, Telemetry};
use crate::web::json::{self, Offers};

/// How often states and labels are checked for changes.
const TICK: Duration = Duration::from_millis(100);
/// Longest time between two messages with the states of all streams.
const STREAMS: Duration = Duration::from_secs(1);
/// Time between two messages with rows of the same stream.
const ROWS: Duration = Duration::from_millis(250);
/// A subscriber's queue holds the messages of this many seconds, at four a second for each stream. A subscriber that
/// falls further behind is disconnected. It reconnects and loads everything again.
const SECONDS: usize = 4;
/// Smallest number of streams that the queue has room for, since streams may be added.
const LEAST: usize = 32;

/// A message for subscribers.
#[derive(Clone)]
pub struct Message {
    pub event: &'static str,
    /// JSON.
    pub data: String,
}

/// Broadcasts messages to all subscribers. Does nothing while there are none.
pub struct Feed {
    pub offers: Offers,
    sender: broadcast::Sender<Option<Message>>,
    joined: Notify,
}

impl Feed {
    pub fn new(streams: usize, offers: Offers) -> Self {
        let capacity = 4 * SECONDS * (streams.max(LEAST) + 1);
        Self { offers, sender: broadcast::Sender::new(capacity), joined: Notify::new() }
    }

    /// Subscribes to all changes from now on. `None` follows the last message.
    pub fn subscribe(&self) -> broadcast::Receiver<Option<Message>> {
        let receiver = self.sender.subscribe();
        self.joined.notify_one();
        receiver
    }

    /// Returns a message with the state of all streams.
    pub fn streams(&self, telemetry: &Telemetry) -> Option<Message> {
        let streams = telemetry.streams();
        let states = json::all(&streams, telemetry.started, self.offers);
        Some(Message { event: "streams", data: serde_json::to_string(&states).ok()? })
    }

    /// Sends changes until `closed` completes, then the final states.
    pub async fn run(&self, telemetry: &Telemetry, closed: impl Future<Output = ()>) {
        let mut closed = std::pin::pin!(closed);
        loop {
            let mut changes = Changes::of(telemetry);
            while self.sender.receiver_count() > 0 {
                changes.send(self, false);
                let tick = tokio::time::sleep(TICK);
                tokio::select! {
                    () = tick => {}
                    () = closed.as_mut() => {
                        changes.send(self, true);
                        let _ = self.sender.send(None);
                        return;
                    }
                }
            }
            tokio::select! {
                () = self.joined.notified() => {}
                () = closed.as_mut() => return,
            }
        }
    }
}

/// What was sent last.
struct Changes<'a> {
    telemetry: &'a Telemetry,
    streams: Streams,
    phases: Vec<(StreamPhase, Option<String>)>,
    sent: Instant,
    /// For each stream: the revision of its last rows, and when they were sent.
    rows: Vec<(u64, Instant)>,
}

impl<'a> Changes<'a> {
    fn of(telemetry: &'a Telemetry) -> Self {
        let (now, streams) = (Instant::now(), telemetry.streams());
        let rows = streams.iter().map(|stream| (stream.since(u64::MAX).revision, now)).collect();
        Self { telemetry, phases: phases(&streams), streams, sent: now, rows }
    }

    /// Takes over the streams that there are now. Of a new one, everything is sent.
    fn update_streams(&mut self) {
        let streams = self.telemetry.streams();
        if Arc::ptr_eq(&streams, &self.streams) {
            return;
        }
        let now = Instant::now();
        let known = |stream: &Arc<StreamState>| self.streams.iter().position(|old| Arc::ptr_eq(old, stream));
        self.rows = streams.iter().map(|stream| known(stream).map_or((0, now), |old| self.rows[old])).collect();
        self.streams = streams;
    }

    /// Sends what changed. With `last`, always sends the states.
    fn send(&mut self, feed: &Feed, last: bool) {
        self.update_streams();
        let phases = phases(&self.streams);
        if last || phases != self.phases || self.sent.elapsed() >= STREAMS {
            (self.phases, self.sent) = (phases, Instant::now());
            let _ = feed.sender.send(feed.streams(self.telemetry));
        }
        for (stream, sent) in self.streams.iter().zip(&mut self.rows) {
            if let Some(message) = rows(stream, sent, last) {
                let _ = feed.sender.send(Some(message));
            }
        }
    }
}

fn phases(streams: &[Arc<StreamState>]) -> Vec<(StreamPhase, Option<String>)> {
    let phase = |stream: &Arc<StreamState>| {
        let status = stream.status();
        (status.state, status.label)
    };
    streams.iter().map(phase).collect()
}

/// Returns a stream's new rows, intervals and gaps, unless the last message is too recent.
fn rows(stream: &StreamState, (revision, sent): &mut (u64, Instant), last: bool) -> Option<Message> {
    if !last && sent.elapsed() < ROWS {
        return None;
    }
    let update = stream.since(*revision);
    if update.is_empty() {
        return None;
    }
    (*revision, *sent) = (update.revision, Instant::now());
    let data = json!({
        "name": stream.info.name,
        "rows": json::rows(&update.rows),
        "intervals": json::live_intervals(&update.intervals, stream),
        "gaps": json::gaps(&update.gaps),
    });
    Some(Message { event: "rows", data: data.to_string() })
}
