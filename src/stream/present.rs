//! The second of a stream's two threads: answers in order, smoothing, verdict, and the files.

use std::collections::BTreeMap;
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::config::Job;
use crate::error::{Error, Result};
use crate::labels::intervals::Intervals;
use crate::labels::smoothing::Smoothing;
use crate::labels::stride::Stride;
use crate::labels::verdict::Judge;
use crate::media::faults::Faults;
use crate::media::length;
use crate::media::recorder::Recorded;
use crate::report::journal::Balance;
use crate::stream::outputs::Writers;
use crate::stream::pace::{Pace, Tuner};
use crate::stream::prepare::Pending;
use crate::stream::{Context, Progress};

fn seconds(nanoseconds: u64) -> String {
    format!("{:.1} s", nanoseconds as f64 / 1e9)
}

const SECOND: u64 = 1_000_000_000;
/// A stretch without frames that is told in the timeline.
const GAP: u64 = SECOND;
/// How much of a clip may be missing at its end before it counts as cut short: containers round, and sound may last
/// longer than pictures.
const MISSING: u64 = 2 * SECOND;

/// Turns answers into labels and writes them.
pub struct Presenter<'a> {
    writers: Writers,
    progress: &'a Progress,
    smoothing: Smoothing,
    judge: Judge,
    intervals: Intervals,
    tuner: Option<Tuner<'a>>,
    last: Vec<f32>,
    closed_intervals: u64,
    /// Frames that the decoder could restore only in part, and the first one's time.
    damaged: Option<(u64, u64)>,
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
            last: Vec::new(),
            closed_intervals: 0,
            damaged: None,
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
            self.writers.gap(previous_end, frame.pts)?;
        }
        let closed = self.intervals.push(verdict, frame.pts, frame.end());
        if let Some(interval) = closed {
            self.closed_intervals += 1;
            self.writers.interval(&interval)?;
        }
        self.writers.frame(&frame, verdict, smoothed)?;
        if frame.damaged {
            self.damaged.get_or_insert((0, frame.pts)).0 += 1;
        }
        let counter = if analysed { &self.progress.analysed } else { &self.progress.held };
        counter.add(1);
        self.progress.position.set(frame.end());
        if let Some(tuner) = &mut self.tuner {
            tuner.frame(frame.pts, analysed.then_some(self.last.as_slice()), verdict, before);
        }
        Ok(())
    }

    /// What was wrong with a clip that was read to its end, if anything.
    pub fn damage(&self, job: &Job, duration: Option<u64>, faults: &Faults) -> Option<Error> {
        let end = self.progress.position.get();
        let failed = |what: String| {
            Error::failed(format!("{}: {what}", job.input.display()))
                .remedy("copy or record it again; the files hold what could be read")
        };
        if let Some((there, whole)) = length::missing(&job.input) {
            return Some(failed(format!("is cut short at {}: {there} of its {whole} bytes are there", seconds(end))));
        }
        if let Some((faults, first)) = faults.found() {
            return Some(failed(format!("is damaged near {}: {faults} parts could not be decoded", seconds(first))));
        }
        if let Some((frames, first)) = self.damaged {
            return Some(failed(format!("is damaged at {}: {frames} pictures are incomplete", seconds(first))));
        }
        duration
            .filter(|&duration| duration > end + MISSING)
            .map(|duration| failed(format!("its pictures end at {} of {}", seconds(end), seconds(duration))))
    }

    /// What `--stride auto` chose last.
    pub fn stride(&self) -> Option<(u64, f64)> {
        self.tuner.as_ref().and_then(Tuner::chosen)
    }

    /// Frames that reached no label, by reason.
    pub fn dropped(&self) -> BTreeMap<String, u64> {
        let labelled = self.progress.analysed.get() + self.progress.held.get();
        let lost = self.progress.decoded.get() - labelled;
        if lost > 0 { BTreeMap::from([("failure".to_string(), lost)]) } else { BTreeMap::new() }
    }

    /// Closes the files. Returns the first failure, the number of intervals, and how the video was written.
    pub fn finish(mut self, balance: &Balance, wall: Duration, complete: bool) -> (Result<()>, u64, Recorded) {
        let last = match self.intervals.finish() {
            Some(interval) => {
                self.closed_intervals += 1;
                self.writers.interval(&interval)
            }
            None => Ok(()),
        };
        let (closed, recorded) = self.writers.finish(balance, wall, complete);
        (last.and(closed), self.closed_intervals, recorded)
    }
}
