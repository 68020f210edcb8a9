//! What a sink is, and what it is handed.

use std::time::Duration;

use crate::error::Result;
use crate::labels::decision::Decision;
use crate::labels::intervals::Interval;
use crate::media::frame::{Frame, FramePool, PooledFrame, RenderedFrame};
use crate::media::video_format::Layout;
use crate::media::video_format::VideoFormat;
use crate::pipeline::outcome::Outcome;
use crate::report::journal::Record;
use crate::report::{milliseconds, rounded};

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
    pub picture: RenderedFrame,
    pub format: VideoFormat,
    /// In nanoseconds of the stream.
    pub pts: u64,
    pub duration: u64,
}

impl LabeledFrame<'_> {
    /// The frame as files tell it.
    pub fn record(&self) -> Record {
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
    fn canvas(&mut self, pool: &FramePool) -> Result<Option<PooledFrame>> {
        Ok(pool.canvas(Duration::ZERO))
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
