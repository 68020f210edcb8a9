//! Pictures for those who watch the page, while nothing is recorded; else they get the recording's own.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::media::encoder::Encoder;
use crate::pipeline::sinks::sink::{LabeledFrame, Rendered, Sink};
use crate::telemetry::StreamState;

/// Time between pictures at least: a clip that is worked off faster than it is long need not be shown whole.
const SPACING: Duration = Duration::from_millis(30);
/// How long after a failure the encoder is started again.
const RETRY: Duration = Duration::from_secs(10);

/// Encodes while somebody watches.
pub struct PreviewSink<'a> {
    state: &'a Arc<StreamState>,
    /// Whether a recording encodes the pictures.
    recorded: Rc<Cell<bool>>,
    encoder: Option<Encoder>,
    last: Option<Instant>,
    failed: Option<Instant>,
}

impl<'a> PreviewSink<'a> {
    pub fn new(state: &'a Arc<StreamState>, recorded: Rc<Cell<bool>>) -> Self {
        Self { state, recorded, encoder: None, last: None, failed: None }
    }

    /// Whether somebody watches, and the encoder has not just failed.
    fn is_wanted(&self) -> bool {
        self.state.wants_picture() && self.failed.is_none_or(|failed| failed.elapsed() >= RETRY)
    }

    /// A failure is logged and tried again later: nobody who only watches ends a run.
    fn show(&mut self, rendered: &Rendered) {
        self.last = Some(Instant::now());
        self.failed = None;
        if let Err(error) = self.encode(rendered) {
            self.failed = Some(Instant::now());
            tracing::error!("{error}; {} is not on the page for {} s", self.state.info.name, RETRY.as_secs());
        }
    }

    fn encode(&mut self, Rendered { picture, format, pts, duration }: &Rendered) -> Result<()> {
        let encoder = match self.encoder.take() {
            Some(encoder) => Ok(encoder),
            None => Encoder::new(format, self.state.taps(0).picture),
        };
        let encoder = encoder?;
        encoder.put(picture, *pts, *duration)?;
        // They have gone to those who watch.
        while encoder.take().is_some() {}
        self.encoder = Some(encoder);
        Ok(())
    }
}

impl Sink for PreviewSink<'_> {
    fn wants_picture(&mut self) -> bool {
        !self.recorded.get() && self.is_wanted() && self.last.is_none_or(|last| last.elapsed() >= SPACING)
    }

    fn frame(&mut self, labeled: &LabeledFrame) -> Result<()> {
        if let Some(picture) = labeled.picture.filter(|_| self.wants_picture()) {
            self.show(picture);
        }
        Ok(())
    }

    /// Who opens the page while no picture comes shall see the last one.
    fn idle(&mut self, _quiet: Duration) -> bool {
        self.is_wanted()
    }

    fn still(&mut self, picture: &Rendered, _lost: bool) -> Result<()> {
        if self.is_wanted() {
            self.show(picture);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::frame::FramePool;
    use crate::media::video_format::{Layout, VideoFormat};
    use crate::telemetry::StreamInfo;

    fn rendered(width: usize) -> Rendered {
        let layout = Layout { width, height: 16 };
        let format = VideoFormat { layout, frame_rate: None, pixel_aspect: (1, 1), duration: None, decoder: None };
        let picture = FramePool::new(layout, 1).canvas(Duration::ZERO).unwrap().finish();
        Rendered { picture, format, pts: 0, duration: 0 }
    }

    #[test]
    fn after_a_failure_the_encoder_is_started_again() {
        crate::media::init().unwrap();
        let info = StreamInfo {
            name: "door".into(),
            input: "test://".into(),
            live: true,
            labels: vec!["other".into()],
            threshold: 0.0,
            action: None,
        };
        let state = Arc::new(StreamState::new(info, true));
        let viewer = state.pictures.watch();
        let mut sink = PreviewSink::new(&state, Rc::default());
        assert!(sink.wants_picture());

        // No encoder takes a frame of this width.
        sink.show(&rendered(0));
        assert!(sink.failed.is_some() && !sink.is_wanted() && !sink.wants_picture());

        sink.failed = sink.failed.and_then(|failed| failed.checked_sub(RETRY));
        assert!(sink.is_wanted());
        sink.show(&rendered(32));
        assert!(sink.failed.is_none() && sink.is_wanted());
        // Dropping the encoder waits until it has encoded what it was given.
        drop(sink);
        assert!(viewer.borrow().is_some());
    }
}
