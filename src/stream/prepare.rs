//! The first of a stream's two threads: takes decoded frames, makes tensors, asks the engine.

use std::time::Duration;

use crossbeam_channel::Sender;

use crate::error::{Error, Result};
use crate::inference::engine::{Client, Reply};
use crate::inference::preprocess::Preprocessor;
use crate::media::frame::Frame;
use crate::media::source::{Event, Source};
use crate::stream::pace::Pace;
use crate::stream::{Progress, Shutdown};

/// How often a wait for a frame looks whether to stop.
const POLL: Duration = Duration::from_millis(100);

/// A frame on its way to be labelled.
pub struct Pending {
    pub frame: Box<Frame>,
    /// Its answer to come; `None` where the last prediction is held.
    pub reply: Option<Reply>,
}

/// Why no more frames came.
pub enum End {
    /// The clip was read to its end.
    Complete,
    /// The user wants to stop, or the presenter did.
    Stopped,
    Failed(Error),
}

/// What the thread works with.
pub struct Preparer<'a> {
    pub source: Source,
    pub client: Client,
    pub preprocessor: Preprocessor,
    pub pace: &'a Pace,
    pub progress: &'a Progress,
    pub shutdown: &'a Shutdown,
}

impl Preparer<'_> {
    /// Sends frames in order until the clip ends, the user stops, or nobody receives any more.
    pub fn run(mut self, pending: Sender<Pending>) -> End {
        if let Err(error) = self.source.play() {
            return End::Failed(error);
        }
        let mut held = u64::MAX;
        loop {
            if self.shutdown.requested() {
                return End::Stopped;
            }
            let frame = match self.source.next(POLL) {
                None => continue,
                Some(Event::Frame(frame)) => frame,
                Some(Event::End) => return End::Complete,
                Some(Event::Failed(error)) => return End::Failed(error),
            };
            self.progress.ledger.arrived();
            let analyse = held.saturating_add(1) >= self.pace.stride();
            held = if analyse { 0 } else { held + 1 };
            let reply = match analyse.then(|| self.ask(&frame)).transpose() {
                Ok(reply) => reply,
                Err(error) => return End::Failed(error),
            };
            if pending.send(Pending { frame, reply }).is_err() {
                return End::Stopped;
            }
        }
    }

    fn ask(&mut self, frame: &Frame) -> Result<Reply> {
        let mut tensor = self.client.tensor();
        self.preprocessor.prepare(&frame.picture(), &mut tensor)?;
        // Frames that are held fill the channel to the presenter too, so too few are asked for to fill a batch.
        self.client.submit(tensor, self.pace.stride() > 1)
    }
}
