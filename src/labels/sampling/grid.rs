//! The grid: frames that are analysed whatever their neighbours say.

use std::collections::VecDeque;

use crate::labels::sampling::plan::{IN_FLIGHT, Plan};
use crate::labels::sampling::stretch::difference;

/// Largest difference of two predictions in a row that lets the step grow.
const CALM: f32 = 0.05;

/// Chooses the frames of the grid: the step doubles after a calm stretch and halves after a lively one.
pub(super) struct Grid {
    step: usize,
    min: usize,
    max: usize,
    /// Frames until the next one on the grid.
    until: usize,
    /// Frames on the grid since the first whose difference is not used yet.
    chosen: usize,
    last: Vec<f32>,
    differences: VecDeque<f32>,
}

impl Grid {
    pub fn new(plan: &Plan) -> Self {
        let (min, max) = (plan.min_step, plan.max_step);
        Self { step: min, min, max, until: 0, chosen: 0, last: Vec::new(), differences: VecDeque::new() }
    }

    /// Returns whether the next frame is on the grid. The results of all frames on the grid but the last
    /// [`IN_FLIGHT`] must be known. Only these are used, so that the choice does not depend on how fast they come.
    pub fn next(&mut self) -> bool {
        if self.until > 0 {
            self.until -= 1;
            return false;
        }
        if self.chosen > IN_FLIGHT + 1
            && let Some(difference) = self.differences.pop_front()
        {
            self.chosen -= 1;
            self.step = if difference < CALM { 2 * self.step } else { self.step / 2 }.clamp(self.min, self.max);
        }
        self.chosen += 1;
        self.until = self.step - 1;
        true
    }

    /// Adds the prediction of the next frame on the grid.
    pub fn insert(&mut self, probabilities: &[f32]) {
        if !self.last.is_empty() {
            self.differences.push_back(difference(&self.last, probabilities));
        }
        self.last.clear();
        self.last.extend_from_slice(probabilities);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the distances of the frames on the grid.
    fn distances(predictions: impl Fn(usize) -> f32) -> Vec<usize> {
        let mut grid = Grid::new(&Plan::new(1, 0, 1000, 1.5));
        let on_grid: Vec<usize> = (0..500)
            .filter(|&frame| {
                let chosen = grid.next();
                if chosen {
                    grid.insert(&[predictions(frame)]);
                }
                chosen
            })
            .collect();
        on_grid.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[test]
    fn the_step_grows_in_calm_stretches_and_shrinks_in_lively_ones() {
        assert_eq!(distances(|_| 0.9)[..8], [8, 8, 8, 8, 8, 16, 32, 32]);
        assert!(distances(|frame| (frame % 5) as f32 / 5.0).iter().all(|&distance| distance <= 16));
    }
}
