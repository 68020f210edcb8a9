//! The stride of a clip: the largest whose labels agree with analysing every frame, measured periodically.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::labels::stride::StrideComparison;
use crate::pipeline::stride::policy::{Labeled, Load, StridePolicy};

const SECOND: u64 = 1_000_000_000;
/// Duration of the first comparison, in which every frame is analysed, and of each later one.
const FIRST_COMPARISON: u64 = 60 * SECOND;
const LATER_COMPARISON: u64 = 10 * SECOND;
/// Time between comparisons.
const BETWEEN_COMPARISONS: u64 = 300 * SECOND;

/// Calibrates the stride in comparisons.
pub struct CalibratedStride {
    stride: AtomicU64,
    calibration: Mutex<Calibration>,
}

struct Calibration {
    phase: Phase,
    comparison_length: u64,
    /// The last chosen stride and its measured agreement.
    chosen: Option<(u64, f64)>,
}

enum Phase {
    /// Waits for the first analysed frame after the stride was set to 1.
    Awaiting,
    Measuring {
        comparison: Box<StrideComparison>,
        until: u64,
    },
    Holding {
        until: u64,
    },
}

impl Default for CalibratedStride {
    fn default() -> Self {
        let calibration = Calibration { phase: Phase::Awaiting, comparison_length: FIRST_COMPARISON, chosen: None };
        Self { stride: AtomicU64::new(1), calibration: Mutex::new(calibration) }
    }
}

impl CalibratedStride {
    fn calibration(&self) -> std::sync::MutexGuard<'_, Calibration> {
        self.calibration.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StridePolicy for CalibratedStride {
    fn stride(&self, _load: &dyn Fn() -> Load) -> u64 {
        self.stride.load(Ordering::Relaxed)
    }

    fn needs_state(&self) -> bool {
        matches!(self.calibration().phase, Phase::Awaiting)
    }

    fn labeled(&self, frame: Labeled<'_>) {
        if let Some(stride) = self.calibration().labeled(frame) {
            self.stride.store(stride, Ordering::Relaxed);
        }
    }

    fn measured(&self) -> Option<(u64, f64)> {
        self.calibration().chosen
    }
}

impl Calibration {
    /// Handles a labelled frame. Returns the new stride if it changes.
    fn labeled(&mut self, Labeled { pts, prediction, before, .. }: Labeled<'_>) -> Option<u64> {
        let Some(prediction) = prediction else {
            // A held frame that was in flight when the stride changed invalidates the comparison.
            if !matches!(self.phase, Phase::Holding { .. }) {
                self.phase = Phase::Awaiting;
            }
            return self.recheck(pts);
        };
        if let (Phase::Awaiting, Some(state)) = (&self.phase, before) {
            self.phase = Phase::Measuring {
                comparison: Box::new(StrideComparison::new(&state)),
                until: pts + self.comparison_length,
            };
        }
        if let Phase::Measuring { comparison, until } = &mut self.phase {
            comparison.push(prediction, pts);
            if pts >= *until {
                let (stride, agreement) = comparison.outcome();
                self.chosen = Some((stride, agreement));
                self.comparison_length = LATER_COMPARISON;
                self.phase = Phase::Holding { until: pts + BETWEEN_COMPARISONS };
                return Some(stride);
            }
        }
        self.recheck(pts)
    }

    fn recheck(&mut self, pts: u64) -> Option<u64> {
        let due = matches!(self.phase, Phase::Holding { until } if pts >= until);
        due.then(|| {
            self.phase = Phase::Awaiting;
            1
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::labels::decision::Decider;
    use crate::labels::labeler::Labeler;
    use crate::labels::smoothing::Smoothing;
    use crate::labels::window::{SmoothingWindow, WindowAlign};

    /// Simulates `seconds` of a still scene at ten frames a second; returns the stride at the start of each second.
    fn strides(seconds: u64) -> Vec<u64> {
        let policy = CalibratedStride::default();
        let load = || Load { at: Duration::ZERO, waiting: 0, capacity: 8, dropped: 0 };
        let smoothing = Smoothing::new(SmoothingWindow::Predictions(4), WindowAlign::Centred, 2, usize::MAX);
        let mut labeler = Labeler::new(smoothing, Decider::new(None, 0.0, 0.0));
        let mut strides = Vec::new();
        let mut held = 0;
        for i in 0..10 * seconds {
            let stride = policy.stride(&load);
            if i % 10 == 0 {
                strides.push(stride);
            }
            held += 1;
            let analysed = held >= stride;
            if analysed {
                held = 0;
            }
            let before = policy.needs_state().then(|| labeler.state().clone());
            let prediction = [0.9, 0.1];
            let (pts, end) = (i * SECOND / 10, (i + 1) * SECOND / 10);
            labeler.push(Some(prediction.to_vec()), pts, end);
            while labeler.next(false).is_some() {}
            let prediction = analysed.then_some(prediction.as_slice());
            policy.labeled(Labeled { pts, prediction, before, delay: Duration::ZERO });
        }
        strides
    }

    #[test]
    fn the_first_comparison_takes_a_minute_and_later_ones_follow_every_five() {
        let strides = strides(700);
        let every_frame: Vec<usize> = (0..700).filter(|&second| strides[second] == 1).collect();
        assert_eq!(every_frame, (0..=60).chain(361..=370).chain(671..=680).collect::<Vec<_>>());
        assert!(strides.iter().all(|&stride| stride == 1 || stride == 15));
    }
}
