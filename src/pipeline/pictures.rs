//! Labels pictures: the model's answer for one picture, without smoothing.

use serde_json::json;

use crate::config::pictures::PictureJob;
use crate::error::{Error, Result};
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::inference::preprocess::Preprocessor;
use crate::labels::decision::Decider;
use crate::labels::overlay::{Overlay, OverlayFrame};
use crate::picture::file;
use crate::pipeline::observer::LabeledPicture;
use crate::pipeline::sinks::make_folder;
use crate::report::interval_table::IntervalTable;
use crate::report::{replace, rounded};
use crate::system::printable;

const SCHEMA: &str = "livelabel.picture";
const VERSION: u32 = 1;

/// Labels a picture, and writes its row of the table and its files. Files that exist are replaced only with `overwrite`.
///
/// # Errors
/// Input, if the file is no picture; failed, if the model cannot be run or an output cannot be written.
pub fn label<'a>(
    job: &'a PictureJob,
    model: &'a Model,
    engine: &Engine,
    table: Option<&IntervalTable>,
    overwrite: bool,
) -> Result<LabeledPicture<'a>> {
    let mut picture = file::read_picture(&job.input)?;
    let client = engine.client(false);
    let mut tensor = client.tensor();
    Preprocessor::new(&model.input).prepare(&picture.view(), tensor.view_mut())?;
    let probabilities = client.submit(tensor, true)?.wait()?;
    let probabilities: Vec<f64> = probabilities.iter().map(|&probability| f64::from(probability)).collect();
    let options = &job.label_config;
    let rule = options.rule(model);
    let threshold = rule.threshold;
    let decision = Decider::new(rule.action, threshold, 0.0).decide(&probabilities);
    let label = decision.shown.then(|| model.labels[decision.label].as_str());
    if let (Some(table), Some(label)) = (table, label) {
        table.add_picture(&printable::path(&job.input), label, rounded(decision.confidence))?;
    }
    let wanted = |path: &&std::path::PathBuf| overwrite || !path.exists();
    let mut files = Vec::new();
    if let Some(path) = job.confidences.as_ref().filter(wanted) {
        let confidences: serde_json::Map<_, _> =
            model.labels.iter().cloned().zip(probabilities.iter().map(|&p| rounded(p).into())).collect();
        let text = json!({
            "schema": SCHEMA,
            "version": VERSION,
            "input": printable::path(&job.input),
            "model": {"name": model.name, "sha256": model.sha256, "labels": model.labels},
            "action": options.action,
            "threshold": threshold,
            "label": label,
            "confidence": rounded(decision.confidence),
            "confidences": confidences,
        });
        make_folder(path)?;
        replace(path, |part| {
            std::fs::write(part, format!("{text:#}\n")).map_err(|cause| Error::unwritable(part, cause))
        })?;
        files.push(path.clone());
    }
    if let Some(path) = job.labelled.as_ref().filter(wanted) {
        let frame = OverlayFrame { decision, warming_up: false, pts: 0, end: 0 };
        Overlay::new(job.overlay, &model.labels, rule.action).draw(&mut picture.view_mut(), Some(&frame))?;
        make_folder(path)?;
        replace(path, |part| file::save(&picture.view(), part))?;
        files.push(path.clone());
    }
    let mut confidences: Vec<(&str, f64)> = model.labels.iter().map(String::as_str).zip(probabilities).collect();
    confidences.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    Ok(LabeledPicture { input: &job.input, confidences, files })
}
