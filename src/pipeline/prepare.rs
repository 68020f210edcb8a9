//! The first of a stream's two threads: takes frames from the source and submits tensors to the engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use crate::error::{Error, Result};
use crate::inference::engine::{Client, Engine, Reply};
use crate::inference::preprocess::Preprocessor;
use crate::labels::sampling::{Sample, Sampler};
use crate::labels::stride::Stride;
use crate::media::frame::Frame;
use crate::media::supervisor::LossReason;
use crate::pipeline::outcome::EngineInfo;
use crate::pipeline::sampled_frames::SampledFrames;
use crate::pipeline::settings_change::{Command, SettingsChange};
use crate::pipeline::source::{FrameSource, SourceEvent};
use crate::pipeline::stride::{
    self,
    policy::{Load, StridePolicy},
};
use crate::shutdown::Shutdown;
use crate::system::clock::SharedClock;
use crate::telemetry::Progress;

/// Interval at which a wait for a frame polls the shutdown flag.
pub(super) const POLL: Duration = Duration::from_millis(50);

/// A message to the second thread.
pub enum Message {
    Frame {
        frame: Box<Frame>,
        prediction: Prediction,
    },
    Lost(LossReason),
    /// The frames from here on have these settings.
    Settings(Box<SettingsChange>),
}

/// The prediction of a frame.
pub enum Prediction {
    /// The engine runs the model.
    Pending(Reply),
    /// The frame is held: it gets the last prediction.
    Held,
    /// Final, from adaptive sampling.
    Sampled(Sample),
}

impl Prediction {
    /// Returns whether the model runs on the frame itself.
    pub fn is_analysed(&self) -> bool {
        match self {
            Self::Pending(_) => true,
            Self::Held => false,
            Self::Sampled(sample) => sample.analysed,
        }
    }

    /// Waits for the probabilities; `None` for a held frame.
    ///
    /// # Errors
    /// Failed if the model could not be run.
    pub fn wait(self) -> Result<Option<Vec<f32>>> {
        match self {
            Self::Pending(reply) => reply.wait().map(Some),
            Self::Held => Ok(None),
            Self::Sampled(sample) => Ok(Some(sample.probabilities)),
        }
    }
}

/// Why the thread ended.
pub enum End {
    /// The clip was read to its end.
    Complete,
    /// The user or the second thread stopped.
    Stopped,
    Failed(Error),
}

/// The state of the thread.
pub struct Preparer<'a> {
    pub source: Box<dyn FrameSource>,
    /// Kept as long as its results are waited for.
    pub engine: Arc<Engine>,
    pub client: Client,
    pub preprocessor: Preprocessor,
    pub stride: Arc<dyn StridePolicy>,
    /// The option that it was made of.
    pub stride_option: Stride,
    /// What to change while the stream runs; only of a camera.
    pub commands: Option<Receiver<Command>>,
    /// The sampler of a clip with adaptive sampling, which needs no stride.
    pub sampler: Option<Sampler>,
    /// Whether frames arrive so sparsely that a batch may never fill.
    pub sparse: bool,
    pub clock: &'a SharedClock,
    pub began: Instant,
    pub progress: &'a Progress,
    pub shutdown: &'a Shutdown,
}

impl Preparer<'_> {
    /// Sends frames in order until the source ends, the user stops, or the receiver is dropped.
    pub fn run(mut self, messages: Sender<Message>) -> End {
        let end = match self.sampler.take() {
            Some(sampler) => SampledFrames::new(&mut self, sampler, &messages).forward(),
            None => self.forward(&messages),
        };
        // What was received is complete before the second thread finishes.
        drop(self.source);
        match end {
            Ok(end) => end,
            Err(error) => End::Failed(error),
        }
    }

    fn forward(&mut self, messages: &Sender<Message>) -> Result<End> {
        self.source.start()?;
        self.progress.status_mut().stride = self.stride.stride(&|| self.load());
        // Frames since the last analysed one. The first frame must be analysed.
        let mut held = u64::MAX;
        while !self.shutdown.requested() {
            if let Some(change) = self.obey() {
                // The first frame with the new settings must be analysed.
                held = u64::MAX;
                self.stride.restart();
                if messages.send(Message::Settings(change)).is_err() {
                    break;
                }
            }
            let event = self.source.next(POLL)?;
            self.source.report(&mut self.progress.status_mut(), self.clock.utc());
            let message = match event {
                None => continue,
                Some(SourceEvent::End) => return Ok(End::Complete),
                Some(SourceEvent::Lost(reason)) => {
                    self.progress.status_mut().reason = Some(reason.name().into());
                    held = u64::MAX;
                    Message::Lost(reason)
                }
                Some(SourceEvent::Frame(frame)) => {
                    let stride = self.stride.stride(&|| self.load());
                    self.progress.status_mut().stride = stride;
                    let analysed = self.stride.is_needed(&frame, held.saturating_add(1) >= stride);
                    held = if analysed { 0 } else { held.saturating_add(1) };
                    // Held frames also fill the channel to the second thread, so a batch may not fill.
                    let urgent = stride > 1;
                    let prediction =
                        if analysed { Prediction::Pending(self.submit(&frame, urgent)?) } else { Prediction::Held };
                    Message::Frame { frame, prediction }
                }
            };
            if messages.send(message).is_err() {
                break;
            }
        }
        Ok(End::Stopped)
    }

    /// Carries out the next command. Returns what the second thread must know of it.
    fn obey(&mut self) -> Option<Box<SettingsChange>> {
        match self.commands.as_ref()?.try_recv().ok()? {
            Command::Pause => self.source.pause(),
            Command::Resume => self.source.resume(),
            Command::Settings { job, model, engine } => {
                let option = job.label_config.stride;
                if option != self.stride_option {
                    self.stride = stride::select(option, Some(engine.live()));
                    self.stride_option = option;
                }
                self.client = engine.client(true);
                self.preprocessor = Preprocessor::new(&model.input);
                let info = EngineInfo::of(&engine);
                self.engine = engine;
                let stride = Arc::clone(&self.stride);
                return Some(Box::new(SettingsChange { job, model, engine: info, stride }));
            }
        }
        None
    }

    fn load(&self) -> Load {
        let (waiting, capacity) = self.source.backlog().unwrap_or((0, usize::MAX));
        let dropped = self.progress.counters.counts().dropped_total();
        Load { at: self.clock.since(self.began), waiting, capacity, dropped }
    }

    /// Submits a frame. It is `urgent` if too few others are submitted meanwhile to fill a batch.
    pub(super) fn submit(&mut self, frame: &Frame, urgent: bool) -> Result<Reply> {
        let mut tensor = self.client.tensor();
        self.preprocessor.prepare(&frame.picture(), tensor.view_mut())?;
        self.client.submit(tensor, self.sparse || urgent)
    }
}
