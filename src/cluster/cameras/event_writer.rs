//! Writes events once: each only after the last one of its subject, which the servers compare. They could also drop a second message with
//! the same `Nats-Msg-Id`; but before version 2.11 (<https://github.com/nats-io/nats-server/pull/6486>) a server that had been the leader
//! may take the first message for the second one. One of three servers then lacks the event.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::StreamMessage;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::sleep;

use crate::cluster::connection::Connection;
use crate::cluster::record;
use crate::error::{Error, Result};

/// Time between two attempts.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// An event, whose `id` tells it from all others.
pub struct Event<'a> {
    pub subject: &'a str,
    pub json: &'a Map<String, Value>,
    pub id: &'a str,
}

/// Writes the events of a camera.
pub struct EventWriter {
    connection: Connection,
    /// The place of the last event of each subject.
    last: HashMap<String, u64>,
}

impl EventWriter {
    pub fn new(connection: &Connection) -> Self {
        Self { connection: connection.clone(), last: HashMap::new() }
    }

    /// Writes an event, however often it takes, as long as it `may`. `complain` receives why an attempt failed.
    pub async fn write(&mut self, event: &Event<'_>, may: impl Fn() -> bool, complain: impl Fn(&Error)) {
        while may() {
            match self.attempt(event).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => complain(&error),
            }
            // What is the last one is asked again.
            self.last.remove(event.subject);
            sleep(RETRY_DELAY).await;
        }
    }

    /// Returns whether the event is there. It is not if another one was written since the last one that is known.
    async fn attempt(&mut self, event: &Event<'_>) -> Result<bool> {
        let after = match self.last.get(event.subject) {
            Some(&sequence) => sequence,
            None => match record::leader_last(&self.connection.streams.events, event.subject).await? {
                // An earlier attempt, whose confirmation was lost.
                Some(last) if is_event(&last, event.id) => return Ok(true),
                last => last.map_or(0, |last| last.sequence),
            },
        };
        let message = record::message(event.json)?.expected_last_subject_sequence(after);
        match record::send(&self.connection.jetstream, event.subject.into(), message).await {
            Ok(sequence) => {
                self.last.insert(event.subject.into(), sequence);
                Ok(true)
            }
            Err(cause) if cause.kind() == PublishErrorKind::WrongLastSequence => Ok(false),
            Err(cause) => Err(record::unanswered(&cause)),
        }
    }
}

/// Returns whether a message is the event with this identifier.
fn is_event(message: &StreamMessage, id: &str) -> bool {
    #[derive(Deserialize)]
    struct Identified {
        id: String,
    }
    serde_json::from_slice::<Identified>(&message.payload).is_ok_and(|event| event.id == id)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::json;

    use super::*;
    use crate::cluster::test_server::TestServer;

    const SUBJECT: &str = "livelabel.event.door.drinking";

    /// Writes an event, and returns how many attempts that took.
    async fn write(writer: &mut EventWriter, id: &str) -> u32 {
        let json = json!({"event": "start", "id": id});
        let attempts = Cell::new(0);
        let may = || attempts.replace(attempts.get() + 1) < 10;
        let event = Event { subject: SUBJECT, json: json.as_object().unwrap(), id };
        writer.write(&event, may, |error| assert_eq!(error.to_string(), "")).await;
        attempts.get()
    }

    #[test]
    fn an_event_is_written_once() {
        let server = TestServer::start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let connection = Connection::open(&server.config(), "test").await.unwrap();
            let (mut first, mut second) = (EventWriter::new(&connection), EventWriter::new(&connection));
            assert_eq!(write(&mut first, "door-1-start").await, 1);
            assert_eq!(write(&mut first, "door-2-start").await, 1);
            // It is there, as after a confirmation that was lost.
            assert_eq!(write(&mut second, "door-2-start").await, 1);
            assert_eq!(write(&mut second, "door-3-start").await, 1);
            // Others were written since.
            assert_eq!(write(&mut first, "door-3-start").await, 2);
            assert_eq!(write(&mut first, "door-4-start").await, 1);
            // What was the last one was deleted, as after some days.
            let last = *first.last.get(SUBJECT).unwrap();
            connection.jetstream.get_stream("LIVELABEL_EVENTS").await.unwrap().purge().await.unwrap();
            assert_eq!(write(&mut first, "door-5-start").await, 2);
            let state = connection.streams.events.get_info().await.unwrap().state;
            assert_eq!((state.messages, state.last_sequence), (1, last + 1));
            // It ends when it may not go on.
            let json = Map::new();
            let never = Event { subject: SUBJECT, json: &json, id: "door-6-start" };
            first.write(&never, || false, |_| ()).await;
            assert_eq!(connection.streams.events.get_info().await.unwrap().state.messages, 1);
        });
    }
}
