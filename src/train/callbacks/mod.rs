//! Callbacks that run after each epoch.

pub mod remote_monitor;
pub mod tensorboard;

use crate::error::Result;
use crate::train::run::Run;
use crate::train::state::EpochRecord;

/// Is called after each epoch.
pub trait Callback {
    /// `history` ends with the epoch that has just finished.
    ///
    /// # Errors
    /// Errors that should end the training, such as a full disk.
    fn epoch(&mut self, history: &[EpochRecord]) -> Result<()>;
}

/// Writes `history.csv` and `history.json` of a run.
pub struct History<'a>(pub &'a Run);

impl Callback for History<'_> {
    fn epoch(&mut self, history: &[EpochRecord]) -> Result<()> {
        self.0.write_history(history)
    }
}

/// Returns an epoch's metrics under Keras' names.
pub fn figures(record: &EpochRecord) -> [(&'static str, f64); 6] {
    [
        ("loss", record.loss),
        ("accuracy", record.accuracy),
        ("val_loss", record.val_loss),
        ("val_accuracy", record.val_accuracy),
        ("val_macro_f1", record.val_macro_f1),
        ("lr", record.learning_rate),
    ]
}
