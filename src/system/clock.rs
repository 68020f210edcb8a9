//! Clocks. Everything that decides by time over the long life of a run asks a [`Clock`] that it was given: names and ends of files,
//! journals, retention, index, events, reconnects, states. So tests can simulate months, and clocks that are set.
//!
//! What merely measures or bounds how long something takes keeps `Instant::now()`: benchmarks, progress, timeouts of GStreamer, of
//! the engine and of the network, the pace of the window and of the page. So does what waits on a channel.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use time::OffsetDateTime;

use crate::system::utc;

/// A clock that threads share.
pub type SharedClock = Arc<dyn Clock>;

/// The time of day and the monotonic time.
pub trait Clock: Send + Sync {
    /// Returns the time of day. People and NTP may set it, forwards and backwards.
    fn time(&self) -> SystemTime;

    /// Returns the monotonic time, which nobody sets.
    fn instant(&self) -> Instant;

    /// Returns whether work on other threads takes no time by this clock: who would look later whether it is done waits for it
    /// instead. So a simulation does not depend on how busy the machine is.
    fn stands_still(&self) -> bool {
        false
    }

    /// Returns the time of day in UTC.
    fn utc(&self) -> OffsetDateTime {
        utc::of(self.time())
    }

    /// Returns how long ago a monotonic time was; zero if it is in the future.
    fn since(&self, then: Instant) -> Duration {
        self.instant().saturating_duration_since(then)
    }
}

/// The clocks of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    fn time(&self) -> SystemTime {
        SystemTime::now()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// Clocks that stand still until a test moves them.
#[cfg(test)]
#[derive(Debug)]
pub struct SimulatedClock {
    start: Instant,
    now: std::sync::Mutex<(SystemTime, Duration)>,
}

#[cfg(test)]
impl SimulatedClock {
    /// The time of day is `time`.
    pub fn new(time: SystemTime) -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), now: std::sync::Mutex::new((time, Duration::ZERO)) })
    }

    /// Time passes.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap();
        now.0 += by;
        now.1 += by;
    }

    /// Sets the time of day.
    pub fn set(&self, time: SystemTime) {
        self.now.lock().unwrap().0 = time;
    }

    /// Sets the time of day forward by some milliseconds, or back.
    pub fn step(&self, ms: i64) {
        let by = Duration::from_millis(ms.unsigned_abs());
        let time = self.time();
        self.set(if ms < 0 { time - by } else { time + by });
    }
}

#[cfg(test)]
impl Clock for SimulatedClock {
    fn time(&self) -> SystemTime {
        self.now.lock().unwrap().0
    }

    fn stands_still(&self) -> bool {
        true
    }

    fn instant(&self) -> Instant {
        self.start + self.now.lock().unwrap().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_leaves_the_monotonic_one_alone() {
        let clock = SimulatedClock::new(SystemTime::UNIX_EPOCH);
        let start = clock.instant();
        clock.advance(Duration::from_secs(3600));
        clock.step(-1_800_000);
        let half = utc::of(SystemTime::UNIX_EPOCH + Duration::from_secs(1800));
        assert_eq!((clock.utc(), clock.since(start)), (half, Duration::from_secs(3600)));
        assert_eq!(clock.since(start + Duration::from_secs(7200)), Duration::ZERO);
    }
}
