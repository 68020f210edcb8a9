//! The stride: every n-th frame is analysed, with n fixed or measured.
//!
//! A held frame gets the last prediction, which also enters the smoothing window in its place. So the window covers the
//! same time with any stride.

use serde::{Deserialize, Deserializer};

use crate::labels::labeler::LabelState;
use crate::labels::window::number_or_text;

/// Strides that `auto` can choose, besides 1.
pub const CANDIDATES: [u64; 4] = [2, 4, 8, 15];
/// Share of frames whose label must be the same as with every frame analysed.
pub const AGREEMENT: f64 = 0.995;

/// The option `--stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stride {
    /// Every n-th frame.
    Every(u64),
    /// On a clip the largest candidate that agrees, measured on the first minute and periodically afterwards; on a
    /// camera adapted to the load.
    Auto,
}

impl std::str::FromStr for Stride {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Stride::Auto),
            _ => match text.parse() {
                Ok(stride) if stride > 0 => Ok(Stride::Every(stride)),
                _ => Err(format!("{text:?} is neither auto nor a whole number of 1 or more")),
            },
        }
    }
}

/// A number or "auto".
impl<'de> Deserialize<'de> for Stride {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        number_or_text(deserializer)
    }
}

/// Compares the candidates with a stride of 1 while every frame is analysed.
pub struct StrideComparison {
    full: Candidate,
    candidates: Vec<Candidate>,
    pushed: u64,
    compared: u64,
}

/// Simulates one stride.
struct Candidate {
    stride: u64,
    state: LabelState,
    held: Vec<f32>,
    agreed: u64,
}

impl StrideComparison {
    /// `state` is the labeler's state before the first frame.
    pub fn new(state: &LabelState) -> Self {
        let candidate = |stride| Candidate { stride, state: state.clone(), held: Vec::new(), agreed: 0 };
        Self { full: candidate(1), candidates: CANDIDATES.map(candidate).into(), pushed: 0, compared: 0 }
    }

    /// Adds the prediction for the frame at `pts`.
    pub fn push(&mut self, probabilities: &[f32], pts: u64) {
        for candidate in self.candidates.iter_mut().chain([&mut self.full]) {
            if self.pushed.is_multiple_of(candidate.stride) {
                candidate.held.clear();
                candidate.held.extend_from_slice(probabilities);
            }
            candidate.state.smoothing.push(&candidate.held, pts);
        }
        self.pushed += 1;
        // A centred window completes at the same frame with any stride.
        while let Some(full) = self.full.state.next_decision() {
            for candidate in &mut self.candidates {
                let same = candidate.state.next_decision().is_some_and(|decision| decision.same_label(full));
                candidate.agreed += u64::from(same);
            }
            self.compared += 1;
        }
    }

    /// Returns the largest stride that agreed often enough and its share of equal labels; 1 if none did.
    pub fn outcome(&self) -> (u64, f64) {
        let share = |candidate: &Candidate| candidate.agreed as f64 / self.compared.max(1) as f64;
        self.candidates
            .iter()
            .rev()
            .map(|candidate| (candidate.stride, share(candidate)))
            .find(|&(_, share)| share >= AGREEMENT)
            .unwrap_or((1, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::decision::Decider;
    use crate::labels::smoothing::Smoothing;
    use crate::labels::window::{SmoothingWindow, WindowAlign};

    fn outcome(predictions: impl Iterator<Item = [f32; 2]>) -> (u64, f64) {
        let comparison = |align| {
            let smoothing = Smoothing::new(SmoothingWindow::Predictions(4), align, 2, usize::MAX);
            StrideComparison::new(&LabelState { smoothing, decider: Decider::new(None, 0.0, 0.0) })
        };
        let mut comparisons = [comparison(WindowAlign::Trailing), comparison(WindowAlign::Centred)];
        for prediction in predictions {
            comparisons.iter_mut().for_each(|comparison| comparison.push(&prediction, 0));
        }
        let [trailing, centred] = comparisons.map(|comparison| comparison.outcome());
        assert_eq!(trailing.0, centred.0);
        trailing
    }

    #[test]
    fn a_still_scene_gets_the_largest_stride() {
        assert_eq!(outcome((0..1000).map(|_| [0.9, 0.1])), (15, 1.0));
    }

    #[test]
    fn a_restless_scene_gets_a_stride_of_1() {
        assert_eq!(outcome((0..1000).map(|i| if i % 7 < 4 { [0.9, 0.1] } else { [0.1, 0.9] })), (1, 1.0));
    }

    #[test]
    fn a_slow_scene_gets_a_stride_between() {
        let (stride, share) = outcome((0..2000).map(|i| if i / 400 % 2 == 0 { [0.9, 0.1] } else { [0.2, 0.8] }));
        assert!(stride > 1 && share >= AGREEMENT, "{stride} {share}");
    }
}
