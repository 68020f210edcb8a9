//! Calls the sinks of a stream in order, and decides what follows when one fails: a clip stops, since half a result is
//! of no use; the analysis of a camera continues.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::config::inputs::Job;
use crate::error::Result;
use crate::inference::model::Model;
use crate::labels::intervals::Interval;
use crate::labels::labeler::LabelerOutput;
use crate::labels::overlay::{Overlay, OverlayFrame};
use crate::media::frame::{Frame, PooledFrame};
use crate::media::video_format::VideoFormat;
use crate::pipeline::context::StreamContext;
use crate::pipeline::outcome::Outcome;
use crate::pipeline::overlay_renderer::OverlayRenderer;
use crate::pipeline::sinks::segment_files::SegmentRecords;
use crate::pipeline::sinks::sink::{Gap, LabeledFrame, Loss, NewSettings, Rendered, Sink};
use crate::system::clock::SharedClock;

/// Interval at which the last frame is shown again while no frames arrive.
const REPEAT: Duration = Duration::from_secs(1);

/// The sinks of one stream, in call order.
pub struct Sinks<'a> {
    sinks: Vec<Box<dyn Sink + 'a>>,
    stream: String,
    clock: &'a SharedClock,
    /// Whether the stream is a camera, which continues when a sink fails.
    live: bool,
    /// Draws labelled frames in the size of the first frame. If a camera changes its size, frames are scaled to the
    /// first one.
    renderer: Option<(VideoFormat, OverlayRenderer)>,
    overlay: Overlay,
    /// Format of a clip, known before its first frame.
    format: Option<VideoFormat>,
    windowed: bool,
    /// Threads that encode the drawn frames.
    encoders: usize,
    /// Whether the last frame is kept, to show it again while no frames arrive.
    keeps: bool,
    last: Option<Last>,
    /// Segments of the recording that the sinks do not know yet.
    segments: SegmentRecords,
}

struct Last {
    frame: Rc<Frame>,
    /// What is drawn on it; `None` once the camera is lost.
    label: Option<OverlayFrame>,
    shown: Instant,
}

impl<'a> Sinks<'a> {
    pub fn new(
        context: &StreamContext<'a>,
        sinks: Vec<Box<dyn Sink + 'a>>,
        format: Option<VideoFormat>,
        windowed: bool,
        segments: SegmentRecords,
    ) -> Self {
        let live = context.job.live.is_some();
        Self {
            sinks,
            stream: context.job.name.clone(),
            clock: context.clock,
            live,
            renderer: None,
            overlay: overlay(context.job, context.model),
            format,
            windowed,
            encoders: context.encoders,
            keeps: live && (windowed || context.state.is_shown()),
            last: None,
            segments,
        }
    }

    /// Passes a labelled frame to every sink.
    ///
    /// # Errors
    /// Returns, for a clip, the first failure of a sink; for a camera, only an error if the label cannot be drawn.
    pub fn frame(
        &mut self,
        frame: Box<Frame>,
        analysed: bool,
        label: Option<&str>,
        output: LabelerOutput,
    ) -> Result<()> {
        let LabelerOutput { decision, smoothed, warming_up, prediction, open, .. } = output;
        let frame: Rc<Frame> = frame.into();
        let drawn = OverlayFrame { decision, warming_up, pts: frame.pts, end: frame.end() };
        self.overlay.record(&drawn);
        let rendered = self.render(&frame, drawn)?;
        let layout = self.renderer.as_ref().map_or_else(|| frame.format().layout, |(format, _)| format.layout);
        let picture = rendered.as_ref();
        let labeled =
            LabeledFrame { frame: &frame, decision, label, smoothed, prediction, analysed, open, picture, layout };
        self.for_each(|sink| sink.frame(&labeled))?;
        self.last = self.keeps.then(|| Last { frame, label: Some(drawn), shown: self.clock.instant() });
        Ok(())
    }

    /// Passes a closed interval, if any, to every sink.
    ///
    /// # Errors
    /// Those of [`Sinks::frame`].
    pub fn interval(&mut self, closed: Option<&Interval>) -> Result<()> {
        match closed {
            Some(interval) => self.for_each(|sink| sink.interval(interval)),
            None => Ok(()),
        }
    }

    /// Passes a gap to every sink.
    ///
    /// # Errors
    /// Those of [`Sinks::frame`].
    pub fn gap(&mut self, gap: &Gap) -> Result<()> {
        self.for_each(|sink| sink.gap(gap))
    }

    /// Passes the loss of the camera to every sink, and shows the last frame again without its label.
    ///
    /// # Errors
    /// Those of [`Sinks::frame`].
    pub fn lost(&mut self, loss: &Loss) -> Result<()> {
        self.for_each(|sink| sink.lost(loss))?;
        if let Some(last) = &mut self.last {
            last.label = None;
        }
        self.repeat_frame(true)
    }

