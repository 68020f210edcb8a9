//! Turns predictions into labels and intervals: smoothing, decision, and the reset after a gap. No I/O.

use std::collections::VecDeque;

use crate::labels::decision::{Decider, Decision};
use crate::labels::edges;
use crate::labels::intervals::{Interval, Intervals};
use crate::labels::smoothing::Smoothing;
use crate::labels::window_length::WindowLength;

/// Labels the frames of one stream, in order. With a centred window a label is known only some frames later.
pub struct Labeler {
    initial: LabelState,
    state: LabelState,
    intervals: Intervals,
    /// The frames without a label yet: pts and end, in nanoseconds.
    pending: VecDeque<(u64, u64)>,
    /// The last prediction, used for held frames. Empty until there is one.
    held: Vec<f32>,
    length: WindowLength,
    /// Pts of the first frame after the last gap. An interval does not reach back across it.
    begin: u64,
}

/// The state that a label depends on, besides its frame.
#[derive(Clone)]
pub struct LabelState {
    pub smoothing: Smoothing,
    pub decider: Decider,
}

impl LabelState {
    /// Decides for the next frame, as [`Labeler::next`]. Returns the [margin](Decider::margin) of the decision.
    pub fn next_margin(&mut self, last: bool) -> Option<f64> {
        let mean = self.smoothing.next(last)?;
        let margin = self.decider.margin(mean);
        self.decider.decide(mean);
        Some(margin)
    }
}

/// The result for one frame.
pub struct LabelerOutput<'a> {
    pub decision: Decision,
    /// The smoothed probability of every label.
    pub smoothed: &'a [f64],
    /// Whether the smoothing window is not filled yet.
    pub warming_up: bool,
    /// The frame's own prediction; the last one if the frame is held.
    pub prediction: &'a [f32],
    /// The interval that ended with this frame.
    pub closed: Option<Interval>,
    /// The interval that the frame belongs to, up to this frame.
    pub open: Option<Interval>,
}

impl Labeler {
    /// `initial` is the state before the first frame, and after a reset.
    pub fn new(initial: LabelState) -> Self {
        Self {
            state: initial.clone(),
            initial,
            intervals: Intervals::default(),
            pending: VecDeque::new(),
            held: Vec::new(),
            length: WindowLength::default(),
            begin: 0,
        }
    }

    /// Adds the frame shown from `pts` to `end`, in nanoseconds. Without a `prediction`, the frame is held and gets the
    /// last one. Returns whether there is one; if not, the frame gets no label.
    pub fn push(&mut self, prediction: Option<Vec<f32>>, pts: u64, end: u64) -> bool {
        if let Some(prediction) = prediction {
            self.held = prediction;
        }
        if self.held.is_empty() {
            return false;
        }
        self.state.smoothing.push(&self.held, pts);
        self.length.update(&self.state.smoothing);
        self.pending.push_back((pts, end));
        true
    }

