//! Where a stream's frames come from: a recorded clip or a camera.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::frame_counters::FrameCounters;
use crate::media::camera::Camera;
use crate::media::decode_errors::DecodeErrors;
use crate::media::frame::Frame;
use crate::media::limits::Limits;
use crate::media::live::{self, CameraEvent, LiveSource};
use crate::media::source::{ClipEvent, Source};
use crate::media::supervisor::Reason;
use crate::media::video_format::VideoFormat;
use crate::telemetry::status::{Status, StreamPhase};

/// A stretch of a clip without frames that counts as a gap, in nanoseconds.
const GAP: u64 = 1_000_000_000;

/// What comes out of a source.
pub enum SourceEvent {
    Frame(Box<Frame>),
    /// The camera sends no more. The source connects again by itself.
    Lost(Reason),
    /// The clip has ended.
    End,
}

/// Frames in the order of their time.
pub trait FrameSource: Send {
    /// Lets the frames flow.
    ///
    /// # Errors
    /// Failed, where the source cannot be started.
    fn start(&mut self) -> Result<()>;

    /// The next event; `None` where there is none within `patience`.
    ///
    /// # Errors
    /// Where no more frames can come. All frames before it have been returned.
    fn next(&mut self, patience: Duration) -> Result<Option<SourceEvent>>;

    /// Writes what is known of the connection into `status`.
    fn report(&self, status: &mut Status);

    /// Frames that wait to be taken, where frames are dropped when too many do: how many do now, and how many may.
    fn backlog(&self) -> Option<(usize, usize)>;
}

/// A recorded clip. No frame of it is dropped.
pub struct ClipSource {
    source: Source,
    counters: Arc<FrameCounters>,
    /// End of the last frame.
    end: Option<u64>,
    discontinuity: u64,
}

impl ClipSource {
    /// # Errors
    /// Input, where the clip cannot be opened. `interrupted` is asked now and then whether to give up.
    pub fn open(
        path: &Path,
        limits: Limits,
        counters: &Arc<FrameCounters>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Self> {
        let source = Source::open(path, limits, interrupted)?;
        Ok(Self { source, counters: Arc::clone(counters), end: None, discontinuity: 0 })
    }

    pub fn format(&self) -> &VideoFormat {
        self.source.format()
    }

    pub fn decode_errors(&self) -> Arc<DecodeErrors> {
        self.source.decode_errors()
    }
}

impl FrameSource for ClipSource {
    fn start(&mut self) -> Result<()> {
        self.source.play()
    }

    fn next(&mut self, patience: Duration) -> Result<Option<SourceEvent>> {
        match self.source.next(patience) {
            None => Ok(None),
            Some(ClipEvent::End) => Ok(Some(SourceEvent::End)),
            Some(ClipEvent::Failed(error)) => Err(error),
            Some(ClipEvent::Frame(mut frame)) => {
                self.counters.arrived();
                self.discontinuity += u64::from(self.end.is_some_and(|end| frame.pts > end + GAP));
                self.end = Some(frame.end());
                frame.discontinuity = self.discontinuity;
                Ok(Some(SourceEvent::Frame(frame)))
            }
        }
    }

    fn report(&self, status: &mut Status) {
        if self.end.is_some() {
            status.enter(StreamPhase::Running);
        }
    }

    fn backlog(&self) -> Option<(usize, usize)> {
        None
    }
}

/// A camera, connected again whenever it is lost. Frames that nobody takes in time are dropped, the oldest first.
pub struct CameraSource {
    /// The stream's name, for the log.
    name: String,
    source: LiveSource,
    /// What the camera was lost for last.
    lost: Option<Reason>,
    /// The same, as last written to the log: an outage of a week is one line.
    logged: Option<Reason>,
}

impl CameraSource {
    /// The stream's time 0 is `began`.
    pub fn new(name: &str, camera: &Camera, limits: Limits, counters: &Arc<FrameCounters>, began: Instant) -> Self {
        // Cameras of one run differ by name, and runs by process, so that their calls spread out.
        let mut hasher = DefaultHasher::new();
        (std::process::id(), name).hash(&mut hasher);
        let source = LiveSource::new(camera.clone(), limits, Arc::clone(counters), began, hasher.finish());
        Self { name: name.into(), source, lost: None, logged: None }
    }
}

impl FrameSource for CameraSource {
    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    fn next(&mut self, patience: Duration) -> Result<Option<SourceEvent>> {
        let event = self.source.next(patience)?;
        Ok(event.map(|event| match event {
            CameraEvent::Frame(frame) => {
                if self.logged.take().is_some() {
                    tracing::info!("{}: the camera is back", self.name);
                }
                SourceEvent::Frame(frame)
            }
            CameraEvent::Lost(reason) => {
                self.lost = Some(reason);
                if self.logged.replace(reason) != Some(reason) {
                    let (name, why, remedy) = (&self.name, reason.words(), reason.remedy());
                    let detail = self.source.detail().map(|text| format!("; GStreamer: {text}")).unwrap_or_default();
                    tracing::warn!("{name}: no camera ({why}); {remedy}; reconnects until it answers{detail}");
                }
                SourceEvent::Lost(reason)
            }
        }))
    }

    fn report(&self, status: &mut Status) {
        status.enter(self.source.state().into());
        let reconnects = self.source.reconnects();
        if let Some(reason) = self.lost.filter(|_| reconnects > status.reconnects) {
            *status.reconnects_by.entry(reason.name()).or_default() += reconnects - status.reconnects;
        }
        status.reconnects = reconnects;
        status.waiting = self.source.waiting();
        status.stalls = self.source.stalls();
    }

    fn backlog(&self) -> Option<(usize, usize)> {
        Some((self.source.waiting(), live::CAPACITY))
    }
}
