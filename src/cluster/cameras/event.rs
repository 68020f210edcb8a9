//! An event of a camera. Before it is written again it is looked for.
//!
//! JetStream could refuse the second message with the same `Nats-Msg-Id`, or one that is not the next after a known message. But each server
//! decides that for its own copy, and those of version 2.9 decide differently after a change of the leader: one of three then lacks events,
//! or has them twice (<https://github.com/nats-io/nats-server/pull/6486>). So nothing is left to them: in the rare case that an event is
//! stored twice, both have the same identifier.

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

/// An event, whose `id` tells it from all others.
pub struct Event<'a> {
    pub subject: &'a str,
    pub json: &'a Map<String, Value>,
    pub id: &'a str,
}

impl Event<'_> {
    /// Writes it, however often it takes, as long as it `may`. `complain` receives why an attempt failed. `maybe_there`: another worker
    /// may have written it.
    pub async fn write(
        &self,
        connection: &Connection,
        maybe_there: bool,
        may: impl Fn() -> bool,
        complain: impl Fn(&Error),
    ) {
        let mut look = maybe_there;
        while may() {
            match self.attempt(connection, look).await {
                Ok(()) => return,
                Err(error) => complain(&error),
            }
            // Its confirmation may have been lost.
            look = true;
            sleep(RETRY_DELAY).await;
        }
    }

    /// Writes it, unless it is the last one of its subject already, where that is to be looked at.
    async fn attempt(&self, connection: &Connection, look: bool) -> Result<()> {
        if look {
            let last = record::leader_last(&connection.streams.events, self.subject).await?;
            if last.is_some_and(|last| is_event(&last, self.id)) {
                return Ok(());
            }
        }
        record::publish(&connection.jetstream, self.subject.into(), self.json).await
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
    use serde_json::json;

    use super::*;
    use crate::cluster::test_server::TestServer;

    #[test]
    fn an_event_that_may_be_there_is_written_once() {
        let server = TestServer::start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let connection = Connection::open(&server.config(), "test").await.unwrap();
            let write = async |id: &str, maybe_there: bool, may: bool| {
                let json = json!({"event": "start", "id": id});
                let (subject, json) = ("livelabel.event.door.drinking", json.as_object().unwrap());
                let event = Event { subject, json, id };
                event.write(&connection, maybe_there, || may, |error| assert_eq!(error.to_string(), "")).await;
                connection.streams.events.get_info().await.unwrap().state.messages
            };
            assert_eq!(write("door-1-start", true, true).await, 1);
            assert_eq!(write("door-1-start", true, true).await, 1);
            assert_eq!(write("door-2-start", false, true).await, 2);
            assert_eq!(write("door-2-start", true, true).await, 2);
            assert_eq!(write("door-3-start", false, false).await, 2);
        });
    }
}
