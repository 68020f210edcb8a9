//! `livelabel-train evaluate`: measures a model file, run as the analyzer runs it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::inference::device::DeviceSelection;
use crate::inference::model::Model;
use crate::inference::preprocess::Preprocessor;
use crate::inference::session::{Session, SessionOptions};
use crate::inference::slices::{Slice, table};
use crate::labels::smoothing::Smoothing;
use crate::labels::window::{SmoothingWindow, WindowAlign};
use crate::picture::file::read_picture;
use crate::train::clip_predictions::ClipPredictions;
use crate::train::dataset::{Dataset, Item};
use crate::train::lines;
use crate::train::merge::source;
use crate::train::metrics::{Metrics, Prediction, by_group, slice};
use crate::train::run::Run;
use crate::train::selection::Selection;

/// Pictures in one batch.
const BATCH: usize = 8;
/// Minimum number of pictures of a source that forms a slice.
const MIN_SLICE: usize = 20;
/// Maximum number of groups in the list of mistakes.
const LISTED: usize = 20;

/// Runs a model on the pictures of a data folder. The folder's classes must be labels of the model.
///
/// # Errors
/// `Input` if the data has other classes than the model, or no picture can be read.
pub fn pictures(model: &Model, data: &Path, selection: &Selection, device: DeviceSelection) -> Result<Vec<Prediction>> {
    let found = Dataset::read(data, &[])?;
    let classes: Vec<String> = model.labels.iter().filter(|label| found.labels.contains(label)).cloned().collect();
    if classes.len() < 2 {
        return Err(Error::input(format!(
            "{}: has the classes {}, the model has the labels {}",
            data.display(),
            found.labels.join(", "),
            model.labels.join(", ")
        ))
        .remedy("give pictures in folders named after the model's labels"));
    }
    let data = Dataset::read(data, &classes)?;
    let mut session = Session::load(model, SessionOptions::of(device, BATCH))?;
    let items: Vec<&Item> =
        data.items.iter().filter(|item| !item.clip && selection.includes(&item.group, &item.name)).collect();
    let mut predictions = Vec::new();
    for chunk in items.chunks(BATCH) {
        let read: Vec<(&Item, Result<Array3<f32>>)> =
            chunk.par_iter().map(|&item| (item, tensor(model, &item.path))).collect();
        let mut tensors = Vec::new();
        let mut readable = Vec::new();
        for (item, tensor) in read {
            match tensor {
                Ok(tensor) => {
                    tensors.push(tensor);
                    readable.push(item);
                }
                Err(error) => tracing::warn!("{error}; {} is skipped", item.name),
            }
        }
        if readable.is_empty() {
            continue;
        }
        let views: Vec<ArrayView3<f32>> = tensors.iter().map(Array3::view).collect();
        let rows = session.run_each(&views)?;
        for (item, row) in readable.into_iter().zip(rows.outer_iter()) {
            predictions.push(Prediction {
                name: item.name.clone(),
                group: item.group.clone(),
                class: model.labels.iter().position(|label| *label == data.labels[item.class]).unwrap_or(0),
                probabilities: row.iter().map(|&value| f64::from(value)).collect(),
            });
        }
    }
    if predictions.is_empty() {
        return Err(Error::input("no picture could be read").remedy("give JPEG or PNG pictures in class folders"));
    }
    Ok(predictions)
}

fn tensor(model: &Model, path: &Path) -> Result<Array3<f32>> {
    let mut tensor = model.input.tensor();
    Preprocessor::new(&model.input).prepare(&read_picture(path)?.view(), tensor.view_mut())?;
    Ok(tensor)
}

/// A model's result on one clip: the number of frames, and for windows of 1 and 128 how many frames have the correct
/// label and how often the label changes.
#[derive(Clone, Debug, Serialize)]
pub struct ClipScore {
    pub name: String,
    pub group: String,
    pub class: usize,
    pub frames: usize,
    pub right: [usize; 2],
    pub changes: [usize; 2],
}

/// Smoothing windows in frames: no smoothing, and the original's.
const WINDOWS: [usize; 2] = [1, 128];

/// Scores each clip whose class is a label of the model.
pub fn clips(labels: &[String], clips: &[ClipPredictions]) -> Vec<ClipScore> {
    let known = |clip: &&ClipPredictions| labels.contains(&clip.class);
    clips.iter().filter(known).map(|clip| score(labels, clip)).collect()
}

fn score(labels: &[String], clip: &ClipPredictions) -> ClipScore {
    let class = labels.iter().position(|label| *label == clip.class).unwrap_or(0);
    let mut score = ClipScore {
        name: clip.name.clone(),
        group: clip.group.clone(),
        class,
        frames: clip.frames.len(),
        right: [0; 2],
        changes: [0; 2],
    };
    for (number, window) in WINDOWS.into_iter().enumerate() {
        let window = SmoothingWindow::Predictions(window);
        let mut smoothing = Smoothing::new(window, WindowAlign::Trailing, labels.len(), 0);
        let mut shown = None;
        for frame in &clip.frames {
            smoothing.push(&frame.probabilities, frame.from);
            let Some(mean) = smoothing.next(true) else { continue };
            let label = (0..labels.len()).fold(0, |best, next| if mean[next] > mean[best] { next } else { best });
            score.right[number] += usize::from(label == class);
            score.changes[number] += usize::from(shown.is_some_and(|shown| shown != label));
            shown = Some(label);
        }
    }
    score
}

