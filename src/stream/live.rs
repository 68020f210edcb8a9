//! One camera, from the program's start to its end.
//!
//! Two threads as for a file: `prepare` takes frames and asks the engine, `present` labels and writes. What differs: a
//! live stream drops what it cannot take, clears its memory after a gap, and goes on whatever happens to its files.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::board::status::{Delays, Latency, Meter};
use crate::board::{Post, Progress};
use crate::cameras::Live;
use crate::error::{Error, Result};
use crate::events::teller::Teller;
use crate::inference::engine::{Client, Reply};
use crate::inference::preprocess::Preprocessor;
use crate::labels::intervals::Intervals;
use crate::labels::smoothing::Smoothing;
use crate::labels::stride::Stride;
use crate::labels::verdict::Judge;
use crate::media::frame::Frame;
use crate::media::live::{CAPACITY, Event, LiveSource};
use crate::media::supervisor::Reason;
use crate::report::diary::Summary;
use crate::report::milliseconds;
use crate::stream::keeping::Keeping;
use crate::stream::throttle::{Lateness, Throttle};
use crate::stream::{Context, Shutdown};

/// Frames that wait for their answers. Few, as each is a frame's delay.
const PENDING: usize = 4;
const POLL: Duration = Duration::from_millis(50);

/// What goes from one thread to the other.
enum Message {
    Frame { frame: Box<Frame>, reply: Option<Reply> },
    Lost(Reason),
}

/// How a live run ended.
pub struct Ended {
    pub summary: Summary<Latency>,
    /// Set where it could not go on.
    pub error: Option<Error>,
}

/// Watches one camera until the user stops the run.
///
/// # Errors
/// Where nothing could be started: the timeline cannot be written.
pub fn run(context: &Context, live: &Live) -> Result<Ended> {
    let Context { job, labelling, model, engine, progress, shutdown, .. } = context;
    let began = Instant::now();
    context.post.begin(began);
    let keeping = Keeping::create(context, live)?;
    let seed = job.name.bytes().fold(u64::from(std::process::id()), |seed, byte| seed * 31 + u64::from(byte));
    let lateness = Lateness::new();
    let (throttle, stride) = match labelling.stride {
        Stride::Every(stride) => (None, stride),
        Stride::Auto => {
            let throttle = Throttle::new(&lateness, engine.live());
            let stride = throttle.stride();
            (Some(throttle), stride)
        }
    };
    let preparer = Preparer {
        name: &job.name,
        source: LiveSource::new(live.camera.clone(), job.limits, progress.ledger.clone(), began, seed),
        client: engine.client()?,
        preprocessor: Preprocessor::new(&model.input),
        throttle,
        stride,
        held: u64::MAX,
        told: None,
        lost: None,
        began,
        progress,
        shutdown,
    };
    let action = labelling.action.as_ref().and_then(|action| model.labels.iter().position(|label| label == action));
    let threshold = labelling.threshold.unwrap_or(model.threshold);
    let mut presenter = Presenter {
        keeping,
        teller: Teller::new(context.announcer, &context.post.subject, Some(began)),
        began,
        labels: &model.labels,
        window: labelling.window.unwrap_or(model.window),
        smoothing: Smoothing::new(labelling.window.unwrap_or(model.window), model.labels.len()),
        rule: Judge::new(action, threshold, labelling.hysteresis),
        judge: Judge::new(action, threshold, labelling.hysteresis),
        intervals: Intervals::default(),
        last: Vec::new(),
        position: None,
        lost: None,
        lateness: &lateness,
        delays: Delays::default(),
        meter: Meter::new(began),
        post: context.post,
        progress,
    };
    let (sender, messages) = bounded(PENDING);
    let (presented, prepared) = std::thread::scope(|scope| {
        let prepare = std::thread::Builder::new()
            .name("prepare".into())
            .spawn_scoped(scope, move || preparer.run(&sender))
            .map_err(|cause| Error::unavailable("a thread cannot be started").because(cause));
        // With the receiver gone the other thread ends too, so this order cannot hang.
        let presented = presenter.run(messages);
        let prepared = match prepare {
            Ok(thread) => thread.join().unwrap_or_else(|_| Err(Error::internal("a thread panicked"))),
            Err(error) => Err(error),
        };
        (presented, prepared)
    });
    let counts = progress.ledger.close();
    let Presenter { keeping, delays, mut intervals, mut teller, .. } = presenter;
    let last = intervals.finish();
    teller.end(last.as_ref());
    let status = progress.status();
    let summary = keeping.finish(last, counts, &status, delays.latency(), began.elapsed());
    Ok(Ended { summary, error: presented.and(prepared).err() })
}

