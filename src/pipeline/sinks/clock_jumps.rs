//! Jumps of the system's clock, which do not count as age of a recording.

use std::collections::VecDeque;
use std::time::{Instant, SystemTime};

/// If the system's clock differs by more than this from the monotonic clock, it was set. In nanoseconds.
const CLOCK_TOLERANCE: i128 = 10 * 60 * 1_000_000_000;
/// A longer time without a recording before the start of a run does not count as age. In nanoseconds.
const MAX_IDLE: i128 = 24 * 3600 * 1_000_000_000;
/// Maximum number of jumps that are kept; beyond it, the earliest two are merged.
const MAX_JUMPS: usize = 64;

/// The jumps of the system's clock.
#[derive(Default)]
pub struct ClockJumps {
    /// Both clocks at the last update.
    last: Option<(SystemTime, Instant)>,
    /// The system's clock before each jump, and the jump in nanoseconds.
    jumps: VecDeque<(SystemTime, i128)>,
}

impl ClockJumps {
    /// Compares the clocks with those of the last update. On the first one, `newest` is when a file was last written.
    pub fn update(&mut self, now: SystemTime, at: Instant, newest: Option<SystemTime>) {
        let jump = match (self.last, newest) {
            (Some((before, then)), _) => {
                let passed = at.duration_since(then);
                let by = between(before, now) - passed.as_nanos() as i128;
                (by.abs() > CLOCK_TOLERANCE).then(|| (before + passed, by))
            }
            (None, Some(newest)) => Some((newest, between(newest, now))).filter(|(_, idle)| *idle > MAX_IDLE),
            (None, None) => None,
        };
        if let Some((before, by)) = jump {
            let seconds = by / 1_000_000_000;
            match self.last {
                Some(_) => {
                    tracing::warn!("the clock was set by {seconds} s; that does not count as age of recordings")
                }
                None => {
                    tracing::info!("nothing was recorded for {seconds} s; that does not count as age of recordings")
                }
            }
            self.jumps.push_back((before, by));
        }
        if self.jumps.len() > MAX_JUMPS
            && let (Some((_, first)), Some((_, second))) = (self.jumps.pop_front(), self.jumps.front_mut())
        {
            *second += first;
        }
        self.last = Some((now, at));
    }

    /// Returns the nanoseconds since `modified`, without the clock's jumps since then.
    pub fn age(&self, modified: SystemTime, now: SystemTime) -> i128 {
        let jumped: i128 = self.jumps.iter().filter(|(before, _)| modified <= *before).map(|(_, by)| by).sum();
        between(modified, now) - jumped
    }
}

/// Returns the nanoseconds from `start` to `end`, negative if `end` is earlier.
fn between(start: SystemTime, end: SystemTime) -> i128 {
    match end.duration_since(start) {
        Ok(later) => later.as_nanos() as i128,
        Err(earlier) => -(earlier.duration().as_nanos() as i128),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn repeated_clock_jumps_use_bounded_memory() {
        let mut jumps = ClockJumps::default();
        let (now, at) = (SystemTime::now(), Instant::now());
        for step in 0..1000 {
            jumps.update(now + Duration::from_secs(3600 * (step % 2 * 100)), at, None);
        }
        assert!(jumps.jumps.len() <= MAX_JUMPS);
    }
}
