//! Collects what the overview shows of a clip: its intervals, and a thumbnail of the best ones.

use crate::error::Result;
use crate::labels::intervals::Interval;
use crate::picture::file;
use crate::pipeline::context::StreamContext;
use crate::pipeline::outcome::Outcome;
use crate::pipeline::overview::OverviewClip;
use crate::pipeline::sinks::sink::{LabeledFrame, Sink};
use crate::report::journal::IntervalRecord;
use crate::report::milliseconds;
use crate::report::overview::{Clip, THUMBNAIL, Thumbnail};

/// How much more confident a frame must be to replace the thumbnail of its interval: so at most twenty pictures of an interval
/// are made, however long it is.
const STEP: f64 = 0.05;

pub struct OverviewSink<'a> {
    overview: &'a OverviewClip<'a>,
    clip: Clip,
    /// Of the open interval.
    thumbnail: Option<Thumbnail>,
    /// Number of thumbnails that the clip may have.
    most: usize,
}

impl<'a> OverviewSink<'a> {
    /// Returns `None` if the run has no overview.
    pub fn new(context: &StreamContext<'a>) -> Option<Self> {
        let overview = context.overview?;
        let (clip, most) = (Clip::new(overview.labels()), overview.thumbnails());
        Some(Self { overview, clip, thumbnail: None, most })
    }
}

impl Sink for OverviewSink<'_> {
    fn frame(&mut self, labeled: &LabeledFrame) -> Result<()> {
        self.clip.duration = milliseconds(labeled.frame.end());
        let (label, confidence) = (labeled.decision.label, labeled.decision.confidence);
        if !labeled.decision.shown {
            return Ok(());
        }
        let best = self.thumbnail.as_ref().map_or(f64::NEG_INFINITY, |thumbnail| thumbnail.confidence + STEP);
        let least = self.clip.least_confidence(label, self.most);
        if confidence > best && least.is_some_and(|least| confidence > least) {
            let jpeg = file::thumbnail(&labeled.frame.picture(), THUMBNAIL)?;
            let ms = milliseconds(labeled.frame.pts);
            self.thumbnail = Some(Thumbnail { label, ms, confidence, jpeg });
        }
        Ok(())
    }

    fn interval(&mut self, interval: &Interval) -> Result<()> {
        self.clip.add(&IntervalRecord::of(interval, self.overview.labels()));
        if let Some(thumbnail) = self.thumbnail.take() {
            self.clip.add_thumbnail(thumbnail, self.most);
        }
        Ok(())
    }

    fn finish(self: Box<Self>, _outcome: &mut Outcome) -> Result<()> {
        self.overview.hand_over(self.clip);
        Ok(())
    }
}
