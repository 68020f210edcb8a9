//! The second of a stream's two threads: answers in order, smoothing, verdict, and the files.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use crate::error::Result;
use crate::events::teller::Teller;
use crate::labels::intervals::Intervals;
use crate::labels::smoothing::Smoothing;
use crate::labels::stride::Stride;
use crate::labels::verdict::Judge;
use crate::media::recorder::{LONGEST_FILL, Recorded};
use crate::report::journal::Balance;
use crate::stream::outputs::Writers;
use crate::stream::pace::{Pace, Tuner};
use crate::stream::prepare::Pending;
use crate::stream::{Context, Progress};

const SECOND: u64 = 1_000_000_000;
/// A stretch without frames that is told in the timeline.
const GAP: u64 = SECOND;

/// Turns answers into labels and writes them.
pub struct Presenter<'a> {
    writers: Writers,
    progress: &'a Progress,
    smoothing: Smoothing,
    judge: Judge,
    intervals: Intervals,
    tuner: Option<Tuner<'a>>,
    teller: Teller<'a>,
    last: Vec<f32>,
    /// Stretches that are too long to be filled in an AVI.
    long_gaps: u64,
}

impl<'a> Presenter<'a> {
    pub fn new(context: &Context<'a>, writers: Writers, pace: &'a Pace) -> Self {
        let Context { labelling, model, progress, .. } = context;
        let action = labelling.action.as_ref().and_then(|action| model.labels.iter().position(|label| label == action));
        let threshold = labelling.threshold.unwrap_or(model.threshold);
        Self {
            writers,
            progress,
            smoothing: Smoothing::new(labelling.window.unwrap_or(model.window), model.labels.len()),
            judge: Judge::new(action, threshold, labelling.hysteresis),
            intervals: Intervals::default(),
            tuner: matches!(labelling.stride, Stride::Auto).then(|| Tuner::new(pace)),
            teller: Teller::new(context.announcer, &context.job.name, &model.labels, None),
            last: Vec::new(),
            long_gaps: 0,
        }
    }

    /// Labels every frame that comes, until none comes any more.
    ///
    /// # Errors
    /// The first failure of the engine or a file; frames on their way then are counted and given up.
    pub fn run(&mut self, pending: Receiver<Pending>) -> Result<()> {
        for frame in &pending {
            self.present(frame)?;
        }
        Ok(())
    }

    fn present(&mut self, Pending { frame, reply }: Pending) -> Result<()> {
        let analysed = reply.is_some();
        if let Some(reply) = reply {
            self.last = reply.wait()?;
        }
        let awaiting = self.tuner.as_ref().is_some_and(Tuner::awaits);
        let before = awaiting.then(|| (self.smoothing.clone(), self.judge.clone()));
        let smoothed = self.smoothing.push(&self.last);
        let verdict = self.judge.judge(smoothed);
        let previous_end = self.progress.position.get();
        if frame.sequence > 0 && frame.pts > previous_end + GAP {
            // Nothing was seen there, so nothing is claimed.
            let closed = self.intervals.finish();
            self.teller.end(closed.as_ref());
            self.writers.interval(closed)?;
            self.writers.gap(previous_end, frame.pts)?;
            self.long_gaps += u64::from(frame.pts > previous_end + LONGEST_FILL);
        }
        let closed = self.intervals.push(verdict, frame.pts, frame.end());
        self.teller.frame(closed.as_ref(), verdict, frame.pts);
        self.writers.interval(closed)?;
        self.writers.frame(&frame, verdict, smoothed)?;
        self.progress.ledger.labelled(analysed);
        self.progress.position.set(frame.end());
        if let Some(tuner) = &mut self.tuner {
            tuner.frame(frame.pts, analysed.then_some(self.last.as_slice()), verdict, before);
        }
        Ok(())
    }

    fn stride(&self) -> Option<(u64, f64)> {
        self.tuner.as_ref().and_then(Tuner::chosen)
    }

    /// Closes the files.
    pub fn finish(mut self, balance: &Balance, began: Instant, complete: bool) -> Closed {
        let last = self.intervals.finish();
        self.teller.end(last.as_ref());
        let last = self.writers.interval(last);
        let stride = self.stride();
        let files = self.writers.finish(balance, began, stride, complete);
        Closed {
            result: last.and(files.result),
            written: files.written,
            recorded: files.recorded,
            wall: files.wall,
            intervals: files.intervals,
            long_gaps: self.long_gaps,
            stride,
        }
    }
}

/// What a presenter leaves.
pub struct Closed {
    /// The first failure of a file.
    pub result: Result<()>,
    pub written: Vec<PathBuf>,
    pub recorded: Recorded,
    /// From the opened input to the closed video.
    pub wall: Duration,
    pub intervals: u64,
    /// Stretches that are too long to be filled in an AVI.
    pub long_gaps: u64,
    /// What `--stride auto` chose last, with the agreement it measured.
    pub stride: Option<(u64, f64)>,
}
