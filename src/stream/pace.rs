//! Chooses which frames are analysed, from what the presenter measures to what the preparing thread does.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::labels::smoothing::Smoothing;
use crate::labels::stride::{Stride, Trial};
use crate::labels::verdict::{Judge, Verdict};

const SECOND: u64 = 1_000_000_000;
/// How long every frame is analysed before the first choice, and before each later one.
const FIRST_TRIAL: u64 = 60 * SECOND;
const LATER_TRIAL: u64 = 10 * SECOND;
/// How long a choice holds before it is measured again.
const BETWEEN_TRIALS: u64 = 300 * SECOND;

/// The stride that holds now; shared by the two threads.
pub struct Pace(AtomicU64);

impl Pace {
    pub fn new(stride: Stride) -> Self {
        Self(AtomicU64::new(match stride {
            Stride::Every(stride) => stride,
            Stride::Auto => 1,
        }))
    }

    pub fn stride(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Finds the stride for [`Stride::Auto`].
pub struct Tuner<'a> {
    pace: &'a Pace,
    phase: Phase,
    trial_length: u64,
    /// The last choice and its measured agreement.
    chosen: Option<(u64, f64)>,
}

enum Phase {
    /// Waits for the first frame that is analysed after every frame was asked for.
    Awaiting,
    Measuring {
        trial: Trial,
        until: u64,
    },
    Holding {
        until: u64,
    },
}

impl<'a> Tuner<'a> {
    pub fn new(pace: &'a Pace) -> Self {
        Self { pace, phase: Phase::Awaiting, trial_length: FIRST_TRIAL, chosen: None }
    }

    /// Whether the next analysed frame starts a measurement.
    pub fn awaits(&self) -> bool {
        matches!(self.phase, Phase::Awaiting)
    }

    /// Takes the frame at `pts`: its prediction if it was analysed, what was made of it, and, where the tuner
    /// [`awaits`](Self::awaits) a start, the state that smoothing and rule were in before it.
    pub fn frame(
        &mut self,
        pts: u64,
        prediction: Option<&[f32]>,
        verdict: Verdict,
        before: Option<(Smoothing, Judge)>,
    ) {
        let Some(prediction) = prediction else {
            // A frame that was still on its way when the stride changed spoils a measurement.
            if !matches!(self.phase, Phase::Holding { .. }) {
                self.phase = Phase::Awaiting;
            }
            return self.recheck(pts);
        };
        if let (Phase::Awaiting, Some((smoothing, judge))) = (&self.phase, before) {
            self.phase = Phase::Measuring { trial: Trial::new(&smoothing, &judge), until: pts + self.trial_length };
        }
        if let Phase::Measuring { trial, until } = &mut self.phase {
            trial.push(prediction, verdict);
            if pts >= *until {
                let (stride, agreement) = trial.outcome();
                self.chosen = Some((stride, agreement));
                self.pace.0.store(stride, Ordering::Relaxed);
                self.trial_length = LATER_TRIAL;
                self.phase = Phase::Holding { until: pts + BETWEEN_TRIALS };
            }
        }
        self.recheck(pts);
    }

    /// What was chosen last, with the agreement it was chosen for.
    pub fn chosen(&self) -> Option<(u64, f64)> {
        self.chosen
    }

    fn recheck(&mut self, pts: u64) {
        if matches!(self.phase, Phase::Holding { until } if pts >= until) {
            self.pace.0.store(1, Ordering::Relaxed);
            self.phase = Phase::Awaiting;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `seconds` of a still scene at ten frames a second, as the two threads would; returns the stride each
    /// second began with.
    fn strides(seconds: u64) -> Vec<u64> {
        let pace = Pace::new(Stride::Auto);
        let mut tuner = Tuner::new(&pace);
        let (mut smoothing, mut judge) = (Smoothing::new(4, 2), Judge::new(None, 0.0, 0.0));
        let mut strides = Vec::new();
        let mut held = 0;
        for i in 0..10 * seconds {
            if i % 10 == 0 {
                strides.push(pace.stride());
            }
            held += 1;
            let analysed = held >= pace.stride();
            if analysed {
                held = 0;
            }
            let before = tuner.awaits().then(|| (smoothing.clone(), judge.clone()));
            let prediction = [0.9, 0.1];
            let verdict = judge.judge(smoothing.push(&prediction));
            tuner.frame(i * SECOND / 10, analysed.then_some(prediction.as_slice()), verdict, before);
        }
        strides
    }

    #[test]
    fn measures_a_minute_holds_five_and_measures_again() {
        let strides = strides(700);
        let every_frame: Vec<usize> = (0..700).filter(|&second| strides[second] == 1).collect();
        assert_eq!(every_frame, (0..=60).chain(361..=370).chain(671..=680).collect::<Vec<_>>());
        assert!(strides.iter().all(|&stride| stride == 1 || stride == 15));
    }
}
