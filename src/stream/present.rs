//! The second of a stream's two threads: answers in order, smoothing, verdict, and the files.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use crate::board::status::{Meter, State};
use crate::board::{Post, Progress};
use crate::error::Result;
use crate::events::teller::Teller;
use crate::labels::intervals::Intervals;
use crate::labels::smoothing::Smoothing;
use crate::labels::stride::Stride;
use crate::labels::verdict::{Judge, Verdict};
use crate::media::frame::Frame;
use crate::media::recorder::{LONGEST_FILL, Recorded};
use crate::report::journal::Balance;
use crate::stream::Context;
use crate::stream::outputs::Writers;
use crate::stream::pace::{Pace, Tuner};
use crate::stream::prepare::Pending;

const SECOND: u64 = 1_000_000_000;
/// A stretch without frames that is told in the timeline.
const GAP: u64 = SECOND;

/// Turns answers into labels and writes them.
pub struct Presenter<'a> {
    writers: Writers,
    progress: &'a Progress,
    post: &'a Post,
    labels: &'a [String],
    meter: Meter,
    smoothing: Smoothing,
    judge: Judge,
    intervals: Intervals,
    pace: &'a Pace,
    tuner: Option<Tuner<'a>>,
    teller: Teller<'a>,
    last: Vec<f32>,
    /// Stretches that are too long to be filled in an AVI.
    long_gaps: u64,
}

impl<'a> Presenter<'a> {
    pub fn new(context: &Context<'a>, writers: Writers, pace: &'a Pace) -> Self {
        let Context { labelling, model, progress, post, .. } = context;
        let action = labelling.action.as_ref().and_then(|action| model.labels.iter().position(|label| label == action));
        let threshold = labelling.threshold.unwrap_or(model.threshold);
        Self {
            writers,
            progress,
            post,
            labels: &model.labels,
            meter: Meter::new(Instant::now()),
            smoothing: Smoothing::new(labelling.window.unwrap_or(model.window), model.labels.len()),
            judge: Judge::new(action, threshold, labelling.hysteresis),
            intervals: Intervals::default(),
            pace,
            tuner: matches!(labelling.stride, Stride::Auto).then(|| Tuner::new(pace)),
            teller: Teller::new(context.announcer, &context.post.subject, None),
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
            close(&mut self.intervals, self.post, &mut self.teller, &mut self.writers)?;
            self.progress.status_mut().gaps += 1;
            self.post.gap(previous_end, frame.pts, None);
            self.writers.gap(previous_end, frame.pts)?;
            self.long_gaps += u64::from(frame.pts > previous_end + LONGEST_FILL);
        }
        let closed = self.intervals.push(verdict, frame.pts, frame.end());
        self.teller.frame(closed.as_ref(), verdict, frame.pts);
        self.post.interval(closed.as_ref());
        self.post.frame(frame.pts, verdict, smoothed, self.intervals.open());
        self.writers.interval(closed)?;
        self.writers.frame(&frame, verdict, smoothed)?;
        self.progress.ledger.labelled(analysed);
        self.progress.position.set(frame.end());
        self.tell(&frame, verdict);
        if let Some(tuner) = &mut self.tuner {
            tuner.frame(frame.pts, analysed.then_some(self.last.as_slice()), verdict, before);
        }
        Ok(())
    }

    /// Puts on the board how the stream is.
    fn tell(&mut self, frame: &Frame, verdict: Verdict) {
        let delay = frame.arrival.elapsed();
        self.post.took(delay);
        let told = self.meter.add(delay);
        let mut status = self.progress.status_mut();
        status.enter(State::Running);
        status.label = verdict.shown.then(|| self.labels[verdict.class].clone());
        (status.confidence, status.stride) = (verdict.confidence, self.pace.stride());
        if let Some((rate, latency)) = told {
            (status.rate, status.latency) = (rate, latency);
        }
    }

    fn stride(&self) -> Option<(u64, f64)> {
        self.tuner.as_ref().and_then(Tuner::chosen)
    }

    /// Closes the files.
    pub fn finish(mut self, balance: &Balance, began: Instant, complete: bool) -> Closed {
        let last = close(&mut self.intervals, self.post, &mut self.teller, &mut self.writers);
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

/// Ends the interval that is open.
fn close(intervals: &mut Intervals, post: &Post, teller: &mut Teller, writers: &mut Writers) -> Result<()> {
    let closed = intervals.finish();
    teller.end(closed.as_ref());
    post.interval(closed.as_ref());
    writers.interval(closed)
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