    /// Passes new settings to every sink.
    ///
    /// # Errors
    /// Those of [`Sinks::frame`].
    pub fn settings(&mut self, settings: &NewSettings) -> Result<()> {
        self.overlay = overlay(settings.job, settings.model);
        self.for_each(|sink| sink.settings(settings))
    }

    /// Called repeatedly while no frames arrive.
    ///
    /// # Errors
    /// Those of [`Sinks::frame`].
    pub fn idle(&mut self) -> Result<()> {
        let idle = self.last.as_ref().map_or(Duration::ZERO, |last| self.clock.since(last.shown));
        let mut wanted = false;
        for sink in &mut self.sinks {
            wanted |= sink.idle(idle);
        }
        self.report_segments()?;
        if wanted && idle >= REPEAT { self.repeat_frame(false) } else { Ok(()) }
    }

    /// Finishes every sink, even after one has failed. The outcome holds the first failure.
    pub fn finish(self, outcome: &mut Outcome) {
        let mut rest = VecDeque::from(self.sinks);
        while let Some(sink) = rest.pop_front() {
            outcome.wall = self.clock.since(outcome.began);
            let finished = sink.finish(outcome);
            // Sinks that are not finished yet get what this one has completed.
            let told = self
                .segments
                .take()
                .iter()
                .try_for_each(|segment| rest.iter_mut().try_for_each(|sink| sink.segment(segment)));
            match finished.and(told) {
                Ok(()) => {}
                Err(error) if self.live => tracing::error!("{error}"),
                Err(error) => {
                    outcome.error.get_or_insert(error);
                }
            }
        }
    }

    fn repeat_frame(&mut self, lost: bool) -> Result<()> {
        let Some(mut last) = self.last.take() else { return Ok(()) };
        last.shown = self.clock.instant();
        if let Some(target) = self.renderer(&last.frame).0.1.acquire() {
            let picture = self.draw(target, &last.frame, last.label.as_ref())?;
            self.for_each(|sink| sink.repeat_frame(&picture, lost))?;
        }
        self.last = Some(last);
        Ok(())
    }

    /// Draws the frame with its label if a sink wants it. The first such sink decides whether to wait for a buffer.
    fn render(&mut self, frame: &Frame, drawn: OverlayFrame) -> Result<Option<Rendered>> {
        let mut first = None;
        for (index, sink) in self.sinks.iter_mut().enumerate() {
            if sink.wants_picture() {
                first.get_or_insert(index);
            }
        }
        let Some(first) = first else { return Ok(None) };
        self.renderer(frame);
        let Some((_, renderer)) = &self.renderer else { return Ok(None) };
        match self.sinks[first].acquire(renderer.pool())? {
            Some(target) => self.draw(target, frame, Some(&drawn)).map(Some),
            None => Ok(None),
        }
    }

    fn draw(&mut self, target: PooledFrame, frame: &Frame, label: Option<&OverlayFrame>) -> Result<Rendered> {
        let ((format, renderer), overlay) = self.renderer(frame);
        let picture = renderer.render(target, frame, overlay, label)?;
        Ok(Rendered { picture, format: format.clone(), pts: frame.pts, duration: frame.duration })
    }

    fn renderer(&mut self, frame: &Frame) -> (&mut (VideoFormat, OverlayRenderer), &mut Overlay) {
        let (format, encoders, windowed) = (&self.format, self.encoders, self.windowed);
        let renderer = self.renderer.get_or_insert_with(|| {
            let format = format.clone().unwrap_or_else(|| frame.format());
            (format.clone(), OverlayRenderer::new(format.layout, encoders, windowed))
        });
        (renderer, &mut self.overlay)
    }

    /// Calls every sink in order, then passes on the segments that have begun or are complete. For a clip, returns the first
    /// failure; for a camera, logs failures and continues.
    fn for_each(&mut self, call: impl FnMut(&mut dyn Sink) -> Result<()>) -> Result<()> {
        self.call(call)?;
        self.report_segments()
    }

    fn report_segments(&mut self) -> Result<()> {
        for segment in self.segments.take() {
            self.call(|sink| sink.segment(&segment))?;
        }
        Ok(())
    }

    fn call(&mut self, mut call: impl FnMut(&mut dyn Sink) -> Result<()>) -> Result<()> {
        for sink in &mut self.sinks {
            match call(sink.as_mut()) {
                Err(error) if self.live => {
                    tracing::error!("{error}; the analysis of {} continues{}", self.stream, sink.failure_note());
                }
                result => result?,
            }
        }
        Ok(())
    }
}

fn overlay(job: &Job, model: &Model) -> Overlay {
    Overlay::new(job.overlay, &model.labels, job.label_config.action(&model.labels))
}
