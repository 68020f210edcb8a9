//! `livelabel-train sweep`: a grid of batch size, dropout and epochs over the original's ranges, on features computed
//! once.

use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::shutdown::Shutdown;
use crate::train::fit::{Prepared, Reporter};
use crate::train::options::FitOptions;

const BATCH_SIZES: [usize; 3] = [32, 64, 128];
const DROPOUTS: [f64; 5] = [0.1, 0.2, 0.3, 0.4, 0.5];
const EPOCHS: [usize; 5] = [10, 20, 30, 40, 50];

/// The validation result of one setting after its last epoch.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub batch_size: usize,
    pub dropout: f64,
    pub epochs: usize,
    pub val_loss: f64,
    pub val_accuracy: f64,
    pub val_macro_f1: f64,
}

/// Trains with every setting. Returns the rows sorted by macro F1, best first, and writes them to `output` as CSV.
///
/// A training of 50 epochs includes those of 10 to 40, so each batch size and dropout is trained once.
///
/// # Errors
/// The errors of [`Prepared::new`] and of training.
pub fn sweep(
    options: &FitOptions,
    output: Option<&Path>,
    reporter: &dyn Reporter,
    shutdown: &Shutdown,
) -> Result<Vec<Row>> {
    let mut prepared = Prepared::new(options, reporter, shutdown)?;
    let mut rows = Vec::new();
    for (number, (batch_size, dropout)) in
        BATCH_SIZES.iter().flat_map(|&size| DROPOUTS.map(|dropout| (size, dropout))).enumerate()
    {
        let longest = EPOCHS.iter().copied().max().unwrap_or(1);
        let one = FitOptions { batch_size, dropout, epochs: longest, early_stopping: longest, ..options.clone() };
        let mut training = prepared.training(&one);
        while !training.state.ended(&one) {
            let record = training.epoch(shutdown, &mut |_, _, _| {})?;
            if EPOCHS.contains(&record.epoch) {
                rows.push(Row {
                    batch_size,
                    dropout,
                    epochs: record.epoch,
                    val_loss: record.val_loss,
                    val_accuracy: record.val_accuracy,
                    val_macro_f1: record.val_macro_f1,
                });
            }
        }
        reporter.settings(number + 1, BATCH_SIZES.len() * DROPOUTS.len());
    }
    rows.sort_by(|a, b| b.val_macro_f1.total_cmp(&a.val_macro_f1));
    if let Some(output) = output {
        let unwritable = |cause: csv::Error| {
            Error::failed(format!("{}: cannot be written", output.display()))
                .because(cause)
                .remedy("choose a writable folder")
        };
        let mut table = csv::Writer::from_path(output).map_err(unwritable)?;
        for row in &rows {
            table.serialize(row).map_err(unwritable)?;
        }
        table.flush().map_err(|cause| unwritable(cause.into()))?;
    }
    Ok(rows)
}

/// Formats the rows as a table.
pub fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:>5} {:>8} {:>7} {:>9} {:>13} {:>13}\n",
        "batch", "dropout", "epochs", "val_loss", "val_accuracy", "val_macro_f1"
    );
    for row in rows {
        text.push_str(&format!(
            "{:>5} {:>8} {:>7} {:>9.4} {:>13.3} {:>13.3}\n",
            row.batch_size, row.dropout, row.epochs, row.val_loss, row.val_accuracy, row.val_macro_f1
        ));
    }
    text
}
