//! How far apart frames are analysed at first, and how many are held.

/// Frames between two that are analysed, in calm stretches.
const MAX_STEP: usize = 32;
/// The same in lively stretches: a shorter window shows shorter activities.
const MIN_STEP: usize = 8;
const MIN_STEP_LONG_WINDOW: usize = 16;
/// Window from which on the longer step is enough.
const LONG_WINDOW: usize = 16;
/// Labels that are decided at a time, so that the engine gets several frames at once.
const BLOCK: usize = 32;
/// How many times the expected error a label must stand. Chosen by `livelabel bench sampling`; see docs/benchmarks.md.
pub const STRICTNESS: f64 = 1.5;
/// Frames on the grid that are submitted before the result of the first is needed.
pub const IN_FLIGHT: usize = 3;

/// Lengths in frames. They do not depend on how fast the machine is, so neither do the labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    pub(super) min_step: usize,
    pub(super) max_step: usize,
    pub(super) block: usize,
    /// Most frames after the one to label that its window covers.
    pub(super) ahead: usize,
    /// Most frames held before the first that has no final label.
    pub(super) behind: usize,
    pub(super) strictness: f64,
}

impl Plan {
    /// Plans for a smoothing window of about `window` frames, of which `ahead` are after the one to label, with memory
    /// for `held` frames. A label is final if it stays with `strictness` times the expected error.
    pub fn new(window: usize, ahead: usize, held: usize, strictness: f64) -> Self {
        let ahead = ahead.min(held / 2);
        let behind = window.min((held - ahead) / 3);
        // Besides those, a block, the stretch before it, and the frames on the way to the engine.
        let step = ((held - ahead - behind) / (IN_FLIGHT + 3)).clamp(1, MAX_STEP);
        let min_step = if window < LONG_WINDOW { MIN_STEP } else { MIN_STEP_LONG_WINDOW };
        Self { min_step: min_step.min(step), max_step: step, block: step.min(BLOCK), ahead, behind, strictness }
    }

    /// Limits the step.
    pub fn with_max_step(self, step: usize) -> Self {
        let max_step = self.max_step.min(step).max(1);
        Self { max_step, min_step: self.min_step.min(max_step), ..self }
    }

    /// Returns how many frames after the one to label a window can cover.
    pub fn max_ahead(&self) -> usize {
        self.ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(plan: Plan) -> usize {
        plan.ahead + plan.behind + plan.block + (IN_FLIGHT + 2) * plan.max_step
    }

    #[test]
    fn memory_for_many_frames_allows_long_steps() {
        let plan = Plan::new(36, 18, 1000, 1.5);
        assert_eq!((plan.min_step, plan.max_step, plan.block, plan.ahead, plan.behind), (16, 32, 32, 18, 36));
        assert_eq!(Plan::new(15, 7, 1000, 1.5).min_step, 8);
    }

    #[test]
    fn little_memory_shortens_steps_before_the_window() {
        let plan = Plan::new(128, 64, 124, 1.5);
        assert_eq!((plan.min_step, plan.max_step, plan.block, plan.ahead, plan.behind), (7, 7, 7, 62, 20));
        for memory in 1..2000 {
            for (window, ahead) in [(1, 0), (36, 18), (128, 64), (128, 0), (10_000, 5_000)] {
                let plan = Plan::new(window, ahead, memory, 1.5);
                assert!(plan.max_step >= 1 && (memory < 16 || held(plan) <= memory), "{memory}: {plan:?}");
            }
        }
    }
}
