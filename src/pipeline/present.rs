//! The second of a stream's two threads: waits for predictions in order, labels frames and passes them to the sinks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::error::Result;
use crate::labels::labeler::Labeler;
use crate::media::frame::Frame;
use crate::media::recorder::LONGEST_FILL;
use crate::media::supervisor::LossReason;
use crate::pipeline::context::StreamContext;
use crate::pipeline::outcome::{self, EngineInfo, Outcome};
use crate::pipeline::prepare::{Message, Prediction};
use crate::pipeline::settings_change::SettingsChange;
use crate::pipeline::sinks::set::Sinks;
use crate::pipeline::sinks::sink::{Gap, Loss, NewSettings};
use crate::pipeline::stride::policy::{Label, StridePolicy};
use crate::report::milliseconds;
use crate::report::summary::Gaps;
use crate::system::clock::SharedClock;
use crate::telemetry::Progress;

/// Interval at which the sinks are called while no frames arrive.
const POLL: Duration = Duration::from_millis(50);
/// Reason of a gap if the camera was not lost.
const CLOCK_JUMP: &str = "clock_jump";

/// Turns predictions into labels.
pub struct Presenter<'a> {
    pub sinks: Sinks<'a>,
    pub labeler: Labeler,
    /// The frames that wait for their label, and whether each was analysed.
    pub held: VecDeque<(Box<Frame>, bool)>,
    pub labels: &'a [String],
    pub stride: Arc<dyn StridePolicy>,
    /// What runs the model, and the model's name and precision.
    pub engine: EngineInfo,
    pub model: String,
    /// Whether the stream is a camera, whose smoothing restarts after a gap. A clip is one scene.
    pub live: bool,
    pub clock: &'a SharedClock,
    pub began: Instant,
    pub progress: &'a Progress,
    /// Discontinuities up to the last frame, whether it has its label or not, and its end.
    pub position: Option<(u64, u64)>,
    /// Why the camera is lost; `None` while it is not.
    pub lost: Option<LossReason>,
    pub intervals: u64,
    pub gaps: Gaps,
    /// Duration in nanoseconds of the shortest activity that can be found, once known.
    pub shortest: Option<u64>,
    /// Gaps that are too long to fill in an AVI.
    pub long_gaps: u64,
}

impl<'a> Presenter<'a> {
    /// Labels the frames of a stream that `began` at this time.
    pub fn new(
        context: &'a StreamContext<'a>,
        sinks: Sinks<'a>,
        labeler: Labeler,
        stride: Arc<dyn StridePolicy>,
        began: Instant,
    ) -> Self {
        let StreamContext { job, model, engine, state, clock, .. } = *context;
        Self {
            sinks,
            labeler,
            held: VecDeque::new(),
            labels: &model.labels,
            stride,
            engine: engine.clone(),
            model: outcome::model_line(model),
            live: job.live.is_some(),
            clock,
            began,
            progress: &state.progress,
            position: None,
            lost: None,
            intervals: 0,
            gaps: Gaps::default(),
            shortest: None,
            long_gaps: 0,
        }
    }
}

