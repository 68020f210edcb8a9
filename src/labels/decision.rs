//! Decides which label is shown for a frame.

/// The label of a frame, its confidence, and whether it is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// Index of the label.
    pub label: usize,
    /// The label's smoothed probability.
    pub confidence: f64,
    /// Whether the label is shown; otherwise none is.
    pub shown: bool,
}

impl Decision {
    /// Returns whether both show the same label, or both none.
    pub fn same_label(self, other: Self) -> bool {
        self.shown == other.shown && (!self.shown || self.label == other.label)
    }
}

/// The decision rule and its state.
#[derive(Clone, Debug)]
pub struct Decider {
    action: Option<usize>,
    threshold: f64,
    hysteresis: f64,
    current: Option<usize>,
}

impl Decider {
    /// Creates a decider. The most probable label is shown if its probability is at least `threshold`. With an
    /// `action`, no other label is shown. With `hysteresis`, a shown label stays until another is more probable by
    /// more than `hysteresis`, or until its own probability falls below `threshold − hysteresis`.
    pub fn new(action: Option<usize>, threshold: f64, hysteresis: f64) -> Self {
        Self { action, threshold, hysteresis, current: None }
    }

    /// Returns the probability below which no label is shown.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Returns the share of a window that a label must fill with certain predictions to replace another one.
    pub fn share(&self) -> f64 {
        self.threshold.max((1.0 + self.hysteresis) / 2.0).min(1.0)
    }

    /// Decides for the next frame. Of equal probabilities the first wins, as with `argmax`.
    pub fn decide(&mut self, mean: &[f64]) -> Decision {
        let mut label = 0;
        for (candidate, &probability) in mean.iter().enumerate() {
            if probability > mean[label] {
                label = candidate;
            }
        }
        let mut threshold = self.threshold;
        if let Some(current) = self.current.filter(|&current| mean[label] - mean[current] <= self.hysteresis) {
            label = current;
            threshold -= self.hysteresis;
        }
        let confidence = mean[label];
        let shown = confidence >= threshold && self.action.is_none_or(|action| action == label);
        self.current = (confidence >= threshold).then_some(label);
        Decision { label, confidence, shown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(label: usize, confidence: f64, shown: bool) -> Decision {
        Decision { label, confidence, shown }
    }

    #[test]
    fn without_an_action_the_most_probable_label_is_shown() {
        let mut decider = Decider::new(None, 0.0, 0.0);
        assert_eq!(decider.decide(&[0.2, 0.5, 0.3]), decision(1, 0.5, true));
        assert_eq!(decider.decide(&[0.4, 0.2, 0.4]), decision(0, 0.4, true));
    }

    #[test]
    fn with_an_action_no_other_label_is_shown() {
        let mut decider = Decider::new(Some(1), 0.0, 0.0);
        assert_eq!(decider.decide(&[0.2, 0.5, 0.3]), decision(1, 0.5, true));
        assert_eq!(decider.decide(&[0.6, 0.4, 0.0]), decision(0, 0.6, false));
    }

    #[test]
    fn below_the_threshold_no_label_is_shown() {
        let mut decider = Decider::new(None, 0.6, 0.0);
        assert_eq!(decider.decide(&[0.59, 0.41]), decision(0, 0.59, false));
        assert_eq!(decider.decide(&[0.6, 0.4]), decision(0, 0.6, true));
    }

    #[test]
    fn hysteresis_keeps_a_shown_label_through_a_dip() {
        let mut decider = Decider::new(None, 0.6, 0.1);
        assert!(!decider.decide(&[0.55, 0.45]).shown);
        assert!(decider.decide(&[0.65, 0.35]).shown);
        assert!(decider.decide(&[0.55, 0.45]).shown);
        assert!(!decider.decide(&[0.49, 0.51]).shown);
        assert!(!decider.decide(&[0.55, 0.45]).shown);
    }

    #[test]
    fn hysteresis_keeps_the_label_in_a_near_tie() {
        let mut decider = Decider::new(None, 0.0, 0.1);
        assert_eq!(decider.decide(&[0.6, 0.4]).label, 0);
        assert_eq!(decider.decide(&[0.46, 0.54]).label, 0);
        assert_eq!(decider.decide(&[0.4, 0.6]).label, 1);
    }
}
