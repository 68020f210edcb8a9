//! What a model says of every frame of labelled clips.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::inference::model::Model;
use crate::inference::preprocess::Preprocessor;
use crate::inference::session::{Session, SessionOptions};
use crate::media::limits::Limits;
use crate::media::source::{ClipEvent, Source};
use crate::train::dataset::{Dataset, Item};
use crate::train::scope::Scope;

/// Frames that go through the network at once.
const BATCH: usize = 8;

/// One clip, frame by frame.
#[derive(Clone, Debug)]
pub struct Track {
    /// Its file's name, as the data folder or table has it.
    pub name: String,
    pub group: String,
    /// What its folder or table says that it shows; it may be no label of the model.
    pub class: String,
    pub frames: Vec<Shown>,
}

/// A frame on its way through the time of its clip, in nanoseconds, with a probability for each label.
#[derive(Clone, Debug)]
pub struct Shown {
    pub from: u64,
    pub to: u64,
    pub probabilities: Vec<f32>,
}

impl Track {
    /// Seconds from the first frame to the end of the last.
    pub fn seconds(&self) -> f64 {
        match (self.frames.first(), self.frames.last()) {
            (Some(first), Some(last)) => last.to.saturating_sub(first.from) as f64 / 1e9,
            _ => 0.0,
        }
    }
}

/// Runs a model over every frame of the clips of `data`. A clip that cannot be read is named and left out.
///
/// # Errors
/// Input, where there are clips and none can be read.
pub fn read(model: &Model, data: &Dataset, scope: &Scope, options: SessionOptions) -> Result<Vec<Track>> {
    let mut session = Session::load(model, SessionOptions { batch: Some(BATCH), ..options })?;
    let mut tracks = Vec::new();
    let clips: Vec<&Item> = data.items.iter().filter(|item| item.clip && scope.has(&item.group, &item.name)).collect();
    for &item in &clips {
        match track(model, item, &data.labels[item.class], &mut session) {
            Ok(track) => tracks.push(track),
            Err(error) => tracing::warn!("{error}; {} is left out", item.name),
        }
    }
    if tracks.is_empty() && (!clips.is_empty() || scope.kept_by.is_none()) {
        return Err(Error::input("there is no clip that can be read")
            .remedy(format!("give clips in folders named {}", model.labels.join(", "))));
    }
    Ok(tracks)
}

fn track(model: &Model, item: &Item, class: &str, session: &mut Session) -> Result<Track> {
    let mut preprocessor = Preprocessor::new(&model.input);
    let mut source = Source::open(&item.path, Limits::default(), &|| false)?;
    source.play()?;
    let mut frames = Vec::new();
    let mut times = Vec::new();
    let mut tensors: Vec<f32> = Vec::new();
    loop {
        let ended = match source.next(Duration::from_secs(1)) {
            None => continue,
            Some(ClipEvent::Failed(error)) if frames.is_empty() && times.is_empty() => return Err(error),
            Some(ClipEvent::Failed(_) | ClipEvent::End) => true,
            Some(ClipEvent::Frame(frame)) => {
                let begin = tensors.len();
                tensors.resize(begin + model.input.len(), 0.0);
                preprocessor.prepare(&frame.picture(), &mut tensors[begin..])?;
                times.push((frame.pts, frame.pts + frame.duration));
                false
            }
        };
        if times.len() == BATCH || (ended && !times.is_empty()) {
            let rows = session.run(&tensors, times.len())?;
            let rows = rows.chunks_exact(model.labels.len());
            frames.extend(times.drain(..).zip(rows).map(|((from, to), row)| Shown {
                from,
                to,
                probabilities: row.into(),
            }));
            tensors.clear();
        }
        if ended {
            let (name, group) = (item.name.clone(), item.group.clone());
            return Ok(Track { name, group, class: class.into(), frames });
        }
    }
}
