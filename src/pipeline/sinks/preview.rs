//! Pictures for viewers of the page while nothing is recorded. While recording, viewers get the recording's pictures.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::media::encoder::Encoder;
use crate::pipeline::sinks::sink::{LabeledFrame, Rendered, Sink};
use crate::system::clock::SharedClock;
use crate::telemetry::StreamState;

/// Minimum time between pictures: a clip that is analysed faster than real time need not be shown completely.
const SPACING: Duration = Duration::from_millis(30);
/// Time from a failure to the next attempt to encode.
const RETRY: Duration = Duration::from_secs(10);

/// Encodes pictures while there are viewers.
pub struct PreviewSink<'a> {
    state: &'a Arc<StreamState>,
    clock: &'a SharedClock,
    /// Whether a recording encodes the pictures already.
    recorded: Rc<Cell<bool>>,
    encoder: Option<Encoder>,
    last: Option<Instant>,
    failed: Option<Instant>,
}

impl<'a> PreviewSink<'a> {
    pub fn new(state: &'a Arc<StreamState>, recorded: Rc<Cell<bool>>, clock: &'a SharedClock) -> Self {
        Self { state, clock, recorded, encoder: None, last: None, failed: None }
    }

    /// Returns whether there is a viewer, and the encoder has not failed recently.
    fn is_wanted(&self) -> bool {
        self.state.wants_picture() && self.failed.is_none_or(|failed| self.clock.since(failed) >= RETRY)
    }

    /// Encodes a picture. A failure is logged and retried later: a viewer must not end a run.
    fn show(&mut self, rendered: &Rendered) {
        self.last = Some(self.clock.instant());
        self.failed = None;
        if let Err(error) = self.encode(rendered) {
            self.failed = Some(self.clock.instant());
            tracing::error!("{error}; the page does not show {} for {} s", self.state.info.name, RETRY.as_secs());
        }
    }

    fn encode(&mut self, Rendered { picture, format, pts, duration }: &Rendered) -> Result<()> {
        let encoder = match self.encoder.take() {
            Some(encoder) => Ok(encoder),
            None => Encoder::new(format, self.state.taps(0).picture),
        };
        let encoder = encoder?;
        encoder.put(picture, *pts, *duration)?;
        // The tap has passed these pictures to the viewers already.
        while encoder.take().is_some() {}
        self.encoder = Some(encoder);
        Ok(())
    }
}

impl Sink for PreviewSink<'_> {
    fn wants_picture(&mut self) -> bool {
        !self.recorded.get() && self.is_wanted() && self.last.is_none_or(|last| self.clock.since(last) >= SPACING)
    }

    fn frame(&mut self, labeled: &LabeledFrame) -> Result<()> {
        if let Some(picture) = labeled.picture.filter(|_| self.wants_picture()) {
            self.show(picture);
        }
        Ok(())
    }

    /// A viewer that opens the page while no frames arrive gets the last picture.
    fn idle(&mut self, _idle: Duration) -> bool {
        self.is_wanted()
    }

    fn repeat_frame(&mut self, picture: &Rendered, _lost: bool) -> Result<()> {
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
    use crate::media::video_format::{FrameLayout, VideoFormat};
    use crate::system::clock::SystemClock;
    use crate::telemetry::{LabelSettings, StreamInfo};

    fn rendered() -> Rendered {
        let layout = FrameLayout { width: 32, height: 16 };
        let format = VideoFormat { layout, frame_rate: None, pixel_aspect: (1, 1), duration: None, decoder: None };
        let picture = FramePool::new(layout, 1).acquire(Duration::ZERO).unwrap().finish();
        Rendered { picture, format, pts: 0, duration: 0 }
    }

    #[test]
    fn after_a_failure_the_encoder_is_started_again() {
        crate::media::init().unwrap();
        let info =
            StreamInfo { name: "door".into(), input: "test://".into(), live: true, labels: vec!["other".into()] };
        let clock = SystemClock::shared();
        let state = Arc::new(StreamState::new(info, LabelSettings::default(), true, &clock));
        let viewer = state.pictures.subscribe();
        let mut sink = PreviewSink::new(&state, Rc::default(), &clock);
        assert!(sink.wants_picture());

        sink.failed = Some(Instant::now());
        assert!(!sink.is_wanted() && !sink.wants_picture());

        sink.failed = sink.failed.and_then(|failed| failed.checked_sub(RETRY));
        assert!(sink.is_wanted());
        sink.show(&rendered());
        assert!(sink.failed.is_none() && sink.is_wanted());
        // The encoder works on a thread of its own.
        while viewer.borrow().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
