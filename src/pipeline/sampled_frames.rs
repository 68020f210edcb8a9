//! The first of a clip's two threads with adaptive sampling: holds frames until their predictions are final.

use std::collections::VecDeque;

use crossbeam_channel::Sender;

use crate::error::Result;
use crate::inference::engine::Reply;
use crate::labels::sampling::{IN_FLIGHT, Sampler};
use crate::media::frame::Frame;
use crate::picture::LumaGrid;
use crate::pipeline::prepare::{End, Message, POLL, Prediction, Preparer};
use crate::pipeline::source::SourceEvent;

/// Frames without a final prediction, and their sampler.
pub struct SampledFrames<'p, 'a> {
    preparer: &'p mut Preparer<'a>,
    messages: &'p Sender<Message>,
    sampler: Sampler,
    frames: VecDeque<Box<Frame>>,
    /// Number of frames that were pushed to the sampler.
    pushed: usize,
    /// Frames of the grid that the engine runs, oldest first.
    pending: VecDeque<(usize, Reply)>,
    discontinuity: u64,
    sent: u64,
    analysed: u64,
}

impl<'p, 'a> SampledFrames<'p, 'a> {
    pub fn new(preparer: &'p mut Preparer<'a>, sampler: Sampler, messages: &'p Sender<Message>) -> Self {
        let (frames, pending) = (VecDeque::new(), VecDeque::new());
        let (pushed, discontinuity, sent, analysed) = (0, 0, 0, 0);
        Self { preparer, messages, sampler, frames, pushed, pending, discontinuity, sent, analysed }
    }

    /// Sends frames in order until the source ends, the user stops, or the receiver is dropped.
    ///
    /// # Errors
    /// The errors of the source and of the engine. The frames before an error of the source are sent.
    pub fn forward(mut self) -> Result<End> {
        let end = self.push_all();
        let flushed = self.flush();
        // What failed first is told.
        let end = end?;
        flushed.map(|()| end)
    }

    fn push_all(&mut self) -> Result<End> {
        self.preparer.source.start()?;
        while !self.preparer.shutdown.requested() {
            let event = self.preparer.source.next(POLL)?;
            let now = self.preparer.clock.utc();
            self.preparer.source.report(&mut self.preparer.progress.status_mut(), now);
            match event {
                None | Some(SourceEvent::Lost(_)) => {}
                Some(SourceEvent::End) => return Ok(End::Complete),
                Some(SourceEvent::Frame(frame)) => {
                    if self.pushed > 0 && frame.discontinuity != self.discontinuity {
                        // No prediction is interpolated across a gap.
                        self.flush()?;
                    }
                    self.discontinuity = frame.discontinuity;
                    if !self.push(frame)? {
                        break;
                    }
                }
            }
        }
        Ok(End::Stopped)
    }

    /// Returns false if the receiver is dropped.
    fn push(&mut self, frame: Box<Frame>) -> Result<bool> {
        let number = self.pushed;
        self.pushed += 1;
        let on_grid = self.sampler.push(frame.pts, LumaGrid::of(&frame.picture()));
        if on_grid {
            self.pending.push_back((number, self.preparer.submit(&frame, true)?));
        }
        self.frames.push_back(frame);
        if self.pending.len() <= IN_FLIGHT {
            return Ok(true);
        }
        self.insert_oldest()?;
        self.settle(false)
    }

    fn insert_oldest(&mut self) -> Result<()> {
        if let Some((number, reply)) = self.pending.pop_front() {
            self.sampler.insert(number, reply.wait()?);
        }
        Ok(())
    }

    /// Analyses what the sampler wants and sends the frames with final predictions, until the sampler needs more frames.
    /// Returns false if the receiver is dropped.
    fn settle(&mut self, last: bool) -> Result<bool> {
        while let Some(wanted) = self.sampler.wanted(last) {
            if wanted.is_empty() && !self.send_released(last) {
                return Ok(false);
            }
            let first = self.pushed - self.frames.len();
            let mut replies = Vec::with_capacity(wanted.len());
            for number in wanted {
                replies.push((number, self.preparer.submit(&self.frames[number - first], true)?));
            }
            for (number, reply) in replies {
                self.sampler.insert(number, reply.wait()?);
            }
        }
        Ok(true)
    }

    fn send_released(&mut self, last: bool) -> bool {
        let samples = self.sampler.release(last);
        self.sent += samples.len() as u64;
        self.analysed += samples.iter().filter(|sample| sample.analysed).count() as u64;
        if let Some(stride) = self.sent.checked_div(self.analysed) {
            self.preparer.progress.status_mut().stride = stride;
        }
        let frames: Vec<_> = self.frames.drain(..samples.len()).collect();
        let mut frames = frames.into_iter().zip(samples);
        frames.all(|(frame, sample)| {
            self.messages.send(Message::Frame { frame, prediction: Prediction::Sampled(sample) }).is_ok()
        })
    }

    /// Sends all frames and starts anew.
    fn flush(&mut self) -> Result<()> {
        if let Some(number) = self.sampler.end()
            && let Some(frame) = self.frames.back()
        {
            self.pending.push_back((number, self.preparer.submit(frame, true)?));
        }
        while !self.pending.is_empty() {
            self.insert_oldest()?;
        }
        self.settle(true)?;
        self.sampler.reset();
        self.pushed = 0;
        Ok(())
    }
}
