//! The evaluation of a trained network, and the calibration of its confidences.

use crate::error::Result;
use crate::train::calibration::{temperature, too_few};
use crate::train::evaluate;
use crate::train::metrics::{Metrics, Prediction, count_groups};
use crate::train::options::FitOptions;
use crate::train::run::Run;
use crate::train::split::SplitBy;
use crate::train::training::Training;

/// The evaluation of a trained network.
pub struct Validation {
    /// What the logits are divided by; nothing if the confidences cannot be calibrated.
    pub temperature: Option<f64>,
    pub predictions: Vec<Prediction>,
    /// A line for the report.
    pub note: String,
    /// Which pictures the metrics are for.
    pub on: &'static str,
}

/// Evaluates the network on what the run holds out, or on the predictions of the runs of a cross-validation.
///
/// # Errors
/// `Input` if such a run is not complete; those of reading rows and of writing the predictions.
pub fn validate(training: &mut Training, options: &FitOptions, run: &Run, labels: &[String]) -> Result<Validation> {
    if options.split != SplitBy::None {
        let before = training.predictions(1.0)?;
        let groups = count_groups(&before);
        let temperature = temperature(&training.validation_logits()?, &training.validation_classes(), groups);
        let before = Metrics::of(labels, &before);
        let predictions = training.predictions(temperature.unwrap_or(1.0))?;
        run.write_predictions(labels, &predictions)?;
        let note = match temperature {
            None => format!("temperature 1: {}", too_few(groups)),
            Some(temperature) => {
                let after = Metrics::of(labels, &predictions);
                format!(
                    "temperature {temperature:.3}: calibration error {:.3} before, {:.3} after; log loss {:.3} before, {:.3} after",
                    before.calibration_error, after.calibration_error, before.log_loss, after.log_loss
                )
            }
        };
        return Ok(Validation { temperature, predictions, note, on: "held out" });
    }
    if options.validated_by.is_empty() {
        let predictions = training.predictions(1.0)?;
        let note = "measured on the training pictures: these metrics do not apply to new pictures".into();
        return Ok(Validation { temperature: None, predictions, note, on: "used for training" });
    }
    let (temperature, predictions) = evaluate::cross_validated(&options.validated_by, labels)?;
    let calibrated = match temperature {
        Some(temperature) => format!("figures and temperature ({temperature:.3})"),
        None => format!("temperature 1: {}; figures", too_few(count_groups(&predictions))),
    };
    let runs = options.validated_by.len();
    let note = format!("{calibrated} from {runs} runs, each measured on its held-out groups");
    Ok(Validation { temperature, predictions, note, on: "each held out once" })
}