impl Presenter<'_> {
    /// Labels every frame until the first thread ends.
    ///
    /// # Errors
    /// Returns the first failure of the engine, or of a sink of a clip. Frames in flight are then dropped and counted.
    pub fn run(&mut self, messages: Receiver<Message>) -> Result<()> {
        loop {
            match messages.recv_timeout(POLL) {
                Ok(Message::Frame { frame, prediction }) => self.present(frame, prediction)?,
                Ok(Message::Lost(reason)) => self.camera_lost(reason)?,
                Ok(Message::Settings(change)) => self.change(*change)?,
                Err(RecvTimeoutError::Timeout) => self.sinks.idle()?,
                Err(RecvTimeoutError::Disconnected) => return self.label(true),
            }
        }
    }

    pub(super) fn present(&mut self, frame: Box<Frame>, prediction: Prediction) -> Result<()> {
        let analysed = prediction.is_analysed();
        if self.held.back().is_some_and(|(last, _)| last.discontinuity != frame.discontinuity) {
            // No label looks ahead across a gap.
            self.label(true)?;
        }
        self.handle_gap(&frame)?;
        let prediction = match prediction.wait() {
            Ok(prediction) => prediction,
            Err(error) => {
                self.label(true)?;
                return Err(error);
            }
        };
        let (pts, end, arrival) = (frame.pts, frame.end(), frame.arrival);
        self.position = Some((frame.discontinuity, end));
        if !self.labeler.push(prediction, pts, end) {
            // A held frame of a new connection that overtook the loss of the old one: the reset left no prediction.
            self.progress.counters.labelled(analysed);
            return Ok(());
        }
        self.held.push_back((frame, analysed));
        self.label(false)?;
        let (margin, window) = self.labeler.margin();
        let prediction = analysed.then(|| self.labeler.prediction());
        self.stride.labeled(&Label { prediction, delay: self.clock.since(arrival), margin, window });
        Ok(())
    }

    /// Labels the frames whose window is complete; with `last`, all that wait.
    fn label(&mut self, last: bool) -> Result<()> {
        while let Some(output) = self.labeler.next(last)
            && let Some((frame, analysed)) = self.held.pop_front()
        {
            let decision = output.decision;
            self.intervals += u64::from(output.closed.is_some());
            self.sinks.interval(output.closed.as_ref())?;
            let shown = decision.shown.then(|| self.labels[decision.label].as_str());
            self.sinks.frame(frame, analysed, shown, output)?;
            self.progress.counters.labelled(analysed);
        }
        self.update_shortest();
        Ok(())
    }

    fn update_shortest(&mut self) {
        let shortest = self.labeler.shortest();
        if shortest.is_some() && shortest != self.shortest {
            self.shortest = shortest;
            let mut status = self.progress.status_mut();
            // A trailing window must fill with a label as far before it shows it.
            (status.shortest, status.label_delay) = (shortest, shortest.filter(|_| self.live));
        }
    }

    /// Records a gap if frames are missing before this one. No interval spans a gap.
    fn handle_gap(&mut self, frame: &Frame) -> Result<()> {
        let start = match (self.position, self.lost) {
            (Some((discontinuity, end)), lost) if lost.is_some() || discontinuity != frame.discontinuity => {
                end.min(frame.pts)
            }
            (None, Some(_)) => 0,
            _ => {
                self.lost = None;
                return Ok(());
            }
        };
        if self.lost.is_none() {
            self.close_interval(frame.pts)?;
        }
        let reason = self.live.then(|| self.lost.map_or(CLOCK_JUMP, LossReason::name));
        self.lost = None;
        self.gaps.add(milliseconds(frame.pts - start));
        self.long_gaps += u64::from(frame.pts > start + LONGEST_FILL);
        self.sinks.gap(&Gap { start, end: frame.pts, reason })
    }

    /// Notifies the sinks of the loss of the camera: once, however many reconnects fail.
    pub(super) fn camera_lost(&mut self, reason: LossReason) -> Result<()> {
        if self.lost.replace(reason).is_some() {
            return Ok(());
        }
        self.close_interval(u64::MAX)?;
        let since = self.position.map_or(0, |(_, end)| end);
        let at = self.clock.since(self.began).as_nanos() as u64;
        self.sinks.lost(&Loss { since, at, reason: reason.name() })
    }

    /// Takes over new settings between two frames: the window restarts, and no interval spans the change.
    fn change(&mut self, change: SettingsChange) -> Result<()> {
        self.label(true)?;
        let at = self.position.map_or(0, |(_, end)| end);
        self.close_interval(at)?;
        let SettingsChange { job, model, engine, stride } = change;
        self.labeler = job.label_config.rule(&model).labeler(self.labels.len(), 0);
        (self.stride, self.engine, self.model) = (stride, engine, outcome::model_line(&model));
        self.sinks.settings(&NewSettings { at, job: &job, model: &model, engine: &self.engine })
    }

    /// Closes the open interval before the frame at `next`. For a camera, also restarts smoothing.
    fn close_interval(&mut self, next: u64) -> Result<()> {
        let closed = if self.live { self.labeler.reset(next) } else { self.labeler.close(next) };
        self.intervals += u64::from(closed.is_some());
        self.sinks.interval(closed.as_ref())
    }

    /// Closes the open interval and finishes every sink. The outcome holds the first failure.
    pub fn finish(mut self, outcome: &mut Outcome) {
        let closed = self.labeler.close(u64::MAX);
        self.intervals += u64::from(closed.is_some());
        if let Err(error) = self.sinks.interval(closed.as_ref()) {
            outcome.error.get_or_insert(error);
        }
        (outcome.intervals, outcome.gaps, outcome.long_gaps) = (self.intervals, self.gaps, self.long_gaps);
        (outcome.engine, outcome.model) = (self.engine, self.model);
        (outcome.shortest, outcome.ahead_limit) = (self.shortest, self.labeler.ahead_limit());
        self.sinks.finish(outcome);
    }
}
