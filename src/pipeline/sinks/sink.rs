//! The trait of sinks, and the types that are passed to them.

use std::rc::Rc;
use std::time::Duration;

use crate::config::inputs::Job;
use crate::error::Result;
use crate::inference::model::Model;
use crate::labels::decision::Decision;
use crate::labels::intervals::Interval;
use crate::media::frame::{Frame, FramePool, PooledFrame, RenderedFrame};
use crate::media::video_format::FrameLayout;
use crate::media::video_format::VideoFormat;
use crate::pipeline::outcome::{EngineInfo, Outcome};
use crate::report::journal::{Record, SegmentRecord};
use crate::report::{milliseconds, rounded};

/// A labelled frame.
pub struct LabeledFrame<'a> {
    /// Shared, so that a sink can keep it until the next one.
    pub frame: &'a Rc<Frame>,
    pub decision: Decision,
    /// The label that is shown; `None` if none is.
    pub label: Option<&'a str>,
    /// The smoothed probability of every label.
    pub smoothed: &'a [f64],
    /// The probability of every label in the frame's own prediction; in the last one if the frame is held, and
    /// interpolated with adaptive sampling.
    pub prediction: &'a [f32],
    /// Whether the model ran on the frame itself.
    pub analysed: bool,
    /// The interval that the frame belongs to, up to this frame.
    pub open: Option<Interval>,
    /// The frame with its label drawn, if a sink wants it and a buffer was free.
    pub picture: Option<&'a Rendered>,
    /// Width and height of the labelled picture.
    pub layout: FrameLayout,
}

/// A frame with its label drawn.
pub struct Rendered {
    pub picture: RenderedFrame,
    pub format: VideoFormat,
    /// Pts and duration in nanoseconds of the stream.
    pub pts: u64,
    pub duration: u64,
}

impl LabeledFrame<'_> {
    /// Returns the frame's record for the journal of a camera.
    pub fn record(&self) -> Record {
        self.record_with(None)
    }

    /// Returns the frame's record for the journal of a clip, which has the prediction as well.
    pub fn clip_record(&self) -> Record {
        self.record_with(Some(self.prediction.iter().map(|&value| rounded(f64::from(value))).collect()))
    }

    fn record_with(&self, prediction: Option<Vec<f64>>) -> Record {
        Record::Frame {
            ms: milliseconds(self.frame.pts),
            label: self.label.map(Into::into),
            confidence: rounded(self.decision.confidence),
            smoothed: self.smoothed.iter().copied().map(rounded).collect(),
            prediction,
            inferred: !self.analysed,
        }
    }
}

/// A gap that has ended, in nanoseconds of the stream.
pub struct Gap {
    pub start: u64,
    pub end: u64,
    /// For a camera: why.
    pub reason: Option<&'static str>,
}

/// The loss of a camera.
pub struct Loss {
    /// End of its last frame, and when the loss was detected, in nanoseconds of the stream.
    pub since: u64,
    pub at: u64,
    pub reason: &'static str,
}

/// New settings of a camera, from a time of its stream on.
pub struct NewSettings<'a> {
    /// In nanoseconds of the stream.
    pub at: u64,
    pub job: &'a Job,
    /// It has the same labels as the one before.
    pub model: &'a Model,
    pub engine: &'a EngineInfo,
}

/// An output of a stream's labels.
pub trait Sink {
    /// Returns whether the sink needs the next frame's labelled picture.
    fn wants_picture(&mut self) -> bool {
        false
    }

    /// Returns a buffer for that picture; `None` if all are in use and the sink does not wait.
    ///
    /// # Errors
    /// Returns an error if the sink has failed meanwhile.
    fn acquire(&mut self, pool: &FramePool) -> Result<Option<PooledFrame>> {
        Ok(pool.acquire(Duration::ZERO))
    }

    /// Called for each labelled frame.
    ///
    /// # Errors
    /// Returns an error if the sink cannot process it. A sink that recovers by itself returns each failure once.
    fn frame(&mut self, _frame: &LabeledFrame) -> Result<()> {
        Ok(())
    }

    /// Called when an interval has ended.
    ///
    /// # Errors
    /// Those of [`Sink::frame`].
    fn interval(&mut self, _interval: &Interval) -> Result<()> {
        Ok(())
    }

    /// Called when a gap has ended.
    ///
    /// # Errors
    /// Those of [`Sink::frame`].
    fn gap(&mut self, _gap: &Gap) -> Result<()> {
        Ok(())
    }

    /// Called when the camera is lost.
    ///
    /// # Errors
    /// Those of [`Sink::frame`].
    fn lost(&mut self, _loss: &Loss) -> Result<()> {
        Ok(())
    }

    /// Called when a segment of the recording has begun, and again when it is complete.
    ///
    /// # Errors
    /// Those of [`Sink::frame`].
    fn segment(&mut self, _segment: &SegmentRecord) -> Result<()> {
        Ok(())
    }

    /// Called when the settings of a camera's labels, or its model, have changed; the frames that follow have the new ones.
    ///
    /// # Errors
    /// Those of [`Sink::frame`].
    fn settings(&mut self, _settings: &NewSettings) -> Result<()> {
        Ok(())
    }

    /// Called repeatedly while no frames arrive, `idle` after the last frame was shown. Returns whether to show the
    /// last frame again.
    fn idle(&mut self, _idle: Duration) -> bool {
        false
    }

    /// Called with the last frame to show it again; `lost` if the camera was lost, and the label was removed.
    ///
    /// # Errors
    /// Those of [`Sink::frame`].
    fn repeat_frame(&mut self, _picture: &Rendered, _lost: bool) -> Result<()> {
        Ok(())
    }

    /// Returns what a failure means for a camera whose analysis continues, as the end of the log message.
    fn failure_note(&self) -> &'static str {
        ""
    }

    /// Finalises files, and adds results to the outcome.
    ///
    /// # Errors
    /// Returns an error if a file cannot be finalised.
    fn finish(self: Box<Self>, _outcome: &mut Outcome) -> Result<()> {
        Ok(())
    }
}
