//! The sinks of a stream, called in their order. What follows when one fails is decided here for all: a clip stops, as half a
//! result is of no use; a camera is watched on.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::labels::decision::Decision;
use crate::labels::intervals::Interval;
use crate::media::frame::{Frame, PooledFrame};
use crate::media::video_format::VideoFormat;
use crate::pipeline::context::StreamContext;
use crate::pipeline::outcome::Outcome;
use crate::pipeline::overlay_renderer::OverlayRenderer;
use crate::pipeline::sinks::sink::{Gap, LabeledFrame, Loss, Rendered, Sink};

/// How often the last picture is offered again while no other comes.
const REPEAT: Duration = Duration::from_secs(1);

/// The sinks of one stream, in the order in which they are called.
pub struct Sinks<'a> {
    sinks: Vec<Box<dyn Sink + 'a>>,
    stream: String,
    /// Whether the stream goes on where a sink fails.
    live: bool,
    /// What pictures are drawn with. A camera that changes its size is scaled to the first, which files and window were
    /// begun with.
    renderer: Option<(VideoFormat, OverlayRenderer)>,
    /// Of a clip, known before its first frame.
    format: Option<VideoFormat>,
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

impl<'a> Sinks<'a> {
    pub fn new(
        context: &StreamContext<'a>,
        sinks: Vec<Box<dyn Sink + 'a>>,
        format: Option<VideoFormat>,
        windowed: bool,
    ) -> Self {
        let live = context.job.live.is_some();
        Self {
            sinks,
            stream: context.job.name.clone(),
            live,
            renderer: None,
            format,
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
        let layout = self.renderer.as_ref().map_or_else(|| frame.format().layout, |(format, _)| format.layout);
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
        let mut wanted = false;
        for sink in &mut self.sinks {
            wanted |= sink.idle(quiet);
        }
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
        match self.sinks[first].canvas(renderer.pool())? {
            Some(canvas) => self.draw(canvas, frame, label).map(Some),
            None => Ok(None),
        }
    }

    fn draw(&mut self, canvas: PooledFrame, frame: &Frame, label: Option<&str>) -> Result<Rendered> {
        let (format, renderer) = self.renderer(frame);
        let picture = renderer.render(canvas, frame, label)?;
        Ok(Rendered { picture, format: format.clone(), pts: frame.pts, duration: frame.duration })
    }

    fn renderer(&mut self, frame: &Frame) -> &mut (VideoFormat, OverlayRenderer) {
        let (format, windowed) = (&self.format, self.windowed);
        self.renderer.get_or_insert_with(|| {
            let format = format.clone().unwrap_or_else(|| frame.format());
            (format.clone(), OverlayRenderer::new(format.layout, windowed))
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
