//! The second of a stream's two threads: waits for the answers in order, labels, and hands the frames to the sinks.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::error::Result;
use crate::inference::engine::Reply;
use crate::labels::labeler::Labeler;
use crate::media::frame::Frame;
use crate::media::recorder::LONGEST_FILL;
use crate::media::supervisor::Reason;
use crate::pipeline::outcome::Outcome;
use crate::pipeline::prepare::Message;
use crate::pipeline::sinks::set::Sinks;
use crate::pipeline::sinks::sink::{Gap, Loss};
use crate::pipeline::stride::policy::{Labeled, StridePolicy};
use crate::report::milliseconds;
use crate::report::summary::Gaps;
use crate::telemetry::Progress;

/// How often the sinks are called while no frame comes.
const POLL: Duration = Duration::from_millis(50);
/// Why frames are missing where the camera was not lost.
const CLOCK_JUMP: &str = "clock_jump";

/// Turns answers into labels.
pub struct Presenter<'a> {
    pub sinks: Sinks<'a>,
    pub labeler: Labeler,
    pub labels: &'a [String],
    pub stride: &'a dyn StridePolicy,
    /// Of a camera, whose smoothing starts anew after a gap. A clip is one scene.
    pub live: bool,
    pub began: Instant,
    pub progress: &'a Progress,
    /// Number of discontinuities by the last frame, and its end.
    pub position: Option<(u64, u64)>,
    /// Why there is no camera, while there is none.
    pub lost: Option<Reason>,
    pub intervals: u64,
    pub gaps: Gaps,
    /// Gaps that are too long to be filled in an AVI.
    pub long_gaps: u64,
}

impl Presenter<'_> {
    /// Labels every frame that comes, until none comes any more.
    ///
    /// # Errors
    /// The first failure of the engine, or of a sink of a clip. Frames on their way then are counted and given up.
    pub fn run(&mut self, messages: Receiver<Message>) -> Result<()> {
        loop {
            match messages.recv_timeout(POLL) {
                Ok(Message::Frame { frame, reply }) => self.present(frame, reply)?,
                Ok(Message::Lost(reason)) => self.lose(reason)?,
                Err(RecvTimeoutError::Timeout) => self.sinks.idle()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn present(&mut self, frame: Box<Frame>, reply: Option<Reply>) -> Result<()> {
        let analysed = reply.is_some();
        self.bridge(&frame)?;
        let prediction = reply.map(Reply::wait).transpose()?;
        let before = self.stride.needs_state().then(|| self.labeler.state().clone());
        let (pts, end, arrival) = (frame.pts, frame.end(), frame.arrival);
        self.position = Some((frame.discontinuity, end));
        let Some(label) = self.labeler.frame(prediction, pts, end) else {
            // A frame of a new connection that was overtaken by the loss of the one before it.
            self.progress.counters.labelled(analysed);
            return Ok(());
        };
        let decision = label.decision;
        self.intervals += u64::from(label.closed.is_some());
        self.sinks.interval(label.closed.as_ref())?;
        let shown = decision.shown.then(|| self.labels[decision.class].as_str());
        self.sinks.frame(frame, decision, shown, label.smoothed, label.open)?;
        self.progress.counters.labelled(analysed);
        let prediction = analysed.then(|| self.labeler.prediction());
        self.stride.labeled(Labeled { pts, prediction, decision, before, delay: arrival.elapsed() });
        Ok(())
    }

    /// Where frames are missing before this one, nothing was seen, so nothing is claimed.
    fn bridge(&mut self, frame: &Frame) -> Result<()> {
        let start = match (self.position, self.lost) {
            (Some((discontinuity, end)), lost) if lost.is_some() || discontinuity != frame.discontinuity => end,
            (None, Some(_)) => 0,
            _ => {
                self.lost = None;
                return Ok(());
            }
        };
        if self.lost.is_none() {
            self.interrupt()?;
        }
        let reason = self.live.then(|| self.lost.map_or(CLOCK_JUMP, Reason::name));
        self.lost = None;
        self.gaps.add(milliseconds(frame.pts.saturating_sub(start)));
        self.long_gaps += u64::from(frame.pts > start + LONGEST_FILL);
        self.sinks.gap(&Gap { start, end: frame.pts, reason })
    }

    /// The camera is gone. Reported once, however often a reconnect fails.
    fn lose(&mut self, reason: Reason) -> Result<()> {
        if self.lost.replace(reason).is_some() {
            return Ok(());
        }
        self.interrupt()?;
        let since = self.position.map_or(0, |(_, end)| end);
        let at = self.began.elapsed().as_nanos() as u64;
        self.sinks.lost(&Loss { since, at, reason: reason.name() })
    }

    /// Ends the open interval; of a camera, forgets what was seen.
    fn interrupt(&mut self) -> Result<()> {
        let closed = if self.live { self.labeler.reset() } else { self.labeler.close() };
        self.intervals += u64::from(closed.is_some());
        self.sinks.interval(closed.as_ref())
    }

    /// Ends the open interval and closes every sink. The outcome takes the first failure.
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
