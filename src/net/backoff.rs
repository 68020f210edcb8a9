//! The backoff between attempts to reach a camera, a broker or a web server.

use std::time::Duration;

/// Minimum and maximum wait between two attempts.
pub const MIN_WAIT: Duration = Duration::from_secs(1);
pub const MAX_WAIT: Duration = Duration::from_secs(30);
/// Random variation of a wait, as a fraction of it, so that clients that failed together do not retry together.
const JITTER: f64 = 0.25;

/// Exponential backoff with jitter: doubles the wait with each failure.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    random: fastrand::Rng,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::seeded(fastrand::u64(..))
    }
}

impl Backoff {
    /// Creates a backoff whose jitter is derived from `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self { next: MIN_WAIT, random: fastrand::Rng::with_seed(seed) }
    }

    /// Returns the wait after another failure.
    pub fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (2 * wait).min(MAX_WAIT);
        self.jittered(wait)
    }

    /// Returns the maximum wait, for a failure that an early retry will not fix.
    pub fn max_wait(&mut self) -> Duration {
        self.next = (2 * self.next).min(MAX_WAIT);
        self.jittered(MAX_WAIT)
    }

    /// Resets the wait to the minimum, after a success.
    pub fn reset(&mut self) {
        self.next = MIN_WAIT;
    }

    fn jittered(&mut self, wait: Duration) -> Duration {
        let factor = 1.0 + JITTER * (2.0 * self.random.f64() - 1.0);
        wait.mul_f64(factor).clamp(MIN_WAIT, MAX_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute() {
        let mut backoff = Backoff::seeded(7);
        for seconds in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            let share = backoff.wait().as_secs_f64() / seconds;
            assert!((0.75..=1.25).contains(&share), "{share} of {seconds} s");
        }
        backoff.reset();
        assert!(backoff.wait() <= Duration::from_millis(1250));
        assert!(backoff.max_wait() >= Duration::from_millis(22_500));
    }

    #[test]
    fn waits_differ_by_seed() {
        assert_ne!(Backoff::seeded(1).max_wait(), Backoff::seeded(2).max_wait());
    }
}