/// What the first thread works with.
struct Preparer<'a> {
    name: &'a str,
    source: LiveSource,
    client: Client,
    preprocessor: Preprocessor,
    throttle: Option<Throttle<'a>>,
    stride: u64,
    /// Frames since the last one that was analysed.
    held: u64,
    /// Why the camera was lost, as last told; an outage of a week is told once.
    told: Option<Reason>,
    /// What it was lost for last.
    lost: Option<Reason>,
    began: Instant,
    progress: &'a Progress,
    shutdown: &'a Shutdown,
}

impl Preparer<'_> {
    fn run(mut self, messages: &Sender<Message>) -> Result<()> {
        while !self.shutdown.requested() {
            let event = self.source.next(POLL)?;
            self.tell();
            let message = match event {
                None => continue,
                Some(Event::Lost(reason)) => {
                    self.lost(reason);
                    Message::Lost(reason)
                }
                Some(Event::Frame(frame)) => {
                    if self.told.take().is_some() {
                        tracing::info!("{}: the camera is back", self.name);
                    }
                    let reply = if self.analyses() { Some(self.ask(&frame)?) } else { None };
                    Message::Frame { frame, reply }
                }
            };
            if messages.send(message).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Whether the frame that has just been taken goes through the network.
    fn analyses(&mut self) -> bool {
        if let Some(throttle) = &mut self.throttle {
            let dropped = self.progress.ledger.counts().lost();
            self.stride = throttle.look(self.began.elapsed(), self.source.waiting(), CAPACITY, dropped);
        }
        self.held = self.held.saturating_add(1);
        let analyses = self.held >= self.stride;
        if analyses {
            self.held = 0;
        }
        analyses
    }

    fn ask(&mut self, frame: &Frame) -> Result<Reply> {
        let mut tensor = self.client.tensor();
        self.preprocessor.prepare(&frame.picture(), &mut tensor)?;
        self.client.submit(tensor, true)
    }

    fn lost(&mut self, reason: Reason) {
        self.lost = Some(reason);
        self.progress.status_mut().reason = Some(reason.name().into());
        // After a gap the first frame is analysed, as there is nothing to hold.
        self.held = u64::MAX;
        if self.told != Some(reason) {
            self.told = Some(reason);
            let (name, why) = (self.name, reason.name());
            tracing::warn!("{name}: no camera ({why}); {}; it is called again until it answers", reason.remedy());
        }
    }

    fn tell(&self) {
        let mut status = self.progress.status_mut();
        status.enter(self.source.state().into());
        let reconnects = self.source.reconnects();
        if let Some(reason) = self.lost.filter(|_| reconnects > status.reconnects) {
            *status.reconnects_by.entry(reason.name()).or_default() += reconnects - status.reconnects;
        }
        status.reconnects = reconnects;
        status.waiting = self.source.waiting();
        status.stalls = self.source.stalls();
        status.stride = self.stride;
    }
}

/// What the second thread works with.
struct Presenter<'a> {
    keeping: Keeping,
    teller: Teller<'a>,
    began: Instant,
    labels: &'a [String],
    window: usize,
    smoothing: Smoothing,
    /// The rule as it is at the start, and as it goes.
    rule: Judge,
    judge: Judge,
    intervals: Intervals,
    last: Vec<f32>,
    /// Epoch and end of the last frame.
    position: Option<(u64, u64)>,
    lost: Option<Reason>,
    /// From arrival to the last output: of the whole run, and of the last seconds.
    delays: Delays,
    lateness: &'a Lateness,
    meter: Meter,
    post: &'a Post,
    progress: &'a Progress,
}

