//! Turns predictions into labels and intervals: smoothing, decision, and the reset after a gap. No I/O.

use crate::labels::decision::{Decider, Decision};
use crate::labels::intervals::{Interval, Intervals};
use crate::labels::smoothing::Smoothing;

/// Labels the frames of one stream, in order.
pub struct Labeler {
    initial: LabelState,
    state: LabelState,
    intervals: Intervals,
    /// The last prediction, used for held frames. Empty until there is one.
    held: Vec<f32>,
}

/// The state that a label depends on, besides its frame.
#[derive(Clone)]
pub struct LabelState {
    pub smoothing: Smoothing,
    pub decider: Decider,
}

/// The result for one frame.
pub struct LabelerOutput<'a> {
    pub decision: Decision,
    /// The smoothed probability of every label.
    pub smoothed: &'a [f64],
    /// The frame's own prediction; the last one if the frame is held.
    pub prediction: &'a [f32],
    /// The interval that ended with this frame.
    pub closed: Option<Interval>,
    /// The interval that the frame belongs to, up to this frame.
    pub open: Option<Interval>,
}

impl Labeler {
    pub fn new(smoothing: Smoothing, decider: Decider) -> Self {
        let initial = LabelState { smoothing, decider };
        Self { state: initial.clone(), initial, intervals: Intervals::default(), held: Vec::new() }
    }

    /// Labels the frame shown from `pts` to `end`, in nanoseconds. Without a `prediction`, the frame is held and gets
    /// the last one. Returns `None` if there is none.
    pub fn frame(&mut self, prediction: Option<Vec<f32>>, pts: u64, end: u64) -> Option<LabelerOutput<'_>> {
        if let Some(prediction) = prediction {
            self.held = prediction;
        }
        if self.held.is_empty() {
            return None;
        }
        let smoothed = self.state.smoothing.push(&self.held, pts);
        let decision = self.state.decider.decide(smoothed);
        let closed = self.intervals.push(decision, pts, end);
        Some(LabelerOutput { decision, smoothed, prediction: &self.held, closed, open: self.intervals.open() })
    }

    /// Returns the prediction of the last frame.
    pub fn prediction(&self) -> &[f32] {
        &self.held
    }

    /// Returns the state that the next label depends on.
    pub fn state(&self) -> &LabelState {
        &self.state
    }

    /// Closes the open interval, if any.
    pub fn close(&mut self) -> Option<Interval> {
        self.intervals.finish()
    }

    /// Restarts smoothing, forgets the last prediction and closes the open interval.
    pub fn reset(&mut self) -> Option<Interval> {
        self.state = self.initial.clone();
        self.held.clear();
        self.intervals.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::window::SmoothingWindow;

    fn labeler() -> Labeler {
        Labeler::new(Smoothing::new(SmoothingWindow::Predictions(2), 2), Decider::new(None, 0.6, 0.0))
    }

    #[test]
    fn a_held_frame_gets_the_last_prediction() {
        let mut labeler = labeler();
        assert!(labeler.frame(None, 0, 10).is_none());
        labeler.frame(Some(vec![0.9, 0.1]), 10, 20).unwrap();
        let label = labeler.frame(None, 20, 30).unwrap();
        assert_eq!(label.decision, Decision { label: 0, confidence: f64::from(0.9_f32), shown: true });
        assert_eq!(label.open.map(|interval| (interval.start, interval.end)), Some((10, 30)));
    }

    #[test]
    fn a_reset_clears_the_window_and_the_prediction() {
        let mut labeler = labeler();
        labeler.frame(Some(vec![1.0, 0.0]), 0, 10).unwrap();
        let closed = labeler.reset().unwrap();
        assert_eq!((closed.label, closed.start, closed.end), (0, 0, 10));
        assert!(labeler.frame(None, 20, 30).is_none());
        assert_eq!(labeler.frame(Some(vec![0.0, 1.0]), 30, 40).unwrap().smoothed, [0.0, 1.0]);
    }

    #[test]
    fn closing_keeps_the_window() {
        let mut labeler = labeler();
        labeler.frame(Some(vec![1.0, 0.0]), 0, 10).unwrap();
        assert!(labeler.close().is_some() && labeler.close().is_none());
        assert_eq!(labeler.frame(Some(vec![0.0, 1.0]), 10, 20).unwrap().smoothed, [0.5, 0.5]);
    }
}