/// Formats one line for each clip, one for each class, and one for all.
pub fn clips_report(labels: &[String], scores: &[ClipScore]) -> String {
    let mut text =
        format!("{:<40} {:<12} {:>7}   right with window 1 and 128   changes of label\n", "clip", "class", "frames");
    let mut line = |name: &str, class: &str, scores: &[&ClipScore]| {
        let sum = |of: &dyn Fn(&ClipScore) -> usize| scores.iter().map(|score| of(score)).sum::<usize>();
        let frames = sum(&|score| score.frames);
        let share = |window: usize| sum(&|score| score.right[window]) as f64 / frames.max(1) as f64;
        text.push_str(&format!(
            "{name:<40.40} {class:<12.12} {frames:>7}   {:>12.3} {:>15.3}   {:>6} {:>6}\n",
            share(0),
            share(1),
            sum(&|score| score.changes[0]),
            sum(&|score| score.changes[1])
        ));
    };
    for score in scores {
        line(&score.name, &labels[score.class], &[score]);
    }
    for (class, label) in labels.iter().enumerate() {
        let of_class: Vec<&ClipScore> = scores.iter().filter(|score| score.class == class).collect();
        line("all of", label, &of_class);
    }
    line("all", "", &scores.iter().collect::<Vec<_>>());
    text.trim_end().into()
}

/// Returns the validation predictions of several runs together, such as all folds of a cross-validation.
///
/// # Errors
/// `Input` if a run is not complete or the runs have different labels.
pub fn runs(folders: &[PathBuf]) -> Result<(Vec<String>, Vec<Prediction>)> {
    let mut all: Option<(Vec<String>, Vec<Prediction>)> = None;
    for folder in folders {
        let (run, _) = Run::open(folder)?;
        let (labels, predictions) = run.predictions()?;
        match &mut all {
            None => all = Some((labels, predictions)),
            Some((known, _)) if *known != labels => {
                return Err(Error::input(format!("{}: has other labels than the run before", folder.display()))
                    .remedy("give runs with the same classes"));
            }
            Some((_, together)) => together.extend(predictions),
        }
    }
    all.ok_or_else(|| Error::usage("no run is given").remedy("give one with --run"))
}

/// Returns the cross-validated results of runs: the geometric mean of their temperatures, and all their predictions.
///
/// # Errors
/// `Input` if a run is not complete or has other labels.
pub fn cross_validated(folders: &[PathBuf], labels: &[String]) -> Result<(f64, Vec<Prediction>)> {
    let (known, predictions) = runs(folders)?;
    if known != labels {
        return Err(Error::input(format!(
            "the runs have the classes {}, the data has {}",
            known.join(", "),
            labels.join(", ")
        ))
        .remedy("give runs on the same data"));
    }
    let mut logarithms = 0.0;
    for folder in folders {
        logarithms += Run::open(folder)?.0.report()?.temperature.ln();
    }
    Ok(((logarithms / folders.len() as f64).exp(), predictions))
}

/// Definitions of slices: name and selection.
pub type SliceDefinitions = Vec<(String, Selection)>;

/// Reads lines of `groups<TAB>files<TAB>name`. The first two are in [`Selection`]'s format and may be empty.
///
/// # Errors
/// `Input` if the file cannot be read or a line does not have three fields.
pub fn read_slices(path: &Path) -> Result<SliceDefinitions> {
    let rows = lines::read(path, "three", "group prefixes, part of the path, and name", 0)?;
    let given = |part: String| (!part.is_empty()).then_some(part);
    let slice = |[groups, files, name]: [String; 3]| {
        (name, Selection { group_prefixes: given(groups), files: given(files), ..Selection::default() })
    };
    Ok(rows.into_iter().map(slice).collect())
}

/// Returns the slices of `definitions`. Without any, one for each source (the prefix of a group's name) with enough
/// pictures.
pub fn slices(labels: &[String], predictions: &[Prediction], definitions: &SliceDefinitions) -> Vec<Slice> {
    let mut parts: Vec<(String, Vec<&Prediction>)> = vec![("all".into(), predictions.iter().collect())];
    for (name, selection) in definitions {
        let inside = |prediction: &&Prediction| selection.includes(&prediction.group, &prediction.name);
        parts.push((name.clone(), predictions.iter().filter(inside).collect()));
    }
    if definitions.is_empty() {
        let mut sources: BTreeMap<&str, Vec<&Prediction>> = BTreeMap::new();
        for prediction in predictions {
            sources.entry(source(&prediction.group)).or_default().push(prediction);
        }
        let large = sources.into_iter().filter(|(_, part)| part.len() >= MIN_SLICE);
        parts.extend(large.map(|(name, part)| (name.to_string(), part)));
    }
    parts.iter().filter_map(|(name, part)| slice(labels, name, part)).collect()
}

/// Formats the report with its slices and the groups with most mistakes.
pub fn report(labels: &[String], predictions: &[Prediction], definitions: &SliceDefinitions) -> String {
    let mut text = Metrics::of(labels, predictions).report();
    text.push_str(&format!("\n{}\n", table(labels, &slices(labels, predictions, definitions))));
    let wrong: Vec<_> = by_group(predictions).into_iter().filter(|(_, _, wrong)| *wrong > 0).collect();
    text.push_str(&format!("\ngroups with mistakes: {}\n", wrong.len()));
    for (group, pictures, wrong) in wrong.iter().take(LISTED) {
        text.push_str(&format!("{group:>32}  {wrong} of {pictures} wrong\n"));
    }
    text
}
