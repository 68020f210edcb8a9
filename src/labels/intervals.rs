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
    /// Where the single predictions begin and end to speak for the label: estimates of when the activity itself began
    /// and ended. Equal to `start` and `end` where they say nothing else.
    pub onset: u64,
    pub offset: u64,
}

/// Joins decisions into intervals; stores only the open one.
#[derive(Debug, Default)]
pub struct Intervals {
    open: Option<Open>,
    /// End of the last interval. Before a gap it is that of a frame, as its container states it: the next frame may be earlier.
    ended: u64,
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
    onset: u64,
}

impl Intervals {
    /// Adds the decision for the frame shown from `pts` to `end`. `change` is called if the label changes, and returns
    /// when the predictions did. Returns the interval that this frame closed.
    pub fn push(
        &mut self,
        decision: Decision,
        pts: u64,
        end: u64,
        change: impl FnOnce(Option<usize>, Option<usize>) -> Option<u64>,
    ) -> Option<Interval> {
        let (from, to) = (self.open.as_ref().map(|open| open.label), decision.shown.then_some(decision.label));
        let changed = if from == to { None } else { change(from, to) };
        let closed = if from == to { None } else { self.close(pts, changed) };
        if !decision.shown {
            return closed;
        }
        let start = pts.max(self.ended);
        let onset = changed.unwrap_or(start);
        let open =
            self.open.get_or_insert(Open { label: decision.label, start, end, sum: 0.0, frames: 0, peak: 0.0, onset });
        open.sum += decision.confidence;
        open.frames += 1;
        open.peak = open.peak.max(decision.confidence);
        open.end = end;
        closed
    }

    /// Returns the interval that the last frame belongs to, up to that frame.
    pub fn open(&self) -> Option<Interval> {
        self.open.as_ref().map(|open| open.interval(u64::MAX, None))
    }

    /// Closes the open interval at the end of the stream or before a gap. The next frame, if one is known, is at `next`.
    pub fn finish(&mut self, next: u64) -> Option<Interval> {
        self.close(next, None)
    }

    /// Closes the open interval at the end of its last frame, or at `next`, the pts of the next frame, if that is
    /// earlier. `changed` is its offset, if known.
    fn close(&mut self, next: u64, changed: Option<u64>) -> Option<Interval> {
        let closed = self.open.take().map(|open| open.interval(next, changed));
        self.ended = closed.as_ref().map_or(self.ended, |closed| closed.end);
        closed
    }
}

impl Open {
    fn interval(&self, next: u64, changed: Option<u64>) -> Interval {
        let (start, end) = (self.start, self.end.min(next).max(self.start));
        let (onset, offset) = (self.onset, changed.filter(|&at| at != next).unwrap_or(end));
        // Predictions that change back and forth within a window say nothing about its edges.
        let (onset, offset) = if onset < offset { (onset, offset) } else { (start, end) };
        // Rounding must not put a mean above its largest value.
        let (mean, peak) = ((self.sum / self.frames as f64).min(self.peak), self.peak);
        Interval { label: self.label, start, end, mean, peak, onset, offset }
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
        let mut push = |(&decision, i): (&Decision, u64)| intervals.push(decision, 10 * i, 10 * i + 10, |_, _| None);
        let mut found: Vec<Interval> = frames.iter().zip(0..).filter_map(&mut push).collect();
        found.extend(intervals.finish(u64::MAX));
        let interval =
            |label, start, end, mean, peak| Interval { label, start, end, mean, peak, onset: start, offset: end };
        assert_eq!(
            found,
            [interval(1, 10, 30, 0.6, 0.7), interval(2, 30, 40, 0.9, 0.9), interval(2, 50, 60, 0.4, 0.4)]
        );
        assert_eq!(intervals.finish(u64::MAX), None);
    }

    #[test]
    fn an_interval_never_overlaps_the_next_frame() {
        let mut intervals = Intervals::default();
        assert_eq!(intervals.push(shown(0, 1.0), 0, 100, |_, _| None), None);
        let closed = intervals.push(shown(1, 1.0), 40, 80, |_, _| None).unwrap();
        assert_eq!((closed.start, closed.end), (0, 40));
    }

    #[test]
    fn no_interval_begins_before_the_end_of_the_one_before_a_gap() {
        for (next, spans) in
            [(100, [(0, 100), (100, 130)]), (60, [(0, 60), (60, 130)]), (u64::MAX, [(0, 100), (100, 130)])]
        {
            let mut intervals = Intervals::default();
            assert_eq!(intervals.push(shown(0, 1.0), 0, 100, |_, _| None), None);
            let before = intervals.finish(next).unwrap();
            intervals.push(shown(0, 1.0), next.min(90), 130, |_, _| None);
            let after = intervals.finish(u64::MAX).unwrap();
            assert_eq!([(before.start, before.end), (after.start, after.end)], spans, "{next}");
        }
    }

    #[test]
    fn neighbours_share_the_change_of_the_predictions() {
        let mut intervals = Intervals::default();
        intervals.push(shown(0, 1.0), 0, 10, |from, to| (from, to).eq(&(None, Some(0))).then_some(0));
        let first = intervals.push(shown(1, 1.0), 10, 20, |from, to| (from, to).eq(&(Some(0), Some(1))).then_some(7));
        let second = intervals.finish(u64::MAX).unwrap();
        let first = first.unwrap();
        assert_eq!((first.start, first.end, first.onset, first.offset), (0, 10, 0, 7));
        assert_eq!((second.start, second.end, second.onset, second.offset), (10, 20, 7, 20));
    }

    #[test]
    fn contradictory_changes_are_not_reported() {
        let mut intervals = Intervals::default();
        intervals.push(shown(0, 1.0), 50, 60, |_, _| Some(40));
        let closed = intervals.push(shown(1, 1.0), 60, 70, |_, _| Some(40)).unwrap();
        assert_eq!((closed.onset, closed.offset), (50, 60));
    }
}
