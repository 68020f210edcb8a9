//! A worker's claim to a job: JetStream gives the job to nobody else while the worker says that it goes on.
//!
//! The server hands a job out again [`CLAIM`] after it last heard of it. The worker counts from the moment at which it *sent* what the server
//! confirmed, which is earlier, and gives the job up `MARGIN` before. So a worker that is cut off has stopped before another begins,
//! without a clock that both share.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{AckKind, Message};
use async_nats::{Client, Subject};
use bytes::Bytes;
use futures_util::StreamExt;
use nix::time::{ClockId, clock_gettime};
use tokio::time::{sleep, timeout};

/// How long a job stays with a worker that is not heard of.
pub const CLAIM: Duration = Duration::from_secs(12);
/// How often the worker extends its claim.
const EXTENDED: Duration = Duration::from_millis(2500);
/// How long before the end of its claim a worker gives the job up: longer than one extension, which a server may confirm and lose.
const MARGIN: Duration = Duration::from_secs(4);
/// How long an answer may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);
/// How long the server waits for a job before it answers that there is none.
const PULL_EXPIRES: Duration = Duration::from_secs(5);
/// How often it is looked whether the connection is back.
const POLL: Duration = Duration::from_millis(50);

/// A job that was handed to this worker.
pub struct Claim {
    client: Client,
    subject: String,
    payload: Bytes,
    /// Where the server hears what becomes of the job.
    reply: Option<Subject>,
    deliveries: u64,
    /// When the message was asked for, or what the server confirmed last was sent.
    since: Mutex<Duration>,
}

/// Returns the time since the machine started, with the time that it was suspended.
pub fn now() -> Duration {
    // Cannot fail on Linux.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}

/// Returns a random time from half of `delay` to one and a half. Idle workers take jobs in turn: if two jobs always came back in the same
/// order, each could go for ever to the worker that cannot do it.
pub fn spread(delay: Duration) -> Duration {
    delay.mul_f64(0.5 + fastrand::f64())
}

impl Claim {
    /// Takes a message that was handed out after `asked`.
    pub fn new(message: Message, asked: Duration) -> Self {
        let deliveries = message.info().map_or(1, |info| info.delivered.max(1) as u64);
        let client = message.context.client();
        let async_nats::Message { subject, payload, reply, .. } = message.message;
        Self { client, subject: subject.to_string(), payload, reply, deliveries, since: Mutex::new(asked) }
    }

    /// Waits a while for a job.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn next(consumer: &PullConsumer) -> Result<Option<Self>, async_nats::Error> {
        let asked = now();
        let mut messages = consumer.batch().max_messages(1).expires(PULL_EXPIRES).messages().await?;
        Ok(messages.next().await.transpose()?.map(|message| Self::new(message, asked)))
    }

    /// Takes over a job that another worker had `age` after the server last heard of it, at some time after `asked`.
    pub fn adopt(client: Client, subject: String, reply: String, asked: Duration, age: Duration) -> Self {
        let (payload, reply) = (Bytes::new(), Some(reply.into()));
        Self { client, subject, payload, reply, deliveries: 1, since: Mutex::new(asked.saturating_sub(age)) }
    }

    /// Returns how long ago what the server confirmed last was sent.
    pub fn age(&self) -> Duration {
        now().saturating_sub(*self.since.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns where the server hears what becomes of the job, for a worker that takes it over.
    pub fn reply(&self) -> Option<&str> {
        self.reply.as_deref()
    }

    pub fn subject(&self) -> &str {
        &self.subject
    }

    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Returns how often the job was handed out, with this time.
    pub fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// Returns whether the job is certainly this worker's for now.
    pub fn holds(&self) -> bool {
        self.left() > Duration::ZERO
    }

    fn left(&self) -> Duration {
        (CLAIM - MARGIN).saturating_sub(self.age())
    }

    /// Extends the claim until it is lost, which is when this returns. Drop the future to stop.
    pub async fn extend(&self) {
        loop {
            let (begun, left) = (now(), self.left());
            if left.is_zero() {
                return;
            }
            if timeout(left, self.tell(AckKind::Progress)).await == Ok(true) {
                *self.since.lock().unwrap_or_else(PoisonError::into_inner) = begun;
            }
            sleep(EXTENDED.saturating_sub(now().saturating_sub(begun)).min(self.left())).await;
        }
    }

    /// Waits until the connection is there. Returns false if the claim is lost before: what is sent without a connection would arrive when
    /// the job is another worker's.
    pub async fn connected(&self) -> bool {
        while self.holds() {
            if self.client.connection_state() == State::Connected {
                return true;
            }
            sleep(POLL).await;
        }
        false
    }

    /// Says that the job has ended: it is deleted.
    pub async fn acknowledge(&self) {
        if self.connected().await {
            self.tell(AckKind::Ack).await;
        }
    }

    /// Gives the job back, to be handed out again after `delay`.
    pub async fn give_back(&self, delay: Duration) {
        let delay = (!delay.is_zero()).then_some(delay);
        if self.connected().await && !self.tell(AckKind::Nak(delay)).await {
            tracing::debug!("a job was not given back, and is handed out again without it");
        }
    }

    /// Tells the server what becomes of the job. Returns whether it has heard.
    async fn tell(&self, kind: AckKind) -> bool {
        let Some(reply) = self.reply.clone() else { return false };
        // A consumer without a leader has nobody who listens, which is an error here.
        matches!(timeout(REQUEST_TIMEOUT, self.client.request(reply, kind.into())).await, Ok(Ok(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_delays_end_in_either_order() {
        let delay = Duration::from_secs(2);
        let pairs: Vec<[Duration; 2]> = (0..100).map(|_| [spread(delay), spread(delay)]).collect();
        assert!(pairs.iter().flatten().all(|&one| delay / 2 <= one && one <= delay * 3 / 2), "{pairs:?}");
        assert!(pairs.iter().any(|[first, second]| first < second), "{pairs:?}");
        assert!(pairs.iter().any(|[first, second]| first > second), "{pairs:?}");
    }
}
