//! How long to wait before the next try at something that has failed: a camera, a broker, a web server.

use std::time::Duration;

/// Shortest and longest wait between two tries.
pub const SHORTEST_WAIT: Duration = Duration::from_secs(1);
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Waits are drawn from this much around their length, so that many who fail together do not try again together.
const JITTER: f64 = 0.25;

/// Doubles the wait with each failure.
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
    /// `seed` decides the jitter.
    pub fn seeded(seed: u64) -> Self {
        Self { next: SHORTEST_WAIT, random: fastrand::Rng::with_seed(seed) }
    }

    /// The wait after one more failure.
    pub fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (2 * wait).min(LONGEST_WAIT);
        self.jittered(wait)
    }

    /// The wait after a failure that trying again soon will not mend.
    pub fn longest_wait(&mut self) -> Duration {
        self.next = (2 * self.next).min(LONGEST_WAIT);
        self.jittered(LONGEST_WAIT)
    }

    /// It has answered: the next wait is the shortest again.
    pub fn reset(&mut self) {
        self.next = SHORTEST_WAIT;
    }

    fn jittered(&mut self, wait: Duration) -> Duration {
        let factor = 1.0 + JITTER * (2.0 * self.random.f64() - 1.0);
        wait.mul_f64(factor).clamp(SHORTEST_WAIT, LONGEST_WAIT)
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
        assert!(backoff.longest_wait() >= Duration::from_millis(22_500));
    }

    #[test]
    fn waits_differ_by_seed() {
        assert_ne!(Backoff::seeded(1).longest_wait(), Backoff::seeded(2).longest_wait());
    }
}
