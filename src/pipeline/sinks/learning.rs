//! Hands frames that are worth learning from to the thread that keeps them: those that the model is unsure of, those around a change of
//! the label, and a random sample. Only analysed frames are kept.

use std::rc::Rc;
use std::sync::Arc;

use crate::config::cameras::stem;
use crate::error::Result;
use crate::inference::model::Model;
use crate::learning::{LearningClient, NewFrame, Reason, Selection, Source, encode, margin};
use crate::media::frame::Frame;
use crate::picture::DifferenceHash;
use crate::pipeline::context::StreamContext;
use crate::pipeline::sinks::sink::{Gap, LabeledFrame, Loss, NewSettings, Sink};
use crate::report::milliseconds;
use crate::system::utc;
use crate::telemetry::StreamState;

/// Keeps frames of one stream.
pub struct LearningSink<'a> {
    client: &'a LearningClient,
    state: &'a Arc<StreamState>,
    stem: String,
    model: String,
    labels: Vec<String>,
    selection: Selection,
    /// A camera's time 0 in UTC, in milliseconds since 1970. It follows the system's clock, but never back, as the journal.
    zero: i64,
    /// The last analysed frame.
    last: Option<Last>,
}

/// An analysed frame, and what was said about it.
struct Last {
    frame: Rc<Frame>,
    time: i64,
    prediction: Vec<f32>,
    label: Option<String>,
    /// Whether it was kept, or was refused.
    tried: bool,
}

impl<'a> LearningSink<'a> {
    /// Returns `None` if the run keeps no frames, or what was kept before cannot be read.
    pub fn new(context: &StreamContext<'a>) -> Option<Self> {
        let (client, state, job) = (context.learning?, context.state, context.job);
        let name = &state.info.name;
        let (bucket, recent) = match client.store().stream(name) {
            Ok(before) => before,
            Err(error) => {
                tracing::warn!("{error}; no frames of {name} are kept");
                return None;
            }
        };
        // Recordings of labelled pictures are nothing to learn from.
        client.set_plain(name, job.live.as_ref().is_some_and(|live| live.recording.original.is_some()));
        client.set_model_labels(&context.model.labels);
        let (zero, source) = match state.info.live {
            true => (utc::epoch_ms(state.utc(0)), Source::Camera),
            false => (0, Source::Clip(milliseconds(state.progress.duration.get()) as i64)),
        };
        let selection = Selection::new(name, source, client.per_day(), bucket, recent, zero);
        let (model, labels) = described(context.model);
        Some(Self { client, state, stem: stem(job.stem()), model, labels, selection, zero, last: None })
    }

    /// Returns the time of a frame: of a camera in UTC, of a clip since its beginning, in milliseconds.
    fn time(&mut self, frame: &Frame) -> i64 {
        if self.state.info.live {
            self.zero = self.zero.max(utc::epoch_ms(self.state.utc(0)));
        }
        self.zero.saturating_add(milliseconds(frame.pts) as i64)
    }

    /// Keeps a frame if it is no near-duplicate and there is a token for it.
    fn keep(&mut self, frame: &Last, reason: Reason) {
        let picture = frame.frame.picture();
        let hash = DifferenceHash::of(&picture);
        if !self.selection.take(hash) {
            return;
        }
        // What is kept for learning must not end a run.
        let jpeg = match encode(&picture) {
            Ok(jpeg) => jpeg,
            Err(error) => {
                tracing::warn!("{error}; a frame of {} is not kept for learning", self.state.info.name);
                return self.client.drop_one();
            }
        };
        self.client.keep(NewFrame {
            stream: self.state.info.name.clone(),
            stem: self.stem.clone(),
            time: frame.time,
            clip: !self.state.info.live,
            reason,
            said: self.labels.iter().cloned().zip(frame.prediction.iter().copied()).collect(),
            model: Some(self.model.clone()),
            margin: margin(&frame.prediction),
            hash,
            jpeg,
            bucket: Some(self.selection.bucket()),
        });
    }
}

impl Sink for LearningSink<'_> {
    fn frame(&mut self, labeled: &LabeledFrame) -> Result<()> {
        if !labeled.analysed {
            return Ok(());
        }
        let mut frame = Last {
            frame: Rc::clone(labeled.frame),
            time: self.time(labeled.frame),
            prediction: labeled.prediction.to_vec(),
            label: labeled.label.map(Into::into),
            tried: false,
        };
        let before = self.last.take().filter(|before| before.label != frame.label);
        let reason = self.selection.reason(margin(&frame.prediction), before.is_some(), frame.time);
        if let Some(reason) = reason {
            if let Some(before) = before.filter(|before| !before.tried) {
                self.keep(&before, Reason::Change);
            }
            self.keep(&frame, reason);
            frame.tried = true;
        }
        self.last = Some(frame);
        Ok(())
    }

    /// What was before a gap is no change.
    fn gap(&mut self, _gap: &Gap) -> Result<()> {
        self.last = None;
        Ok(())
    }

    fn lost(&mut self, _loss: &Loss) -> Result<()> {
        self.last = None;
        Ok(())
    }

    fn settings(&mut self, settings: &NewSettings) -> Result<()> {
        (self.model, self.labels) = described(settings.model);
        self.client.set_model_labels(&self.labels);
        self.last = None;
        Ok(())
    }
}

fn described(model: &Model) -> (String, Vec<String>) {
    (model.name.clone(), model.labels.clone())
}
