//! Which label is shown for a frame.

/// What a frame's smoothed probabilities amount to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// The most probable class, by its place among the labels.
    pub class: usize,
    /// Its smoothed probability.
    pub confidence: f64,
    /// Whether the label is shown; otherwise the picture says "computing...".
    pub shown: bool,
}

/// The rule that decides, and the little it remembers.
#[derive(Clone, Debug)]
pub struct Decider {
    action: Option<usize>,
    threshold: f64,
    hysteresis: f64,
    current: Option<usize>,
}

impl Decider {
    /// With an `action` only that class is ever shown; without, every class is. A class is shown where it is the most
    /// probable and its probability is at least `threshold`. A class that is shown gives way only to one that is more
    /// probable by more than `hysteresis`, and stays down to `threshold − hysteresis`; 0 is the plain rule.
    pub fn new(action: Option<usize>, threshold: f64, hysteresis: f64) -> Self {
        Self { action, threshold, hysteresis, current: None }
    }

    /// The decision for the next frame. Of equal probabilities the first wins, as with `argmax`.
    pub fn decide(&mut self, mean: &[f64]) -> Decision {
        let mut class = 0;
        for (candidate, &probability) in mean.iter().enumerate() {
            if probability > mean[class] {
                class = candidate;
            }
        }
        let mut bound = self.threshold;
        if let Some(current) = self.current.filter(|&current| mean[class] - mean[current] <= self.hysteresis) {
            class = current;
            bound -= self.hysteresis;
        }
        let confidence = mean[class];
        let shown = confidence >= bound && self.action.is_none_or(|action| action == class);
        self.current = (confidence >= bound).then_some(class);
        Decision { class, confidence, shown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(class: usize, confidence: f64, shown: bool) -> Decision {
        Decision { class, confidence, shown }
    }

    #[test]
    fn without_an_action_the_most_probable_is_shown() {
        let mut decider = Decider::new(None, 0.0, 0.0);
        assert_eq!(decider.decide(&[0.2, 0.5, 0.3]), decision(1, 0.5, true));
        assert_eq!(decider.decide(&[0.4, 0.2, 0.4]), decision(0, 0.4, true));
    }

    #[test]
    fn with_an_action_only_that_is_shown() {
        let mut decider = Decider::new(Some(1), 0.0, 0.0);
        assert_eq!(decider.decide(&[0.2, 0.5, 0.3]), decision(1, 0.5, true));
        assert_eq!(decider.decide(&[0.6, 0.4, 0.0]), decision(0, 0.6, false));
    }

    #[test]
    fn below_the_bound_nothing_is_shown() {
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
    fn hysteresis_keeps_the_class_of_a_near_tie() {
        let mut decider = Decider::new(None, 0.0, 0.1);
        assert_eq!(decider.decide(&[0.6, 0.4]).class, 0);
        assert_eq!(decider.decide(&[0.46, 0.54]).class, 0);
        assert_eq!(decider.decide(&[0.4, 0.6]).class, 1);
    }
}
