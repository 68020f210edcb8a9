//! Pictures for those who watch from outside while nothing is recorded; else they get the recording's own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::board::Post;
use crate::media::encoder::Encoder;
use crate::media::frame::Drawn;
use crate::media::source::Facts;

/// Time between pictures at least: a clip that is worked off faster than it is long need not be shown whole.
const SPACING: Duration = Duration::from_millis(30);

/// Encodes while somebody watches.
pub struct Broadcast {
    post: Arc<Post>,
    encoder: Option<Encoder>,
    last: Option<Instant>,
    /// Set after a failure, which is told once.
    failed: bool,
}

impl Broadcast {
    pub fn new(post: &Arc<Post>) -> Self {
        Self { post: Arc::clone(post), encoder: None, last: None, failed: false }
    }

    /// Whether somebody waits for the next picture.
    pub fn wants(&self) -> bool {
        !self.failed && self.post.wants_picture() && self.last.is_none_or(|last| last.elapsed() >= SPACING)
    }

    /// Has a picture encoded and shown. Times in nanoseconds of the stream.
    pub fn show(&mut self, picture: &Drawn, facts: &Facts, pts: u64, duration: u64) {
        self.last = Some(Instant::now());
        let encoder = match self.encoder.take() {
            Some(encoder) => Ok(encoder),
            None => Encoder::new(facts, self.post.taps(0).picture),
        };
        let put = encoder.and_then(|encoder| {
            encoder.put(picture, pts, duration)?;
            // They have gone to those who watch.
            while encoder.take().is_some() {}
            Ok(encoder)
        });
        match put {
            Ok(encoder) => self.encoder = Some(encoder),
            Err(error) => {
                self.failed = true;
                tracing::error!("{error}; {} is not shown on the page", self.post.subject.name);
            }
        }
    }
}
