//! How a live stream is, at this moment: for the terminal, and at the end for its summary.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::media::supervisor::State;

/// Delays are kept from a microsecond to a minute with three digits; longer ones count as a minute.
const LONGEST_US: u64 = 60_000_000;
const DIGITS: u8 = 3;

/// What is shown of a live stream.
#[derive(Clone, Debug, Default)]
pub struct Status {
    pub state: Option<State>,
    pub label: Option<String>,
    pub confidence: f64,
    pub stride: u64,
    pub reconnects: u64,
    pub stalls: u64,
    pub gaps: u64,
    /// Of the last seconds.
    pub rate: f64,
    pub latency: Latency,
}

/// From a frame's arrival to its label at every output, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

/// Delays of a stretch of time, in memory that does not grow.
pub struct Delays(Option<Histogram<u64>>);

impl Default for Delays {
    fn default() -> Self {
        // The bounds are constants that it takes.
        Self(Histogram::new_with_bounds(1, LONGEST_US, DIGITS).ok())
    }
}

impl Delays {
    pub fn add(&mut self, delay: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(delay.as_micros().try_into().unwrap_or(LONGEST_US));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_numbers() {
        let mut delays = Delays::default();
        (1..=1000).for_each(|ms| delays.add(Duration::from_millis(ms)));
        let Latency { p50, p95, p99, max } = delays.latency();
        for (found, right) in [(p50, 500.0), (p95, 950.0), (p99, 990.0), (max, 1000.0)] {
            assert!((found - right).abs() <= right / 500.0, "{found} for {right}");
        }
        delays.add(Duration::from_secs(3600));
        assert!(delays.latency().max >= 60_000.0);
        delays.clear();
        assert_eq!((delays.count(), delays.latency()), (0, Latency::default()));
    }
}
