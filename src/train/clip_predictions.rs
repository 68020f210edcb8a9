//! A model's predictions for every frame of labelled clips.

use std::time::Duration;

use ndarray::{Array3, ArrayView3};

use crate::error::{Error, Result};
use crate::inference::model::Model;
use crate::inference::preprocess::Preprocessor;
use crate::inference::session::{Session, SessionOptions};
use crate::media::clip_decoder::{ClipDecoder, ClipEvent};
use crate::media::limits::Limits;
use crate::train::dataset::{Dataset, Item};
use crate::train::selection::Selection;

/// Frames in one batch.
const BATCH: usize = 8;

/// The predictions for one clip.
#[derive(Clone, Debug)]
pub struct ClipPredictions {
    /// The file's name in the data folder or table.
    pub name: String,
    pub group: String,
    /// Its class in the folder or table. It may not be a label of the model.
    pub class: String,
    pub frames: Vec<FramePrediction>,
}

/// A frame: its start and end in nanoseconds, and a probability for each label.
#[derive(Clone, Debug)]
pub struct FramePrediction {
    pub from: u64,
    pub to: u64,
    pub probabilities: Vec<f32>,
}

impl ClipPredictions {
    /// Returns the duration in seconds, from the first frame to the end of the last.
    pub fn seconds(&self) -> f64 {
        match (self.frames.first(), self.frames.last()) {
            (Some(first), Some(last)) => last.to.saturating_sub(first.from) as f64 / 1e9,
            _ => 0.0,
        }
    }
}

/// Runs a model on every frame of the clips of `data`. Unreadable clips are logged and skipped.
///
/// # Errors
/// `Input` if no clip can be read.
pub fn read(
    model: &Model,
    data: &Dataset,
    selection: &Selection,
    options: SessionOptions,
) -> Result<Vec<ClipPredictions>> {
    let mut session = Session::load(model, SessionOptions { batch: Some(BATCH), ..options })?;
    let mut predictions = Vec::new();
    let clips: Vec<&Item> =
        data.items.iter().filter(|item| item.clip && selection.includes(&item.group, &item.name)).collect();
    for &item in &clips {
        match clip(model, item, &data.labels[item.class], &mut session) {
            Ok(clip) => predictions.push(clip),
            Err(error) => tracing::warn!("{error}; {} is skipped", item.name),
        }
    }
    if predictions.is_empty() && (!clips.is_empty() || selection.held_out_by.is_none()) {
        return Err(Error::input("no clip could be read")
            .remedy(format!("give clips in folders named {}", model.labels.join(", "))));
    }
    Ok(predictions)
}

fn clip(model: &Model, item: &Item, class: &str, session: &mut Session) -> Result<ClipPredictions> {
    let mut preprocessor = Preprocessor::new(&model.input);
    let mut source = ClipDecoder::open(&item.path, Limits::default(), &|| false)?;
    source.play()?;
    let mut frames = Vec::new();
    let mut times = Vec::new();
    let mut tensors: Vec<Array3<f32>> = Vec::new();
    loop {
        let ended = match source.next(Duration::from_secs(1)) {
            None => continue,
            Some(ClipEvent::Failed(error)) if frames.is_empty() && times.is_empty() => return Err(error),
            Some(ClipEvent::Failed(_) | ClipEvent::End) => true,
            Some(ClipEvent::Frame(frame)) => {
                let mut tensor = model.input.tensor();
                preprocessor.prepare(&frame.picture(), tensor.view_mut())?;
                tensors.push(tensor);
                times.push((frame.pts, frame.pts + frame.duration));
                false
            }
        };
        if times.len() == BATCH || (ended && !times.is_empty()) {
            let views: Vec<ArrayView3<f32>> = tensors.iter().map(Array3::view).collect();
            let rows = session.run_each(&views)?;
            frames.extend(times.drain(..).zip(rows.outer_iter()).map(|((from, to), row)| FramePrediction {
                from,
                to,
                probabilities: row.to_vec(),
            }));
            tensors.clear();
        }
        if ended {
            let (name, group) = (item.name.clone(), item.group.clone());
            return Ok(ClipPredictions { name, group, class: class.into(), frames });
        }
    }
}
