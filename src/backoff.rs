//! How long to wait before somebody who did not answer is called again.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// Waits are drawn from this much around their length, so that many programs do not call at once.
const JITTER: f64 = 0.25;

/// Doubles the wait with each failure.
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: SHORTEST }
    }
}

impl Backoff {
    /// The wait after one more failure.
    pub fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (2 * wait).min(LONGEST);
        wait.mul_f64(1.0 + JITTER * (2.0 * fastrand::f64() - 1.0))
    }

    /// It has answered.
    pub fn renew(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute() {
        let mut patience = Backoff::default();
        for seconds in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            let share = patience.wait().as_secs_f64() / seconds;
            assert!((0.75..=1.25).contains(&share), "{share} of {seconds} s");
        }
        patience.renew();
        assert!(patience.wait() <= Duration::from_millis(1250));
    }
}
