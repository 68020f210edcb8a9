//! `livelabel-train adapt`: makes a model that says on the user's camera what the user said, and tells whether it is better.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use serde_json::json;

use crate::error::{Error, Result};
use crate::onnx::build::{ADAPTED_FROM, BASE, CORRECTIONS, LEARNED_FROM};
use crate::onnx::graph::Weight;
use crate::onnx::head::Layer;
use crate::onnx::resnet::FEATURES;
use crate::shutdown::Shutdown;
use crate::system::replace::replace;
use crate::system::words::count;
use crate::train::adapt_report::AdaptReport;
use crate::train::adaptable_model::{AdaptableModel, tensor};
use crate::train::adapter::Rows;
use crate::train::comparison::{Compared, Comparison};
use crate::train::corrections::Corrections;
use crate::train::fit::Reporter;
use crate::train::held_out::{HeldOut, Material};
use crate::train::kept_features::KeptFeatures;
use crate::train::kept_files;
use crate::train::learned_files::LearnedFiles;
use crate::train::network::{Dense, values};
use crate::train::verdict::{Evidence, Verdict, judge};

/// What `adapt` is given.
#[derive(Debug)]
pub struct AdaptOptions {
    /// The model in use.
    pub model: PathBuf,
    pub data: PathBuf,
    /// The file to write.
    pub output: PathBuf,
    /// Kept features; `None` looks for them.
    pub features: Option<PathBuf>,
    /// Where to write the report as JSON.
    pub report: Option<PathBuf>,
    /// Whether to write a model that is not shown to be better.
    pub anyway: bool,
    /// Milliseconds between the frames of a clip.
    pub every: u64,
}

/// Adapts a model. Writes it if it is better, or with `anyway`.
///
/// # Errors
/// `Input` if the model cannot be adapted, there is nothing to learn from, or the kept features are of another network;
/// `Failed` if a file cannot be written. A file that is there already is then as it was.
pub fn adapt(options: &AdaptOptions, reporter: &dyn Reporter, shutdown: &Shutdown) -> Result<()> {
    let model = AdaptableModel::read(Some(&options.model))?;
    let kept = kept_files::find(options.features.as_deref(), &model)?;
    let corrections = Corrections::read(&options.data, &model, options.every, reporter, shutdown)?;
    reporter.message(&introduction(&corrections, kept.as_ref()));

    let rows = rows(&model, corrections.frames.iter().map(|frame| frame.features.as_slice()));
    let kept_rows = kept.as_ref().map(|(_, kept)| {
        let features: Vec<Vec<f32>> = kept.rows.iter().map(|row| row.features.features().collect()).collect();
        self::rows(&model, features.iter().map(Vec::as_slice))
    });
    let kept_lists = kept.as_ref().map(|(_, kept)| kept.rows.as_slice());
    let material = Material {
        corrections: &corrections,
        rows: &rows,
        kept: kept_lists.zip(kept_rows.as_ref()),
        old: model.head.adapter.as_ref(),
    };
    let held_out = material.held_out(shutdown)?;
    let report = report(&model, &corrections, &held_out, kept.is_some());
    reporter.message(&report.text());

    let made = match report.verdict == Verdict::Better || options.anyway {
        false => None,
        true => Some(file(&model, &corrections, &material.adapter())?),
    };
    if shutdown.requested() {
        return Err(Error::failed("stopped while adapting").remedy("run the same command again"));
    }
    // A model without its report would be of no use; a report without its model is.
    if let Some(path) = &options.report {
        let text = format!("{:#}\n", report.json());
        replace(path, text.as_bytes()).map_err(|cause| Error::unwritable(path, cause))?;
    }
    if let Some(file) = &made {
        replace(&options.output, file).map_err(|cause| Error::unwritable(&options.output, cause))?;
    }
    let output = options.output.display();
    reporter.message(&match made {
        Some(_) => format!("{output}: written"),
        None => format!("{output}: not written; --anyway writes it"),
    });
    Ok(())
}

fn introduction(corrections: &Corrections, kept: Option<&(PathBuf, KeptFeatures)>) -> String {
    let labels = &corrections.labels;
    let new = match corrections.new_labels {
        0 => String::new(),
        1..=20 => format!("; new: {}", labels[labels.len() - corrections.new_labels..].join(", ")),
        many => format!("; {}", count(many as u64, "new label")),
    };
    let kept = match kept {
        Some((path, kept)) => format!("kept features: {} of {}", count(kept.rows.len() as u64, "row"), path.display()),
        None => "kept features: none".into(),
    };
    format!(
        "{} in {}{new}\n{kept}",
        count(corrections.frames.len() as u64, "correction"),
        count(corrections.visits().len() as u64, "visit")
    )
}

fn rows<'a>(model: &AdaptableModel, features: impl Iterator<Item = &'a [f32]>) -> Rows {
    let features = tensor(features);
    let own = model.head.own(&features);
    Rows { features, own }
}

