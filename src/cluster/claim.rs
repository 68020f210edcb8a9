//! A worker's claim to a job: JetStream gives the job to nobody else while the worker says that it goes on.
//!
//! The server hands a job out again [`CLAIM`] after it last heard of it. The worker counts from the moment at which it *sent* what the server
//! confirmed, which is earlier, and gives the job up [`MARGIN`] before. So a worker that is cut off has stopped before another begins,
//! without a clock that both share.

use std::time::Duration;

use async_nats::jetstream::{AckKind, Message};
use tokio::time::{Instant, sleep, timeout};

/// How long a job stays with a worker that is not heard of.
pub const CLAIM: Duration = Duration::from_secs(10);
/// How often the worker extends its claim.
const EXTENDED: Duration = Duration::from_millis(2500);
/// How long before the end of its claim a worker gives the job up.
const MARGIN: Duration = Duration::from_secs(2);

/// A job that was handed to this worker.
pub struct Claim {
    message: Message,
    /// When the message was asked for, or the claim was last extended.
    since: std::sync::Mutex<Instant>,
}

impl Claim {
    /// Takes a message that was handed out after `asked`.
    pub fn new(message: Message, asked: Instant) -> Self {
        Self { message, since: std::sync::Mutex::new(asked) }
    }

    pub fn subject(&self) -> &str {
        self.message.subject.as_str()
    }

    pub fn payload(&self) -> &[u8] {
        &self.message.payload
    }

    /// Returns how often the job was handed out, with this time.
    pub fn deliveries(&self) -> u64 {
        self.message.info().map_or(1, |info| info.delivered.max(1) as u64)
    }

    /// Returns whether the job is certainly this worker's for now.
    pub fn holds(&self) -> bool {
        self.left() > Duration::ZERO
    }

    fn left(&self) -> Duration {
        let since = *self.since.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (since + CLAIM - MARGIN).saturating_duration_since(Instant::now())
    }

    /// Extends the claim until it is lost, which is when this returns. Drop the future to stop.
    pub async fn extend(&self) {
        loop {
            let begun = Instant::now();
            let left = self.left();
            if left.is_zero() {
                return;
            }
            if let Ok(Ok(())) = timeout(left, self.message.double_ack_with(AckKind::Progress)).await {
                *self.since.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = begun;
            }
            sleep(EXTENDED.saturating_sub(begun.elapsed()).min(self.left())).await;
        }
    }

    /// Says that the job is done: it is deleted.
    pub async fn acknowledge(&self) -> bool {
        self.message.double_ack().await.is_ok()
    }

    /// Gives the job back, to be handed out again after `delay`.
    pub async fn give_back(&self, delay: Duration) {
        let delay = (!delay.is_zero()).then_some(delay);
        if let Err(cause) = self.message.double_ack_with(AckKind::Nak(delay)).await {
            tracing::debug!("a job was not given back, and is handed out again without it: {cause}");
        }
    }
}
