//! Publishes an event once. The servers drop a second message with the same `Nats-Msg-Id`; but before version 2.11 a server may call a
//! message a second one that no server has stored, for as long as identifiers are compared: it had accepted the first one and ceased to be
//! the leader (<https://github.com/nats-io/nats-server/pull/6486>). So what is not confirmed as new is looked for.

use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::sleep;

use crate::cluster::connection::Connection;
use crate::cluster::record;
use crate::error::{Error, Result};

/// Time between two attempts.
const RETRY_DELAY: Duration = Duration::from_millis(200);
/// Attempts after which a message that is not there gets another `Nats-Msg-Id`: the first one may still be on its way.
const PATIENCE: u32 = 10;

/// An event, and whether it may still be published.
pub struct Publication<'a, M, C> {
    pub subject: String,
    /// With `id`, which is also its `Nats-Msg-Id`.
    pub event: &'a Map<String, Value>,
    pub id: &'a str,
    pub may_publish: M,
    /// Receives why an attempt failed.
    pub complain: C,
}

impl<M: Fn() -> bool, C: Fn(&Error)> Publication<'_, M, C> {
    /// Publishes it, however often it takes. Nobody else may publish events of the subject meanwhile.
    pub async fn publish(&self, connection: &Connection) {
        let (mut message_id, mut after, mut attempts) = (self.id.to_string(), None, 0);
        while (self.may_publish)() {
            match self.attempt(connection, &message_id, after).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => (self.complain)(&error),
            }
            attempts += 1;
            match record::leader_last(&connection.streams.events, &self.subject).await {
                Ok(Some(last)) if is_event(&last, self.id) => return,
                // Should the first one come yet, the servers refuse the other.
                Ok(last) if attempts >= PATIENCE => {
                    after = Some(last.map_or(0, |last| last.sequence));
                    message_id = format!("{}~{attempts}", self.id);
                }
                Ok(_) => {}
                Err(error) => (self.complain)(&error),
            }
            sleep(RETRY_DELAY).await;
        }
    }

    /// Sends it; with `after`, only if the message at that place is the last one of the subject. Returns whether the servers have stored
    /// it as a new one.
    async fn attempt(&self, connection: &Connection, message_id: &str, after: Option<u64>) -> Result<bool> {
        let message = record::message(self.event)?.message_id(message_id);
        let message = match after {
            Some(sequence) => message.expected_last_subject_sequence(sequence),
            None => message,
        };
        let sent = async { connection.jetstream.send_publish(self.subject.clone(), message).await?.await };
        sent.await.map(|stored| !stored.duplicate).map_err(|cause| record::unanswered(&cause))
    }
}

/// Returns whether a message is the event with this identifier.
fn is_event(message: &StreamMessage, id: &str) -> bool {
    #[derive(Deserialize)]
    struct Event {
        id: String,
    }
    serde_json::from_slice::<Event>(&message.payload).is_ok_and(|event| event.id == id)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use async_nats::jetstream::message::PublishMessage;
    use serde_json::json;

    use super::*;
    use crate::cluster::test_server::TestServer;

    #[test]
    fn an_event_is_stored_once_also_if_the_server_says_that_it_was_before() {
        let server = TestServer::start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let connection = Connection::open(&server.config(), "test").await.unwrap();
            let publish = async |id: &str, tries: u32| {
                let event = json!({"event": "start", "id": id});
                let left = Cell::new(tries);
                let publication = Publication {
                    subject: "livelabel.event.door.drinking".into(),
                    event: event.as_object().unwrap(),
                    id,
                    may_publish: || left.replace(left.get().saturating_sub(1)) > 0,
                    complain: |error: &Error| assert_eq!(error.to_string(), ""),
                };
                publication.publish(&connection).await;
                left.get()
            };
            assert_eq!(publish("door-1-start", 1).await, 0);
            // The confirmation was lost: it is found at the first look.
            assert_eq!(publish("door-1-start", 9).await, 8);
            // The server knows the identifier, and has no such event.
            let other = PublishMessage::build().payload("{}".into()).message_id("door-2-start");
            record::send(&connection.jetstream, "livelabel.event.other.drinking".into(), other).await.unwrap();
            assert_eq!(publish("door-2-start", PATIENCE + 9).await, 8);
            assert_eq!(publish("door-2-start", 9).await, 8);
            let state = connection.streams.events.get_info().await.unwrap().state;
            assert_eq!(state.messages, 3);
        });
    }
}
