//! Everything that a stream's labels go to: files, window, page, events.
//!
//! A sink is a file of this folder and a line in [`clip`] or [`camera`]. They are called in that order. What follows when
//! one fails is decided in [`Sinks::tell`] alone: a clip stops, as half a result is of no use; a camera is watched on.

mod events;
mod journal;
mod open_files;
mod preview;
mod retention;
mod segments;
mod status;
mod summary;
mod timeline;
mod video;
mod window;

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::cameras::Live;
use crate::error::Result;
use crate::labels::decision::Decision;
use crate::labels::intervals::Interval;
use crate::media::frame::{Canvas, Drawn, Easel, Frame, Layout};
use crate::media::source::Facts;
use crate::pipeline::overlay_renderer::OverlayRenderer;
use crate::pipeline::{Outcome, StreamContext};
use crate::report::journal::Record;
use crate::report::{milliseconds, rounded};

/// How often the last picture is offered again while no other comes.
const REPEAT: Duration = Duration::from_secs(1);

/// A labelled frame on its way to the sinks.
pub struct LabeledFrame<'a> {
    pub frame: &'a Frame,
    pub decision: Decision,
    /// The label that is shown; `None` for "computing...".
    pub label: Option<&'a str>,
    /// The smoothed probability of every class.
    pub smoothed: &'a [f64],
    /// The interval that the frame belongs to, as far as it goes.
    pub open: Option<Interval>,
    /// With the label drawn, where a sink has asked for it and memory for it was free.
    pub picture: Option<&'a Rendered>,
    /// Width and height of the labelled picture.
    pub layout: Layout,
}

/// A picture with its label drawn.
pub struct Rendered {
    pub picture: Drawn,
    pub facts: Facts,
    /// In nanoseconds of the stream.
    pub pts: u64,
    pub duration: u64,
}

impl LabeledFrame<'_> {
    /// The frame as files tell it.
    fn record(&self) -> Record {
        Record::Frame {
            ms: milliseconds(self.frame.pts),
            label: self.label.map(Into::into),
            confidence: rounded(self.decision.confidence),
            smoothed: self.smoothed.iter().copied().map(rounded).collect(),
        }
    }
}

/// A stretch without frames, now that it is over, in nanoseconds of the stream.
pub struct Gap {
    pub start: u64,
    pub end: u64,
    /// Of a camera: why.
    pub reason: Option<&'static str>,
}

/// A camera sends no more.
pub struct Loss {
    /// End of its last frame, and when the loss was noticed, in nanoseconds of the stream.
    pub since: u64,
    pub at: u64,
    pub reason: &'static str,
}

/// A place that a stream's labels go to.
pub trait Sink {
    /// Whether it wants the next frame's picture.
    fn wants_picture(&mut self) -> bool {
        false
    }

    /// Memory for that picture; `None` where all is in use and the sink does not wait for it.
    ///
    /// # Errors
    /// Where the sink has failed meanwhile.
    fn canvas(&mut self, easel: &Easel) -> Result<Option<Canvas>> {
        Ok(easel.canvas(Duration::ZERO))
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// What keeps the sink from taking it. A sink that goes on by itself later returns each failure once.
    fn frame(&mut self, _frame: &LabeledFrame) -> Result<()> {
        Ok(())
    }

    /// Takes an interval that has ended.
    ///
    /// # Errors
    /// Those of [`Sink::frame`].
    fn interval(&mut self, _interval: &Interval) -> Result<()> {
        Ok(())
    }

    /// Takes a stretch without frames.
    ///
    /// # Errors
    /// Those of [`Sink::frame`].
    fn gap(&mut self, _gap: &Gap) -> Result<()> {
        Ok(())
    }

    /// Hears that the camera is gone.
    ///
    /// # Errors
    /// Those of [`Sink::frame`].
    fn lost(&mut self, _loss: &Loss) -> Result<()> {
        Ok(())
    }

    /// Called now and then while no frame comes. Returns whether the last picture shall be shown again, as long ago as it
    /// was: after `quiet` without one.
    fn idle(&mut self, _quiet: Duration) -> bool {
        false
    }

    /// Shows the last picture again, without its label where the camera is gone.
    ///
    /// # Errors
    /// Those of [`Sink::frame`].
    fn still(&mut self, _picture: &Rendered, _lost: bool) -> Result<()> {
        Ok(())
    }

    /// What a failure means for a camera that is watched on, to be written behind it.
    fn consequence(&self) -> &'static str {
        ""
    }

    /// Completes what was begun, and adds to the outcome what became of it.
    ///
    /// # Errors
    /// Where a file could not be completed.
    fn finish(self: Box<Self>, _outcome: &mut Outcome) -> Result<()> {
        Ok(())
    }
}

