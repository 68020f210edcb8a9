//! The second of a stream's two threads: waits for predictions in order, labels frames and passes them to the sinks.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::error::Result;
use crate::inference::engine::Reply;
use crate::labels::labeler::Labeler;
use crate::media::frame::Frame;
use crate::media::recorder::LONGEST_FILL;
use crate::media::supervisor::LossReason;
use crate::pipeline::outcome::Outcome;
use crate::pipeline::prepare::Message;
use crate::pipeline::sinks::set::Sinks;
use crate::pipeline::sinks::sink::{Gap, Loss};
use crate::pipeline::stride::policy::{Labeled, StridePolicy};
use crate::report::milliseconds;
use crate::report::summary::Gaps;
use crate::telemetry::Progress;

/// Interval at which the sinks are called while no frames arrive.
const POLL: Duration = Duration::from_millis(50);
/// Reason of a gap if the camera was not lost.
const CLOCK_JUMP: &str = "clock_jump";

/// Turns predictions into labels.
pub struct Presenter<'a> {
    pub sinks: Sinks<'a>,
    pub labeler: Labeler,
    pub labels: &'a [String],
    pub stride: &'a dyn StridePolicy,
    /// Whether the stream is a camera, whose smoothing restarts after a gap. A clip is one scene.
    pub live: bool,
    pub began: Instant,
    pub progress: &'a Progress,
    /// Discontinuities up to the last frame, and its end.
    pub position: Option<(u64, u64)>,
    /// Why the camera is lost; `None` while it is not.
    pub lost: Option<LossReason>,
    pub intervals: u64,
    pub gaps: Gaps,
    /// Gaps that are too long to fill in an AVI.
    pub long_gaps: u64,
}

impl Presenter<'_> {
    /// Labels every frame until the first thread ends.
    ///
    /// # Errors
    /// Returns the first failure of the engine, or of a sink of a clip. Frames in flight are then dropped and counted.
    pub fn run(&mut self, messages: Receiver<Message>) -> Result<()> {
        loop {
            match messages.recv_timeout(POLL) {
                Ok(Message::Frame { frame, reply }) => self.present(frame, reply)?,
                Ok(Message::Lost(reason)) => self.camera_lost(reason)?,
                Err(RecvTimeoutError::Timeout) => self.sinks.idle()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn present(&mut self, frame: Box<Frame>, reply: Option<Reply>) -> Result<()> {
        let analysed = reply.is_some();
        self.handle_gap(&frame)?;
        let prediction = reply.map(Reply::wait).transpose()?;
        let before = self.stride.needs_state().then(|| self.labeler.state().clone());
        let (pts, end, arrival) = (frame.pts, frame.end(), frame.arrival);
        self.position = Some((frame.discontinuity, end));
        let Some(label) = self.labeler.frame(prediction, pts, end) else {
            // A held frame of a new connection that overtook the loss of the old one: the reset left no prediction.
            self.progress.counters.labelled(analysed);
            return Ok(());
        };
        let decision = label.decision;
        self.intervals += u64::from(label.closed.is_some());
        self.sinks.interval(label.closed.as_ref())?;
        let shown = decision.shown.then(|| self.labels[decision.label].as_str());
        self.sinks.frame(frame, decision, shown, label.smoothed, label.prediction, label.open)?;
        self.progress.counters.labelled(analysed);
        let prediction = analysed.then(|| self.labeler.prediction());
        self.stride.labeled(Labeled { pts, prediction, decision, before, delay: arrival.elapsed() });
        Ok(())
    }

    /// Records a gap if frames are missing before this one. No interval spans a gap.
    fn handle_gap(&mut self, frame: &Frame) -> Result<()> {
        let start = match (self.position, self.lost) {
            (Some((discontinuity, end)), lost) if lost.is_some() || discontinuity != frame.discontinuity => end,
            (None, Some(_)) => 0,
            _ => {
                self.lost = None;
                return Ok(());
            }
        };
        if self.lost.is_none() {
            self.close_interval()?;
        }
        let reason = self.live.then(|| self.lost.map_or(CLOCK_JUMP, LossReason::name));
        self.lost = None;
        self.gaps.add(milliseconds(frame.pts.saturating_sub(start)));
        self.long_gaps += u64::from(frame.pts > start + LONGEST_FILL);
        self.sinks.gap(&Gap { start, end: frame.pts, reason })
    }

    /// Notifies the sinks of the loss of the camera: once, however many reconnects fail.
    fn camera_lost(&mut self, reason: LossReason) -> Result<()> {
        if self.lost.replace(reason).is_some() {
            return Ok(());
        }
        self.close_interval()?;
        let since = self.position.map_or(0, |(_, end)| end);
        let at = self.began.elapsed().as_nanos() as u64;
        self.sinks.lost(&Loss { since, at, reason: reason.name() })
    }

    /// Closes the open interval. For a camera, also restarts smoothing.
    fn close_interval(&mut self) -> Result<()> {
        let closed = if self.live { self.labeler.reset() } else { self.labeler.close() };
        self.intervals += u64::from(closed.is_some());
        self.sinks.interval(closed.as_ref())
    }

    /// Closes the open interval and finishes every sink. The outcome holds the first failure.
    pub fn finish(mut self, outcome: &mut Outcome) {
        let closed = self.labeler.close();
        self.intervals += u64::from(closed.is_some());
        if let Err(error) = self.sinks.interval(closed.as_ref()) {
            outcome.error.get_or_insert(error);
        }
        (outcome.intervals, outcome.gaps, outcome.long_gaps) = (self.intervals, self.gaps, self.long_gaps);
        self.sinks.finish(outcome);
    }
}
