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

    /// Returns by how much a probability, or the difference of two, must change for the next decision to be another.
    pub fn margin(&self, mean: &[f64]) -> f64 {
        let of_others = |label: usize| {
            let others = mean.iter().enumerate().filter(|&(other, _)| other != label);
            others.map(|(_, &probability)| probability).fold(f64::NEG_INFINITY, f64::max)
        };
        let (label, threshold) = self.choose(mean);
        let (confidence, stays) = (mean[label], self.current == Some(label));
        if confidence < threshold {
            // No label, until one reaches the threshold.
            return (threshold - confidence).min(self.threshold - of_others(label));
        }
        let ahead = confidence - of_others(label);
        let label_margin = match self.current {
            _ if stays => ahead + self.hysteresis,
            Some(current) => ahead.min(confidence - mean[current] - self.hysteresis),
            None => ahead,
        };
        if threshold > 0.0 { label_margin.min(confidence - threshold) } else { label_margin }
    }

    /// Decides for the next frame. Of equal probabilities the first wins, as with `argmax`.
    pub fn decide(&mut self, mean: &[f64]) -> Decision {
        let (label, threshold) = self.choose(mean);
        let confidence = mean[label];
        let shown = confidence >= threshold && self.action.is_none_or(|action| action == label);
        self.current = (confidence >= threshold).then_some(label);
        Decision { label, confidence, shown }
    }

    /// Returns the next label, and the probability that it must reach.
    fn choose(&self, mean: &[f64]) -> (usize, f64) {
        let mut label = 0;
        for (candidate, &probability) in mean.iter().enumerate() {
            if probability > mean[label] {
                label = candidate;
            }
        }
        match self.current.filter(|&current| mean[label] - mean[current] <= self.hysteresis) {
            Some(current) => (current, self.threshold - self.hysteresis),
            None => (label, self.threshold),
        }
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

    #[test]
    fn the_margin_is_the_change_that_changes_the_decision() {
        let means = [[0.5, 0.3, 0.2], [0.34, 0.33, 0.33], [0.2, 0.55, 0.25], [0.45, 0.5, 0.05], [0.1, 0.1, 0.8]];
        for (threshold, hysteresis) in [(0.0, 0.0), (0.0, 0.1), (0.4, 0.05), (0.6, 0.1)] {
            for current in [None, Some(0), Some(1), Some(2)] {
                let decider = Decider { action: None, threshold, hysteresis, current };
                for mean in means {
                    let (decision, margin) = (decider.clone().decide(&mean), decider.margin(&mean));
                    assert!(margin >= 0.0);
                    for (up, down) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
                        // The difference of two probabilities changes by less than the margin.
                        let mut near = mean;
                        near[up] += 0.49 * margin;
                        near[down] -= 0.49 * margin;
                        let other = decider.clone().decide(&near);
                        assert!(decision.same_label(other), "{threshold} {hysteresis} {current:?} {mean:?} {margin}");
                    }
                }
            }
        }
        assert_eq!(Decider::new(None, 0.0, 0.0).margin(&[0.75, 0.25]), 0.5);
        assert_eq!(Decider { current: Some(1), ..Decider::new(None, 0.0, 0.25) }.margin(&[0.625, 0.375]), 0.0);
    }
}
