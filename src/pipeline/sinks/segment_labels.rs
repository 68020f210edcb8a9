//! The labels of a segment, for the subtitles beside it.

use std::collections::VecDeque;

use crate::labels::intervals::Interval;
use crate::report::journal::IntervalRecord;
use crate::report::milliseconds;

/// Intervals that are kept for the segments to come; beyond it, the earliest are left out.
const MAX_INTERVALS: usize = 4096;

/// The last intervals of a stream.
pub struct SegmentLabels<'a> {
    labels: &'a [String],
    closed: VecDeque<IntervalRecord>,
    open: Option<Interval>,
}

impl<'a> SegmentLabels<'a> {
    pub fn new(labels: &'a [String]) -> Self {
        Self { labels, closed: VecDeque::new(), open: None }
    }

    /// Sets the interval that goes on, up to the last frame.
    pub fn set_open(&mut self, open: Option<Interval>) {
        self.open = open;
    }

    /// Adds an interval that has ended.
    pub fn add(&mut self, interval: &Interval) {
        self.open = None;
        if self.closed.len() == MAX_INTERVALS {
            self.closed.pop_front();
        }
        self.closed.push_back(IntervalRecord::of(interval, self.labels));
    }

    /// Returns the parts of the intervals from `start` to `end` of the stream, in nanoseconds, as times of a file that
    /// begins at `start`.
    pub fn between(&self, start: u64, end: u64) -> Vec<IntervalRecord> {
        let (start, end) = (milliseconds(start), milliseconds(end));
        let open = self.open.as_ref().map(|interval| IntervalRecord::of(interval, self.labels));
        let all = self.closed.iter().cloned().chain(open);
        let inside = all.filter(|interval| interval.start < end && interval.end > start);
        inside
            .map(|interval| IntervalRecord {
                start: interval.start.max(start) - start,
                end: interval.end.min(end) - start,
                ..interval
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn interval(start: u64, end: u64) -> Interval {
        let (start, end) = (start * MS, end * MS);
        Interval { label: 0, start, end, mean: 0.5, peak: 0.5, onset: start, offset: end }
    }

    #[test]
    fn an_interval_over_a_seam_is_in_both_segments() {
        let names = ["drinking".to_string()];
        let mut labels = SegmentLabels::new(&names);
        labels.add(&interval(100, 200));
        labels.add(&interval(900, 1100));
        labels.set_open(Some(interval(1900, 2000)));
        let times = |start: u64, end: u64| -> Vec<(f64, f64)> {
            labels.between(start * MS, end * MS).iter().map(|interval| (interval.start, interval.end)).collect()
        };
        assert_eq!(times(0, 1000), [(100.0, 200.0), (900.0, 1000.0)]);
        assert_eq!(times(1000, 2000), [(0.0, 100.0), (900.0, 1000.0)]);
        assert!(times(200, 900).is_empty());
    }

    #[test]
    fn the_number_of_intervals_is_bounded() {
        let names = ["drinking".to_string()];
        let mut labels = SegmentLabels::new(&names);
        (0..MAX_INTERVALS as u64 + 10).for_each(|number| labels.add(&interval(2 * number, 2 * number + 1)));
        assert_eq!(labels.between(0, u64::MAX).len(), MAX_INTERVALS);
    }
}
