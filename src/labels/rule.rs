//! The rule that turns predictions into labels: window, threshold, hysteresis and action.

use crate::labels::decision::Decider;
use crate::labels::labeler::Labeler;
use crate::labels::smoothing::Smoothing;
use crate::labels::window::{SmoothingWindow, WindowAlign};

/// Everything that the labels of a stream depend on, besides its predictions.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelRule {
    /// Index of the only label that is shown, if there is one.
    pub action: Option<usize>,
    pub window: SmoothingWindow,
    pub align: WindowAlign,
    /// Confidence below which no label is shown.
    pub threshold: f64,
    /// How much more confident another label must be to replace the shown one.
    pub hysteresis: f64,
}

impl LabelRule {
    /// Creates a labeler for predictions of `labels` probabilities. A centred window waits for at most `max_ahead`
    /// frames after the one to label.
    pub fn labeler(&self, labels: usize, max_ahead: usize) -> Labeler {
        let smoothing = Smoothing::new(self.window, self.align, labels, max_ahead);
        Labeler::new(smoothing, Decider::new(self.action, self.threshold, self.hysteresis))
    }
}
