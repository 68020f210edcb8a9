//! The rule that turns predictions into labels: window, threshold, hysteresis and action.

use crate::labels::decision::Decider;
use crate::labels::labeler::{LabelState, Labeler};
use crate::labels::sampling::{Plan, Sampler};
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
        Labeler::new(self.state(labels, max_ahead))
    }

    /// Creates the sampler of a stream whose labeler waits for [`Plan::max_ahead`] frames.
    pub fn sampler(&self, labels: usize, plan: Plan) -> Sampler {
        Sampler::new(self.state(labels, plan.max_ahead()), plan)
    }

    /// Returns whether a label depends on later frames.
    pub fn looks_ahead(&self) -> bool {
        self.align == WindowAlign::Centred && self.window != SmoothingWindow::Predictions(1)
    }

    fn state(&self, labels: usize, max_ahead: usize) -> LabelState {
        LabelState {
            smoothing: Smoothing::new(self.window, self.align, labels, max_ahead),
            decider: Decider::new(self.action, self.threshold, self.hysteresis),
        }
    }

    /// Plans adaptive sampling of a clip with `rate` frames a second, of which `held` fit in memory.
    pub fn sampling_plan(&self, rate: f64, held: usize, strictness: f64) -> Plan {
        let frames = match self.window {
            SmoothingWindow::Predictions(count) => count,
            SmoothingWindow::Time(time) => (time.as_secs_f64() * rate).ceil() as usize + 1,
        };
        let ahead = if self.align == WindowAlign::Centred { frames / 2 } else { 0 };
        Plan::new(frames, ahead, held, strictness)
    }
}
