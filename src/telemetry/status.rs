//! The current status of a stream, for terminal, page and closing summary.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::media::supervisor;

/// Delays are recorded from a microsecond to a minute with three digits; longer ones count as a minute.
const MAX_US: u64 = 60_000_000;
const DIGITS: u8 = 3;

/// Interval at which rate and latency are updated.
const INTERVAL: Duration = Duration::from_secs(2);

/// The state of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamPhase {
    /// It has not started: other clips run before it.
    #[default]
    Waiting,
    /// No frame has arrived yet.
    Connecting,
    Running,
    /// Connected, but without frames; the source will reconnect soon.
    Stalled,
    Reconnecting,
    /// The user paused it: it is not connected.
    Paused,
    /// A clip was read to its end, or the user stopped the run.
    Ended,
    Failed,
}

impl StreamPhase {
    pub fn name(self) -> &'static str {
        match self {
            StreamPhase::Waiting => "waiting",
            StreamPhase::Connecting => "connecting",
            StreamPhase::Running => "running",
            StreamPhase::Stalled => "stalled",
            StreamPhase::Reconnecting => "reconnecting",
            StreamPhase::Paused => "paused",
            StreamPhase::Ended => "ended",
            StreamPhase::Failed => "failed",
        }
    }
}

impl From<supervisor::ConnectionState> for StreamPhase {
    fn from(state: supervisor::ConnectionState) -> Self {
        match state {
            supervisor::ConnectionState::Connecting => StreamPhase::Connecting,
            supervisor::ConnectionState::Running => StreamPhase::Running,
            supervisor::ConnectionState::Reconnecting => StreamPhase::Reconnecting,
        }
    }
}

/// The status of a stream.
#[derive(Clone, Debug, Default)]
pub struct Status {
    pub state: StreamPhase,
    /// When it entered this state.
    pub since: Option<OffsetDateTime>,
    /// Why it was lost or failed.
    pub reason: Option<String>,
    pub label: Option<String>,
    pub confidence: f64,
    /// Width and height of the labelled picture.
    pub size: Option<(usize, usize)>,
    pub stride: u64,
    /// Frames that wait to be prepared.
    pub waiting: usize,
    pub reconnects: u64,
    /// Reconnects by the reason of the loss.
    pub reconnects_by: BTreeMap<&'static str, u64>,
    pub stalls: u64,
    pub gaps: u64,
    /// Frames per second over the last seconds.
    pub rate: f64,
    pub latency: Latency,
    /// Duration in nanoseconds of the shortest activity that can be found, once known.
    pub shortest: Option<u64>,
    /// How much later than its activity a label appears, in nanoseconds, if it does and if known.
    pub label_delay: Option<u64>,
}

impl Status {
    /// Sets the state, and its time to `now` if it changes.
    pub fn enter(&mut self, state: StreamPhase, now: OffsetDateTime) {
        if self.state != state || self.since.is_none() {
            (self.state, self.since) = (state, Some(now));
        }
        if state == StreamPhase::Running {
            self.reason = None;
        }
    }
}

/// Latency from a frame's arrival to the last output, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

/// A histogram of delays, in constant memory.
pub struct Delays(Option<Histogram<u64>>);

impl Default for Delays {
    fn default() -> Self {
        // These constant bounds are valid.
        Self(Histogram::new_with_bounds(1, MAX_US, DIGITS).ok())
    }
}

impl Delays {
    pub fn add(&mut self, delay: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(delay.as_micros().try_into().unwrap_or(MAX_US));
        }
    }

    pub fn clear(&mut self) {
        if let Some(histogram) = &mut self.0 {
            histogram.reset();
        }
    }

    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    pub fn latency(&self) -> Latency {
        let Some(histogram) = self.0.as_ref().filter(|histogram| !histogram.is_empty()) else {
            return Latency::default();
        };
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Latency { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: histogram.max() as f64 / 1000.0 }
    }
}

/// Rate and latency of the last seconds.
pub struct RateMeter {
    recent: Delays,
    reported: Instant,
}

impl RateMeter {
    pub fn new(now: Instant) -> Self {
        Self { recent: Delays::default(), reported: now }
    }

    /// Adds the delay of a frame that was labelled `now`. Every two seconds, returns frames per second and latency since the last report.
    pub fn add(&mut self, delay: Duration, now: Instant) -> Option<(f64, Latency)> {
        self.recent.add(delay);
        let elapsed = now.saturating_duration_since(self.reported);
        if elapsed < INTERVAL {
            return None;
        }
        let report = (self.recent.count() as f64 / elapsed.as_secs_f64(), self.recent.latency());
        self.recent.clear();
        self.reported = now;
        Some(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_correct() {
        let mut delays = Delays::default();
        (1..=1000).for_each(|ms| delays.add(Duration::from_millis(ms)));
        let Latency { p50, p95, p99, max } = delays.latency();
        for (actual, expected) in [(p50, 500.0), (p95, 950.0), (p99, 990.0), (max, 1000.0)] {
            assert!((actual - expected).abs() <= expected / 500.0, "{actual} for {expected}");
        }
        delays.add(Duration::from_secs(3600));
        assert!(delays.latency().max >= 60_000.0);
        delays.clear();
        assert_eq!((delays.count(), delays.latency()), (0, Latency::default()));
    }
}
