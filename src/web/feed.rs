//! What changes of all streams, looked for once for all who listen: how they are, each second and when something changes,
//! and their new rows.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::{Notify, broadcast};

use crate::telemetry::status::StreamPhase;
use crate::telemetry::{StreamState, Telemetry};
use crate::web::json;

/// How often it is looked whether a state or a label has changed.
const TICK: Duration = Duration::from_millis(100);
const STREAMS: Duration = Duration::from_secs(1);
/// Time between two messages with rows of the same stream.
const ROWS: Duration = Duration::from_millis(250);
/// Messages that may wait for a listener: those of so many seconds, at four of each stream in a second. One that falls
/// behind by more is let go, and asks for all of it when it comes back.
const SECONDS: usize = 4;
const LEAST: usize = 64;

/// A message for a listener.
#[derive(Clone)]
pub struct Message {
    pub event: &'static str,
    /// JSON.
    pub data: String,
}

/// Hands messages to all who listen. While nobody does, it does nothing.
pub struct Feed {
    sender: broadcast::Sender<Option<Message>>,
    joined: Notify,
}

impl Feed {
    pub fn new(streams: usize) -> Self {
        let capacity = (4 * SECONDS * (streams + 1)).max(LEAST);
        Self { sender: broadcast::Sender::new(capacity), joined: Notify::new() }
    }

    /// What changes from now on; `None` comes behind the last message.
    pub fn listen(&self) -> broadcast::Receiver<Option<Message>> {
        let receiver = self.sender.subscribe();
        self.joined.notify_one();
        receiver
    }

    /// Looks for changes until `closed` is done, and says how the streams have ended.
    pub async fn run(&self, telemetry: &Telemetry, closed: impl Future<Output = ()>) {
        let mut closed = std::pin::pin!(closed);
        loop {
            let mut changes = Changes::of(telemetry);
            while self.sender.receiver_count() > 0 {
                changes.send(&self.sender, false);
                let tick = tokio::time::sleep(TICK);
                tokio::select! {
                    () = tick => {}
                    () = closed.as_mut() => {
                        changes.send(&self.sender, true);
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

/// How all streams are, as a message.
pub fn streams(telemetry: &Telemetry) -> Option<Message> {
    Some(Message { event: "streams", data: serde_json::to_string(&json::all(telemetry)).ok()? })
}

/// What has been sent already.
struct Changes<'a> {
    telemetry: &'a Telemetry,
    conditions: Vec<(StreamPhase, Option<String>)>,
    told: Instant,
    /// Of each stream: the revision of its last rows, and when they were sent.
    rows: Vec<(u64, Instant)>,
}

impl<'a> Changes<'a> {
    fn of(telemetry: &'a Telemetry) -> Self {
        let now = Instant::now();
        let rows = telemetry.streams.iter().map(|stream| (stream.since(u64::MAX).revision, now)).collect();
        Self { telemetry, conditions: conditions(telemetry), told: now, rows }
    }

    /// Sends what is new; with `last` how the streams are in any case.
    fn send(&mut self, sender: &broadcast::Sender<Option<Message>>, last: bool) {
        let conditions = conditions(self.telemetry);
        if last || conditions != self.conditions || self.told.elapsed() >= STREAMS {
            (self.conditions, self.told) = (conditions, Instant::now());
            let _ = sender.send(streams(self.telemetry));
        }
        for (stream, sent) in self.telemetry.streams.iter().zip(&mut self.rows) {
            if let Some(message) = rows(stream, sent, last) {
                let _ = sender.send(Some(message));
            }
        }
    }
}

fn conditions(telemetry: &Telemetry) -> Vec<(StreamPhase, Option<String>)> {
    let condition = |stream: &std::sync::Arc<StreamState>| {
        let status = stream.status();
        (status.state, status.label)
    };
    telemetry.streams.iter().map(condition).collect()
}

/// What is new of a stream, where it is time to say so.
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
        "intervals": json::intervals(&update.intervals, &stream.info.labels),
        "gaps": json::gaps(&update.gaps),
    });
    Some(Message { event: "rows", data: data.to_string() })
}
