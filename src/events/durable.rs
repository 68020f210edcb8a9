//! What an event waits for before it is sent: that the disk has the journal's record of it.

use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Longest wait: a disk that does not respond must not keep events back.
const LONGEST: Duration = Duration::from_secs(2);

/// A number that somebody counts up to.
#[derive(Clone, Debug)]
pub struct Durable {
    done: watch::Receiver<u64>,
    number: u64,
}

impl Durable {
    pub fn new(done: watch::Receiver<u64>, number: u64) -> Self {
        Self { done, number }
    }

    /// Waits until the number is reached, up to two seconds after `since`. Returns whether it is. Cancel-safe.
    pub async fn wait(&mut self, since: Instant) -> bool {
        let number = self.number;
        let reached = self.done.wait_for(|done| *done >= number);
        tokio::time::timeout_at((since + LONGEST).into(), reached).await.is_ok_and(|reached| reached.is_ok())
    }
}
