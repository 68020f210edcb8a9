//! The first of a stream's two threads: takes frames, makes tensors, asks the engine.

use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::error::{Error, Result};
use crate::inference::engine::{Client, Reply};
use crate::inference::preprocess::Preprocessor;
use crate::media::frame::Frame;
use crate::media::supervisor::Reason;
use crate::pipeline::source::{FrameSource, SourceEvent};
use crate::pipeline::stride::policy::{Load, StridePolicy};
use crate::shutdown::Shutdown;
use crate::telemetry::Progress;

/// How often a wait for a frame looks whether to stop.
const POLL: Duration = Duration::from_millis(50);

/// What goes to the second thread.
pub enum Message {
    Frame {
        frame: Box<Frame>,
        /// The answer to come; `None` where the last prediction is held.
        reply: Option<Reply>,
    },
    Lost(Reason),
}

/// Why no more frames come.
pub enum End {
    /// The clip was read to its end.
    Complete,
    /// The user wants to stop, or the second thread did.
    Stopped,
    Failed(Error),
}

/// What the thread works with.
pub struct Preparer<'a> {
    pub source: Box<dyn FrameSource>,
    pub client: Client,
    pub preprocessor: Preprocessor,
    pub stride: &'a dyn StridePolicy,
    /// Whether frames of a camera or held ones come between, so that a batch may never fill.
    pub sparse: bool,
    pub began: Instant,
    pub progress: &'a Progress,
    pub shutdown: &'a Shutdown,
}

impl Preparer<'_> {
    /// Sends frames in order until the source ends, the user stops, or nobody receives any more.
    pub fn run(mut self, messages: Sender<Message>) -> End {
        match self.forward(&messages) {
            Ok(end) => end,
            Err(error) => End::Failed(error),
        }
    }

    fn forward(&mut self, messages: &Sender<Message>) -> Result<End> {
        self.source.start()?;
        self.progress.status_mut().stride = self.stride.stride(&|| self.load());
        // Frames since the last one that was analysed: there is nothing to hold at first.
        let mut held = u64::MAX;
        while !self.shutdown.requested() {
            let event = self.source.next(POLL)?;
            self.source.report(&mut self.progress.status_mut());
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
                    let analysed = held.saturating_add(1) >= stride;
                    held = if analysed { 0 } else { held + 1 };
                    let reply = if analysed { Some(self.ask(&frame, stride)?) } else { None };
                    Message::Frame { frame, reply }
                }
            };
            if messages.send(message).is_err() {
                break;
            }
        }
        Ok(End::Stopped)
    }

    fn load(&self) -> Load {
        let (waiting, capacity) = self.source.backlog().unwrap_or((0, usize::MAX));
        let dropped = self.progress.counters.counts().lost();
        Load { at: self.began.elapsed(), waiting, capacity, dropped }
    }

    fn ask(&mut self, frame: &Frame, stride: u64) -> Result<Reply> {
        let mut tensor = self.client.tensor();
        self.preprocessor.prepare(&frame.picture(), &mut tensor)?;
        // Frames that are held fill the channel to the second thread too, so too few are asked for to fill a batch.
        self.client.submit(tensor, self.sparse || stride > 1)
    }
}