    /// Labels the next frame, in the order in which they were pushed. Returns `None` if there is none, or if its label
    /// depends on frames that are not pushed yet; with `last`, there are none.
    pub fn next(&mut self, last: bool) -> Option<LabelerOutput<'_>> {
        self.state.smoothing.next(last)?;
        let (pts, end) = self.pending.pop_front()?;
        let LabelState { smoothing, decider } = &mut self.state;
        let decision = decider.decide(smoothing.mean());
        let change = |from, to| edges::change(smoothing.window(), from, to, decider.threshold());
        let closed = self.intervals.push(decision, pts, end, |from, to| change(from, to).map(|at| at.max(self.begin)));
        Some(LabelerOutput {
            decision,
            smoothed: smoothing.mean(),
            warming_up: !smoothing.is_filled(),
            prediction: smoothing.prediction(),
            closed,
            open: self.intervals.open(),
        })
    }

    /// Returns the prediction of the last frame that was pushed.
    pub fn prediction(&self) -> &[f32] {
        &self.held
    }

    /// Returns the [margin](Decider::margin) of the last decision, and the number of predictions that it is the mean of.
    pub fn margin(&self) -> (f64, usize) {
        let LabelState { smoothing, decider } = &self.state;
        let (before, after) = smoothing.around();
        (decider.margin(smoothing.mean()), before + 1 + after)
    }

    /// Returns the duration in nanoseconds of the shortest activity that gets a label if every prediction is certain;
    /// `None` until it is known.
    pub fn shortest(&self) -> Option<u64> {
        Some((self.length.known? as f64 * self.state.decider.share()).round() as u64)
    }

    /// Returns how many frames ahead a centred window was limited to, if it would cover more.
    pub fn ahead_limit(&self) -> Option<usize> {
        self.state.smoothing.ahead_limit()
    }

    /// Closes the open interval, if any. The next frame begins at `next`, in nanoseconds.
    pub fn close(&mut self, next: u64) -> Option<Interval> {
        self.begin = next;
        self.intervals.finish(next)
    }

    /// Restarts smoothing, forgets the last prediction and closes the open interval. The next frame, if it is known, begins at
    /// `next`.
    pub fn reset(&mut self, next: u64) -> Option<Interval> {
        self.state = self.initial.clone();
        self.pending.clear();
        self.held.clear();
        self.intervals.finish(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::rule::LabelRule;
    use crate::labels::window::{SmoothingWindow, WindowAlign};

    fn labeler(window: usize, align: WindowAlign) -> Labeler {
        let window = SmoothingWindow::Predictions(window);
        LabelRule { action: None, window, align, threshold: 0.6, hysteresis: 0.0 }.labeler(2, usize::MAX)
    }

    /// Adds a frame of 10 ns and returns its decision and the interval that it closed.
    fn frame(labeler: &mut Labeler, prediction: [f32; 2], pts: u64) -> (Decision, Option<Interval>) {
        assert!(labeler.push(Some(prediction.into()), pts, pts + 10));
        let output = labeler.next(false).unwrap();
        (output.decision, output.closed)
    }

    #[test]
    fn a_held_frame_gets_the_last_prediction() {
        let mut labeler = labeler(2, WindowAlign::Trailing);
        assert!(!labeler.push(None, 0, 10));
        frame(&mut labeler, [0.9, 0.1], 10);
        assert!(labeler.push(None, 20, 30));
        let output = labeler.next(false).unwrap();
        assert_eq!(output.decision, Decision { label: 0, confidence: f64::from(0.9_f32), shown: true });
        assert_eq!(output.open.map(|interval| (interval.start, interval.end)), Some((10, 30)));
    }

    #[test]
    fn a_reset_clears_the_window_and_the_prediction() {
        let mut labeler = labeler(2, WindowAlign::Trailing);
        frame(&mut labeler, [1.0, 0.0], 0);
        let closed = labeler.reset(u64::MAX).unwrap();
        assert_eq!((closed.label, closed.start, closed.end), (0, 0, 10));
        assert!(!labeler.push(None, 20, 30));
        labeler.push(Some(vec![0.0, 1.0]), 30, 40);
        assert_eq!(labeler.next(false).unwrap().smoothed, [0.0, 1.0]);
    }

    #[test]
    fn the_window_warms_up_until_it_is_filled() {
        let warming = |mut labeler: Labeler| {
            (0..4)
                .map(|i| {
                    labeler.push(Some(vec![1.0, 0.0]), 10 * i, 10 * i + 10);
                    labeler.next(true).unwrap().warming_up
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(warming(labeler(2, WindowAlign::Trailing)), [true, false, false, false]);
        assert_eq!(warming(labeler(2, WindowAlign::Centred)), [false; 4]);
        let window = SmoothingWindow::Time(std::time::Duration::from_nanos(20));
        let rule = LabelRule { action: None, window, align: WindowAlign::Trailing, threshold: 0.6, hysteresis: 0.0 };
        assert_eq!(warming(rule.labeler(2, 0)), [true, true, false, false]);
    }

    #[test]
    fn closing_keeps_the_window() {
        let mut labeler = labeler(2, WindowAlign::Trailing);
        frame(&mut labeler, [1.0, 0.0], 0);
        assert!(labeler.close(10).is_some() && labeler.close(10).is_none());
        labeler.push(Some(vec![0.0, 1.0]), 10, 20);
        assert_eq!(labeler.next(false).unwrap().smoothed, [0.5, 0.5]);
    }

    #[test]
    fn a_centred_window_finds_an_activity_where_it_is() {
        let predictions = |pts: u64| if (100..200).contains(&pts) { vec![1.0, 0.0] } else { vec![0.0, 1.0] };
        let mut labeler = labeler(5, WindowAlign::Centred);
        let mut found = Vec::new();
        for pts in (0..300).step_by(10) {
            labeler.push(Some(predictions(pts)), pts, pts + 10);
            while let Some(output) = labeler.next(pts == 290) {
                found.extend(output.closed);
            }
        }
        found.extend(labeler.close(300));
        let edges: Vec<_> = found.iter().map(|found| (found.label, found.start, found.end)).collect();
        assert_eq!(edges, [(1, 0, 100), (0, 100, 200), (1, 200, 300)]);
    }

    #[test]
    fn a_trailing_window_is_late_and_the_predictions_tell_by_how_much() {
        let mut labeler = labeler(5, WindowAlign::Trailing);
        let mut found = Vec::new();
        for pts in (0..300).step_by(10) {
            let active = (100..200).contains(&pts);
            found.extend(frame(&mut labeler, if active { [1.0, 0.0] } else { [0.0, 1.0] }, pts).1);
        }
        found.extend(labeler.close(300));
        let edges: Vec<_> = found.iter().map(|found| (found.start, found.end, found.onset, found.offset)).collect();
        assert_eq!(edges, [(0, 120, 0, 100), (120, 220, 100, 200), (220, 300, 200, 300)]);
        // Three of five predictions reach the threshold of 0.6.
        assert_eq!(labeler.shortest(), Some(30));
    }

    #[test]
    fn an_interval_does_not_reach_back_across_a_gap() {
        let mut labeler = labeler(5, WindowAlign::Trailing);
        for pts in [0, 10, 20] {
            frame(&mut labeler, [1.0, 0.0], pts);
        }
        let before = labeler.close(1000).unwrap();
        assert_eq!((before.end, before.offset), (30, 30));
        frame(&mut labeler, [1.0, 0.0], 1000);
        let after = labeler.close(2000).unwrap();
        assert_eq!((after.start, after.onset), (1000, 1000));
    }
}
