//! `livelabel-train evaluate`: how good a model file is, as the analyzer runs it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::inference::device::Choice;
use crate::inference::model::Model;
use crate::inference::preprocess::Preprocessor;
use crate::inference::session::{Demand, Session};
use crate::labels::smoothing::Smoothing;
use crate::media::source::{Event, Source};
use crate::picture::file::read_picture;
use crate::train::dataset::{Dataset, Item};
use crate::train::metrics::{Metrics, Prediction, by_group};
use crate::train::run::Run;
use crate::train::split::Split;

/// Pictures that go through the network at once.
const BATCH: usize = 8;
/// Groups that are listed, the worst ones.
const LISTED: usize = 20;

/// What a model says of the pictures of a data folder; its classes are the model's labels.
///
/// # Errors
/// Input, where the data has other classes than the model, or no picture can be read.
pub fn pictures(model: &Model, data: &Path, scope: &Scope, choice: Choice) -> Result<Vec<Prediction>> {
    let found = Dataset::read(data, &[])?;
    let classes: Vec<String> = model.labels.iter().filter(|label| found.labels.contains(label)).cloned().collect();
    if classes.len() < 2 {
        return Err(Error::input(format!(
            "{}: has {}, the model knows {}",
            data.display(),
            found.labels.join(", "),
            model.labels.join(", ")
        ))
        .remedy("give pictures in folders that are named like the model's labels"));
    }
    let data = Dataset::read(data, &classes)?;
    let mut session = Session::load(model, Demand::of(choice, BATCH))?;
    let items: Vec<&Item> = data.items.iter().filter(|item| !item.clip && scope.has(&item.group)).collect();
    let mut predictions = Vec::new();
    for chunk in items.chunks(BATCH) {
        let read: Vec<(&Item, Result<Vec<f32>>)> =
            chunk.par_iter().map(|&item| (item, tensor(model, &item.path))).collect();
        let mut tensors = Vec::new();
        let mut readable = Vec::new();
        for (item, tensor) in read {
            match tensor {
                Ok(tensor) => {
                    tensors.extend(tensor);
                    readable.push(item);
                }
                Err(error) => tracing::warn!("{error}; {} is left out", item.name),
            }
        }
        if readable.is_empty() {
            continue;
        }
        let rows = session.run(&tensors, readable.len())?;
        for (item, row) in readable.into_iter().zip(rows.chunks_exact(model.labels.len())) {
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

fn tensor(model: &Model, path: &Path) -> Result<Vec<f32>> {
    let mut tensor = vec![0.0; model.input.len()];
    Preprocessor::new(&model.input).prepare(&read_picture(path)?.view(), &mut tensor)?;
    Ok(tensor)
}

/// How a model does on one clip: frames, and with a window of 1 and of 128 how many have the right label and how often
/// the label changes.
#[derive(Clone, Debug, Serialize)]
pub struct ClipScore {
    pub name: String,
    pub group: String,
    pub class: usize,
    pub frames: usize,
    pub right: [usize; 2],
    pub changes: [usize; 2],
}

/// Frames whose predictions are averaged: none but the own, and as many as the original.
const WINDOWS: [usize; 2] = [1, 128];

/// Runs a model over every frame of the clips of a data folder. A clip that cannot be read is named and left out.
///
/// # Errors
/// Input, where there is no clip of the model's labels, or none can be read.
pub fn clips(model: &Model, data: &Path, scope: &Scope, choice: Choice) -> Result<Vec<ClipScore>> {
    let data = Dataset::read(data, &[])?;
    let mut session = Session::load(model, Demand::of(choice, BATCH))?;
    let mut scores = Vec::new();
    for item in data.items.iter().filter(|item| item.clip && scope.has(&item.group)) {
        let Some(class) = model.labels.iter().position(|label| *label == data.labels[item.class]) else { continue };
        match clip(model, item, class, &mut session) {
            Ok(score) => scores.push(score),
            Err(error) => tracing::warn!("{error}; {} is left out", item.name),
        }
    }
    if scores.is_empty() {
        return Err(Error::input("there is no clip of the model's labels that can be read")
            .remedy(format!("give clips in folders named {}", model.labels.join(", "))));
    }
    Ok(scores)
}

fn clip(model: &Model, item: &Item, class: usize, session: &mut Session) -> Result<ClipScore> {
    let classes = model.labels.len();
    let mut preprocessor = Preprocessor::new(&model.input);
    let mut source = Source::open(&item.path, &|| false)?;
    source.play()?;
    let mut score = ClipScore {
        name: item.name.clone(),
        group: item.group.clone(),
        class,
        frames: 0,
        right: [0; 2],
        changes: [0; 2],
    };
    let mut windows = WINDOWS.map(|window| (Smoothing::new(window, classes), None));
    let mut tensors: Vec<f32> = Vec::new();
    loop {
        let ended = match source.next(Duration::from_secs(1)) {
            None => continue,
            Some(Event::Failed(error)) if score.frames == 0 && tensors.is_empty() => return Err(error),
            Some(Event::Failed(_) | Event::End) => true,
            Some(Event::Frame(frame)) => {
                let begin = tensors.len();
                tensors.resize(begin + model.input.len(), 0.0);
                preprocessor.prepare(&frame.picture(), &mut tensors[begin..])?;
                false
            }
        };
        let waiting = tensors.len() / model.input.len();
        if waiting == BATCH || (ended && waiting > 0) {
            for row in session.run(&tensors, waiting)?.chunks_exact(classes) {
                score.frames += 1;
                for (number, (smoothing, shown)) in windows.iter_mut().enumerate() {
                    let mean = smoothing.push(row);
                    let label = (0..classes).fold(0, |best, next| if mean[next] > mean[best] { next } else { best });
                    score.right[number] += usize::from(label == class);
                    score.changes[number] += usize::from(shown.is_some_and(|shown| shown != label));
                    *shown = Some(label);
                }
            }
            tensors.clear();
        }
        if ended {
            return Ok(score);
        }
    }
}

/// A line a clip, a line a class, and all together.
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

/// The validation pictures of several runs together, as when each kept another fold.
///
/// # Errors
/// Input, where a run is not complete or the runs have different labels.
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
    all.ok_or_else(|| Error::usage("no run is named").remedy("give one with --run"))
}

/// Temperature and predictions of runs that kept in turn what is learned from: the geometric mean, and all together.
///
/// # Errors
/// Input, where a run is not complete or has other labels.
pub fn checked(folders: &[PathBuf], labels: &[String]) -> Result<(f64, Vec<Prediction>)> {
    let (known, predictions) = runs(folders)?;
    if known != labels {
        return Err(Error::input(format!("the runs know {}, the data {}", known.join(", "), labels.join(", ")))
            .remedy("give runs on the same data"));
    }
    let mut logarithms = 0.0;
    for folder in folders {
        logarithms += Run::open(folder)?.0.report()?.temperature.ln();
    }
    Ok(((logarithms / folders.len() as f64).exp(), predictions))
}

/// Which groups are looked at.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// How their names begin, or with `!` in front, do not.
    pub begins: Option<String>,
    /// Only those that this run kept to check on.
    pub kept_by: Option<Split>,
}

impl Scope {
    /// Whether a group is looked at.
    pub fn has(&self, group: &str) -> bool {
        let begins = self.begins.as_deref().is_none_or(|begins| match begins.strip_prefix('!') {
            Some(not) => !group.starts_with(not),
            None => group.starts_with(begins),
        });
        begins && self.kept_by.as_ref().is_none_or(|split| split.validation.contains(group))
    }
}

/// The report with the groups that have most mistakes.
pub fn report(labels: &[String], predictions: &[Prediction]) -> String {
    let mut text = Metrics::of(labels, predictions).report();
    let wrong: Vec<_> = by_group(predictions).into_iter().filter(|(_, _, wrong)| *wrong > 0).collect();
    text.push_str(&format!("\ngroups with mistakes: {}\n", wrong.len()));
    for (group, pictures, wrong) in wrong.iter().take(LISTED) {
        text.push_str(&format!("{group:>32}  {wrong} of {pictures} wrong\n"));
    }
    text
}