/// The sinks of one stream, in the order in which they are called.
pub struct Sinks<'a> {
    sinks: Vec<Box<dyn Sink + 'a>>,
    stream: String,
    /// Whether the stream goes on where a sink fails.
    live: bool,
    /// What pictures are drawn with. A camera that changes its size is scaled to the first, which files and window were
    /// begun with.
    renderer: Option<(Facts, OverlayRenderer)>,
    /// Of a clip, known before its first frame.
    facts: Option<Facts>,
    windowed: bool,
    /// Whether the last frame is kept, to be shown while no other comes.
    keeps: bool,
    last: Option<Last>,
}

struct Last {
    frame: Box<Frame>,
    label: Option<String>,
    shown: Instant,
}

/// The sinks of a clip.
///
/// # Errors
/// Where a file cannot be created. Those that were created are gone again.
pub fn clip<'a>(context: &StreamContext<'a>, facts: &Facts) -> Result<Sinks<'a>> {
    let encodes = Rc::new(Cell::new(context.job.outputs.video.is_some()));
    let folder = context.job.outputs.journal.parent().unwrap_or(Path::new(""));
    let timeline = timeline::TimelineSink::create(context, facts)?;
    let video = match video::VideoSink::create(context, facts) {
        Ok(video) => video,
        Err(error) => {
            timeline.discard();
            return Err(error);
        }
    };
    let window = match window::open(context, context.job.outputs.files().next().is_some(), folder, true) {
        Ok(window) => window,
        Err(error) => {
            timeline.discard();
            video.map(video::VideoSink::discard);
            return Err(error);
        }
    };
    let windowed = window.is_some();
    let mut sinks: Vec<Box<dyn Sink + 'a>> = Vec::new();
    add(&mut sinks, events::EventEmitter::new(context));
    add(&mut sinks, video);
    add(&mut sinks, window);
    add(&mut sinks, Some(preview::PreviewSink::new(context.state, encodes)));
    add(&mut sinks, Some(timeline));
    add(&mut sinks, Some(status::StatusSink::new(context, Instant::now())));
    Ok(Sinks::new(context, sinks, Some(facts.clone()), windowed))
}

/// The sinks of a camera whose time began at `began`.
///
/// # Errors
/// Usage, where the folder cannot be written to, or the one video file is there already.
pub fn camera<'a>(context: &StreamContext<'a>, live: &Live, began: Instant) -> Result<Sinks<'a>> {
    let record = &live.record;
    let encodes = Rc::new(Cell::new(false));
    let open = open_files::OpenFiles::default();
    // Looks at the folder before this run has written anything.
    let retention = retention::RetentionSink::new(record, &open);
    let journal = journal::JournalSink::create(context, record, began, &open)?;
    let summary = summary::SummarySink::new(context, journal.summary_path());
    let recorded = record.file.is_some() || record.segment.is_some();
    let segments = recorded.then(|| segments::SegmentsSink::new(record, context.state, &open, Rc::clone(&encodes)));
    let window = window::open(context, recorded, &record.folder, false)?;
    let windowed = window.is_some();
    let mut sinks: Vec<Box<dyn Sink + 'a>> = Vec::new();
    add(&mut sinks, events::EventEmitter::new(context));
    add(&mut sinks, segments);
    add(&mut sinks, window);
    add(&mut sinks, Some(preview::PreviewSink::new(context.state, encodes)));
    add(&mut sinks, Some(journal));
    add(&mut sinks, retention);
    add(&mut sinks, Some(status::StatusSink::new(context, began)));
    add(&mut sinks, Some(summary));
    Ok(Sinks::new(context, sinks, None, windowed))
}

fn add<'a, S: Sink + 'a>(sinks: &mut Vec<Box<dyn Sink + 'a>>, sink: Option<S>) {
    if let Some(sink) = sink {
        sinks.push(Box::new(sink));
    }
}

impl<'a> Sinks<'a> {
    fn new(context: &StreamContext<'a>, sinks: Vec<Box<dyn Sink + 'a>>, facts: Option<Facts>, windowed: bool) -> Self {
        let live = context.job.live.is_some();
        Self {
            sinks,
            stream: context.job.name.clone(),
            live,
            renderer: None,
            facts,
            windowed,
            keeps: live && (windowed || context.state.is_shown()),
            last: None,
        }
    }