impl Presenter<'_> {
    fn run(&mut self, messages: Receiver<Message>) -> Result<()> {
        loop {
            match messages.recv_timeout(POLL) {
                Ok(Message::Frame { frame, reply }) => self.present(frame, reply)?,
                Ok(Message::Lost(reason)) => self.forget(reason)?,
                Err(RecvTimeoutError::Timeout) => self.keeping.attend()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn present(&mut self, frame: Box<Frame>, reply: Option<Reply>) -> Result<()> {
        let analysed = reply.is_some();
        if let Some((epoch, end)) = self.position
            && epoch != frame.epoch
        {
            if self.lost.is_none() {
                self.clear()?;
            }
            let reason = self.lost.take().map(Reason::name);
            self.keeping.gap(end, frame.pts, reason);
            self.post.gap(end, frame.pts, reason);
        }
        self.lost = None;
        if let Some(reply) = reply {
            self.last = reply.wait()?;
        }
        if self.last.is_empty() {
            // A frame of a new connection that was overtaken by the loss of the one before it.
            self.progress.ledger.labelled(analysed);
            return Ok(());
        }
        let smoothed = self.smoothing.push(&self.last);
        let verdict = self.judge.judge(smoothed);
        let label = verdict.shown.then(|| self.labels[verdict.class].clone());
        let closed = self.intervals.push(verdict, frame.pts, frame.end());
        self.teller.frame(closed.as_ref(), verdict, frame.pts);
        self.post.interval(closed.as_ref());
        self.post.frame(frame.pts, verdict, smoothed, self.intervals.open());
        self.keeping.interval(closed, self.labels);
        self.position = Some((frame.epoch, frame.end()));
        self.progress.position.set(frame.end());
        let arrival = frame.arrival;
        self.keeping.frame(frame, label.as_deref(), verdict, smoothed)?;
        self.progress.ledger.labelled(analysed);
        self.measure(arrival, analysed, label, verdict.confidence);
        Ok(())
    }

    fn forget(&mut self, reason: Reason) -> Result<()> {
        let at = self.began.elapsed().as_nanos() as u64;
        if let (None, Some((_, end))) = (self.lost, self.position) {
            self.clear()?;
            self.post.lost(end, reason.name());
            self.keeping.lost(milliseconds(at), reason.name())?;
        }
        self.teller.lost(at, reason.name());
        self.lost = Some(reason);
        let mut status = self.progress.status_mut();
        (status.label, status.confidence, status.rate) = (None, 0.0, 0.0);
        Ok(())
    }

    /// Nothing was seen for a while, so nothing is claimed.
    fn clear(&mut self) -> Result<()> {
        let closed = self.intervals.finish();
        self.teller.end(closed.as_ref());
        self.post.interval(closed.as_ref());
        self.keeping.interval(closed, self.labels);
        self.smoothing = Smoothing::new(self.window, self.labels.len());
        self.judge = self.rule.clone();
        self.last.clear();
        Ok(())
    }

    fn measure(&mut self, arrival: Instant, analysed: bool, label: Option<String>, confidence: f64) {
        let delay = arrival.elapsed();
        self.delays.add(delay);
        self.lateness.add(delay, analysed);
        self.post.took(delay);
        let told = self.meter.add(delay);
        let mut status = self.progress.status_mut();
        (status.label, status.confidence, status.gaps) = (label, confidence, self.keeping.gaps());
        if let Some((rate, latency)) = told {
            (status.rate, status.latency) = (rate, latency);
        }
    }
}

/// Milliseconds of the stream's time now.
pub(super) fn now_ms(began: Instant) -> f64 {
    milliseconds(began.elapsed().as_nanos() as u64)
}