/// Compares both models, on frames that neither has seen.
fn report<'a>(
    model: &'a AdaptableModel,
    corrections: &'a Corrections,
    held_out: &HeldOut,
    has_kept: bool,
) -> AdaptReport<'a> {
    let known = known_visits(model, corrections);
    let unseen: Vec<usize> =
        (0..corrections.frames.len()).filter(|&index| !known.contains(&corrections.frames[index].visit)).collect();
    let compared: Vec<Compared> = unseen.iter().map(|&index| held_out.corrections[index]).collect();
    let comparison = Comparison::of(&compared);
    let kept = has_kept.then(|| Comparison::of(&held_out.kept));
    let corrected = corrected(&compared, &held_out.parts);
    let evidence =
        Evidence { labels: &corrections.labels, corrections: &comparison, kept: kept.as_ref(), corrected: &corrected };
    let (verdict, text) = judge(&evidence);
    let changes = |said: fn(&Compared) -> usize| {
        let frames = unseen.iter().zip(&compared).map(|(&index, row)| {
            let frame = &corrections.frames[index];
            (frame.visit, frame.time, said(row))
        });
        changes_per_hour(frames)
    };
    AdaptReport {
        verdict,
        text,
        model: &model.model,
        base: base(model),
        labels: &corrections.labels,
        new_labels: corrections.new_labels,
        changes: [changes(|row| row.old), changes(|row| row.new)],
        learned_visits: known.len(),
        corrections: comparison,
        kept,
    }
}

/// Returns the visits that the model in use learned from. It is right on them because it has seen them.
fn known_visits(model: &AdaptableModel, corrections: &Corrections) -> BTreeSet<usize> {
    let Some(learned) = model.model.learned_from.as_deref().and_then(LearnedFiles::parse) else {
        return BTreeSet::new();
    };
    let mut visits: BTreeMap<usize, Vec<[u8; 32]>> = BTreeMap::new();
    corrections.frames.iter().for_each(|frame| visits.entry(frame.visit).or_default().push(frame.content));
    visits.into_iter().filter(|(_, contents)| learned.known(contents).is_some()).map(|(visit, _)| visit).collect()
}

/// Returns the labels that the model in use did not say where it should, each with the number of its visits. Visits that
/// are held out together count as one: no adapter has learned from one of them and predicted the other.
fn corrected(compared: &[Compared], parts: &[usize]) -> Vec<(usize, usize)> {
    let wrong: BTreeSet<usize> = compared.iter().filter(|row| row.old != row.label).map(|row| row.label).collect();
    let visits = |label: usize| {
        let parts: BTreeSet<usize> =
            compared.iter().filter(|row| row.label == label).map(|row| parts[row.group]).collect();
        parts.len()
    };
    wrong.into_iter().map(|label| (label, visits(label))).collect()
}

/// Returns how often the label changes from a frame to the next of its visit, an hour; `None` if times are unknown.
/// `frames` have visit, time in milliseconds and label.
fn changes_per_hour(frames: impl Iterator<Item = (usize, Option<i64>, usize)>) -> Option<f64> {
    let (mut changes, mut milliseconds) = (0, 0);
    let mut before: Option<(usize, i64, usize)> = None;
    for (visit, time, label) in frames {
        let time = time?;
        if let Some((same, earlier, said)) = before
            && same == visit
        {
            milliseconds += time - earlier;
            changes += i64::from(said != label);
        }
        before = Some((visit, time, label));
    }
    (milliseconds > 0).then(|| changes as f64 * 3_600_000.0 / milliseconds as f64)
}

/// Returns the SHA-256 of the file that was first adapted.
fn base(model: &AdaptableModel) -> &str {
    model.model.adaptation.as_ref().map_or(&model.model.sha256, |adaptation| &adaptation.base)
}

/// Returns the model file with an adapter.
fn file(model: &AdaptableModel, corrections: &Corrections, adapter: &Dense) -> Result<Vec<u8>> {
    let labels = corrections.labels.len();
    let layer = Layer {
        weight: Weight { shape: vec![labels, FEATURES], values: values(&adapter.weight)? },
        bias: Weight { shape: vec![labels], values: values(&adapter.bias)? },
    };
    let contents: Vec<[u8; 32]> = corrections.frames.iter().map(|frame| frame.content).collect();
    let metadata = HashMap::from([
        ("labels", json!(corrections.labels).to_string()),
        (BASE, base(model).to_string()),
        (ADAPTED_FROM, model.model.sha256.clone()),
        (CORRECTIONS, corrections.frames.len().to_string()),
        (LEARNED_FROM, LearnedFiles::of(&contents).text()),
    ]);
    Ok(model.cut.with_adapter(&layer, metadata).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted_within_a_visit() {
        let minute = 60_000;
        let frames = [(0, 0, 1), (0, minute, 2), (0, 3 * minute, 2), (1, 60 * minute, 0), (1, 61 * minute, 1)];
        let timed = frames.into_iter().map(|(visit, time, label)| (visit, Some(time), label));
        assert_eq!(changes_per_hour(timed), Some(30.0));
        assert_eq!(changes_per_hour([(0, Some(5), 1), (0, None, 2)].into_iter()), None);
        assert_eq!(changes_per_hour([(0, Some(5), 1)].into_iter()), None);
    }

    #[test]
    fn only_labels_that_were_not_said_are_corrected() {
        let row = |group, label, old| Compared { group, label, old, new: label };
        let rows = [row(0, 1, 1), row(1, 1, 0), row(2, 1, 1), row(0, 2, 2), row(2, 3, 0)];
        assert_eq!(corrected(&rows, &[0, 1, 1]), [(1, 2), (3, 1)]);
    }
}
