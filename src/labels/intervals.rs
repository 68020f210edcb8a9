//! Joins consecutive frames with the same label into intervals.

use serde::{Deserialize, Serialize};

use crate::labels::decision::Decision;

/// A stretch of time in which every frame shows the same label. Times are pts in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Index of the label.
    pub label: usize,
    /// Pts of the first frame.
    pub start: u64,
    /// End of the last frame.
    pub end: u64,
    /// Mean and maximum confidence of its frames.
    pub mean: f64,
    pub peak: f64,
}

/// Joins decisions into intervals; stores only the open one.
#[derive(Debug, Default)]
pub struct Intervals {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    label: usize,
    start: u64,
    /// End of the last frame so far.
    end: u64,
    sum: f64,
    frames: u64,
    peak: f64,
}

impl Intervals {
    /// Adds the decision for the frame shown from `pts` to `end`. Returns the interval that this frame closed.
    pub fn push(&mut self, decision: Decision, pts: u64, end: u64) -> Option<Interval> {
        let continues = self.open.as_ref().is_some_and(|open| decision.shown && open.label == decision.label);
        let closed = if continues { None } else { self.close(pts) };
        if !decision.shown {
            return closed;
        }
        let open =
            self.open.get_or_insert(Open { label: decision.label, start: pts, end, sum: 0.0, frames: 0, peak: 0.0 });
        open.sum += decision.confidence;
        open.frames += 1;
        open.peak = open.peak.max(decision.confidence);
        open.end = end;
        closed
    }

    /// Returns the interval that the last frame belongs to, up to that frame.
    pub fn open(&self) -> Option<Interval> {
        self.open.as_ref().map(|open| open.interval(u64::MAX))
    }

    /// Closes the open interval at the end of the stream or before a gap.
    pub fn finish(&mut self) -> Option<Interval> {
        self.close(u64::MAX)
    }

    /// Closes the open interval at the end of its last frame, or at `next`, the pts of the next frame, if that is
    /// earlier.
    fn close(&mut self, next: u64) -> Option<Interval> {
        self.open.take().map(|open| open.interval(next))
    }
}

impl Open {
    fn interval(&self, next: u64) -> Interval {
        Interval {
            label: self.label,
            start: self.start,
            end: self.end.min(next).max(self.start),
            mean: self.sum / self.frames as f64,
            peak: self.peak,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(label: usize, confidence: f64) -> Decision {
        Decision { label, confidence, shown: true }
    }

    #[test]
    fn consecutive_frames_of_one_label_form_an_interval() {
        let hidden = Decision { label: 0, confidence: 0.9, shown: false };
        let frames = [hidden, shown(1, 0.5), shown(1, 0.7), shown(2, 0.9), hidden, shown(2, 0.4)];
        let mut intervals = Intervals::default();
        let mut found: Vec<Interval> =
            frames.iter().zip(0..).filter_map(|(&decision, i)| intervals.push(decision, 10 * i, 10 * i + 10)).collect();
        found.extend(intervals.finish());
        let interval = |label, start, end, mean, peak| Interval { label, start, end, mean, peak };
        assert_eq!(
            found,
            [interval(1, 10, 30, 0.6, 0.7), interval(2, 30, 40, 0.9, 0.9), interval(2, 50, 60, 0.4, 0.4)]
        );
        assert_eq!(intervals.finish(), None);
    }

    #[test]
    fn an_interval_never_overlaps_the_next_frame() {
        let mut intervals = Intervals::default();
        assert_eq!(intervals.push(shown(0, 1.0), 0, 100), None);
        let closed = intervals.push(shown(1, 1.0), 40, 80).unwrap();
        assert_eq!((closed.start, closed.end), (0, 40));
    }
}
