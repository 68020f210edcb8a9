//! The state of a training after each epoch: learning rate, best epoch, early stopping.

use serde::{Deserialize, Serialize};

use crate::train::options::{FitOptions, LrSchedule};

/// Factor of the learning rate on a plateau, and its minimum as a share of the initial rate.
const REDUCTION: f64 = 0.2;
const FLOOR: f64 = 1e-3;
/// Warm-up steps of the cosine schedule.
const WARM_UP: f64 = 30.0;

/// The metrics of an epoch. Losses are mean cross-entropies, without penalties.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    pub epoch: usize,
    pub loss: f64,
    pub accuracy: f64,
    pub val_loss: f64,
    pub val_accuracy: f64,
    pub val_macro_f1: f64,
    pub learning_rate: f64,
    pub seconds: f64,
    pub images_per_second: f64,
}

/// The state of a training, without the weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrainerState {
    /// Number of finished epochs.
    pub epoch: usize,
    pub steps: i64,
    pub rate: f64,
    pub best_epoch: usize,
    pub best_loss: Option<f64>,
    /// The best loss since the rate was last reduced, and the number of epochs without improvement since.
    pub plateau_loss: Option<f64>,
    pub plateau: usize,
    pub history: Vec<EpochRecord>,
}

impl TrainerState {
    pub fn new(rate: f64) -> Self {
        let (best_loss, plateau_loss) = (None, None);
        Self { epoch: 0, steps: 0, rate, best_epoch: 0, best_loss, plateau_loss, plateau: 0, history: Vec::new() }
    }

    /// Records an epoch. Returns whether it is the best so far.
    pub fn record(&mut self, record: EpochRecord, options: &FitOptions) -> bool {
        let loss = record.val_loss;
        self.epoch = record.epoch;
        self.history.push(record);
        if options.schedule == LrSchedule::Cosine {
            (self.best_loss, self.best_epoch) = (Some(loss), self.epoch);
            return true;
        }
        if self.plateau_loss.is_none_or(|best| loss < best) {
            (self.plateau_loss, self.plateau) = (Some(loss), 0);
        } else {
            self.plateau += 1;
            if self.plateau >= options.reduce_after {
                self.rate = (self.rate * REDUCTION).max(options.rate() * FLOOR);
                self.plateau = 0;
            }
        }
        let best = self.best_loss.is_none_or(|best| loss < best);
        if best {
            (self.best_loss, self.best_epoch) = (Some(loss), self.epoch);
        }
        best
    }

    /// Returns whether training is finished.
    pub fn ended(&self, options: &FitOptions) -> bool {
        self.epoch >= options.epochs || self.epoch - self.best_epoch >= options.early_stopping
    }
}

/// Returns the rate of the cosine schedule: from `rate` to zero over `all` steps, after a linear warm-up (Loshchilov
/// and Hutter, arXiv 1608.03983).
pub fn cosine(rate: f64, step: f64, all: f64) -> f64 {
    rate * 0.5 * (1.0 + (std::f64::consts::PI * step / all).cos()) * ((step + 1.0) / WARM_UP).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: FitOptions,
    }

    fn record(epoch: usize, val_loss: f64) -> EpochRecord {
        EpochRecord {
            epoch,
            loss: 0.0,
            accuracy: 0.0,
            val_loss,
            val_accuracy: 0.0,
            val_macro_f1: 0.0,
            learning_rate: 0.0,
            seconds: 0.0,
            images_per_second: 0.0,
        }
    }

    #[test]
    fn the_cosine_schedule_rises_and_falls() {
        assert!((cosine(0.3, 0.0, 1000.0) - 0.01).abs() < 1e-12);
        assert!((cosine(0.3, 500.0, 1000.0) - 0.15).abs() < 1e-12);
        assert!(cosine(0.3, 999.0, 1000.0) < 1e-6);
    }

    #[test]
    fn the_cosine_schedule_uses_the_last_epoch() {
        let options =
            Line::parse_from(["fit", "--schedule", "cosine", "--epochs", "3", "--early-stopping", "1"]).options;
        let mut state = TrainerState::new(1.0);
        for epoch in 1..=3 {
            assert!(!state.ended(&options) && state.record(record(epoch, epoch as f64), &options));
        }
        assert!(state.ended(&options) && state.best_epoch == 3 && state.rate == 1.0);
    }

    #[test]
    fn the_rate_falls_on_a_plateau_and_training_stops_early() {
        let options = Line::parse_from(["fit", "--lr", "1", "--reduce-after", "2", "--early-stopping", "4"]).options;
        let mut state = TrainerState::new(1.0);
        assert!(state.record(record(1, 0.5), &options));
        assert!(!state.record(record(2, 0.6), &options) && state.rate == 1.0);
        assert!(!state.record(record(3, 0.5), &options) && state.rate == 0.2);
        assert!(!state.ended(&options));
        state.record(record(4, 0.7), &options);
        state.record(record(5, 0.7), &options);
        assert!((state.rate - 0.04).abs() < 1e-12 && state.ended(&options) && state.best_epoch == 1);
    }
}
