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

    fn show(&mut self, Rendered { picture, format, pts, duration }: &Rendered) -> Result<()> {
        self.last = Some(Instant::now());
        let encoder = match self.encoder.take() {
            Some(encoder) => Ok(encoder),
            None => Encoder::new(format, self.state.taps(0).picture),
        };
        let put = encoder.and_then(|encoder| {
            encoder.put(picture, *pts, *duration)?;
            // They have gone to those who watch.
            while encoder.take().is_some() {}
            Ok(encoder)
        });
        let encoder = put.inspect_err(|_| self.failed = Some(Instant::now()))?;
        (self.encoder, self.failed) = (Some(encoder), None);
        Ok(())
    }
}

impl Sink for PreviewSink<'_> {
    fn wants_picture(&mut self) -> bool {
        !self.recorded.get()
            && self.state.wants_picture()
            && self.last.is_none_or(|last| last.elapsed() >= SPACING)
            && self.failed.is_none_or(|failed| failed.elapsed() >= RETRY)
    }

    fn frame(&mut self, labeled: &LabeledFrame) -> Result<()> {
        match labeled.picture {
            Some(picture) if self.wants_picture() => self.show(picture),
            _ => Ok(()),
        }
    }

    /// Who opens the page while no picture comes shall see the last one.
    fn idle(&mut self, _quiet: Duration) -> bool {
        self.state.wants_picture()
    }

    fn still(&mut self, picture: &Rendered, _lost: bool) -> Result<()> {
        if self.state.wants_picture() { self.show(picture) } else { Ok(()) }
    }
}