    /// Hands a labelled frame to every sink.
    ///
    /// # Errors
    /// Of a clip, the first failure of a sink; of a camera, where the label cannot be drawn.
    pub fn frame(
        &mut self,
        frame: Box<Frame>,
        decision: Decision,
        label: Option<&str>,
        smoothed: &[f64],
        open: Option<Interval>,
    ) -> Result<()> {
        let rendered = self.render(&frame, label)?;
        let layout = self.renderer.as_ref().map_or_else(|| frame.facts().layout, |(facts, _)| facts.layout);
        let labeled =
            LabeledFrame { frame: &frame, decision, label, smoothed, open, picture: rendered.as_ref(), layout };
        self.tell(|sink| sink.frame(&labeled))?;
        self.last = self.keeps.then(|| Last { frame, label: label.map(Into::into), shown: Instant::now() });
        Ok(())
    }

    /// # Errors
    /// Those of [`Sinks::frame`].
    pub fn interval(&mut self, closed: Option<&Interval>) -> Result<()> {
        match closed {
            Some(interval) => self.tell(|sink| sink.interval(interval)),
            None => Ok(()),
        }
    }

    /// # Errors
    /// Those of [`Sinks::frame`].
    pub fn gap(&mut self, gap: &Gap) -> Result<()> {
        self.tell(|sink| sink.gap(gap))
    }

    /// # Errors
    /// Those of [`Sinks::frame`].
    pub fn lost(&mut self, loss: &Loss) -> Result<()> {
        self.tell(|sink| sink.lost(loss))?;
        if let Some(last) = &mut self.last {
            last.label = None;
        }
        self.still(true)
    }

    /// Called while no frame comes.
    ///
    /// # Errors
    /// Those of [`Sinks::frame`].
    pub fn idle(&mut self) -> Result<()> {
        let quiet = self.last.as_ref().map_or(Duration::ZERO, |last| last.shown.elapsed());
        let wanted = self.sinks.iter_mut().fold(false, |wanted, sink| sink.idle(quiet) || wanted);
        if wanted && quiet >= REPEAT { self.still(false) } else { Ok(()) }
    }

    /// Closes every sink, those after a failing one too; the outcome takes the first failure.
    pub fn finish(self, outcome: &mut Outcome) {
        for sink in self.sinks {
            match sink.finish(outcome) {
                Ok(()) => {}
                Err(error) if self.live => tracing::error!("{error}"),
                Err(error) => {
                    outcome.error.get_or_insert(error);
                }
            }
        }
    }

    fn still(&mut self, lost: bool) -> Result<()> {
        let Some(mut last) = self.last.take() else { return Ok(()) };
        last.shown = Instant::now();
        if let Some(canvas) = self.renderer(&last.frame).1.canvas() {
            let picture = self.draw(canvas, &last.frame, last.label.as_deref())?;
            self.tell(|sink| sink.still(&picture, lost))?;
        }
        self.last = Some(last);
        Ok(())
    }

    /// The frame with its label drawn, where a sink wants it. The first that does says whether to wait for memory.
    fn render(&mut self, frame: &Frame, label: Option<&str>) -> Result<Option<Rendered>> {
        let mut first = None;
        for (number, sink) in self.sinks.iter_mut().enumerate() {
            if sink.wants_picture() {
                first.get_or_insert(number);
            }
        }
        let Some(first) = first else { return Ok(None) };
        self.renderer(frame);
        let Some((_, renderer)) = &self.renderer else { return Ok(None) };
        match self.sinks[first].canvas(renderer.easel())? {
            Some(canvas) => self.draw(canvas, frame, label).map(Some),
            None => Ok(None),
        }
    }

    fn draw(&mut self, canvas: Canvas, frame: &Frame, label: Option<&str>) -> Result<Rendered> {
        let (facts, renderer) = self.renderer(frame);
        let picture = renderer.render(canvas, frame, label)?;
        Ok(Rendered { picture, facts: facts.clone(), pts: frame.pts, duration: frame.duration })
    }

    fn renderer(&mut self, frame: &Frame) -> &mut (Facts, OverlayRenderer) {
        let (facts, windowed) = (&self.facts, self.windowed);
        self.renderer.get_or_insert_with(|| {
            let facts = facts.clone().unwrap_or_else(|| frame.facts());
            (facts.clone(), OverlayRenderer::new(facts.layout, windowed))
        })
    }

    /// Calls every sink in its order. A clip stops at the first that fails; a camera is watched on, and the failure is
    /// written to the log.
    fn tell(&mut self, mut call: impl FnMut(&mut dyn Sink) -> Result<()>) -> Result<()> {
        for sink in &mut self.sinks {
            match call(sink.as_mut()) {
                Err(error) if self.live => {
                    tracing::error!("{error}; {} is watched on{}", self.stream, sink.consequence());
                }
                told => told?,
            }
        }
        Ok(())
    }
}
