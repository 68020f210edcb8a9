//! The source of a stream's frames: a clip or a camera.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::config::cameras::CameraConfig;
use crate::error::Result;
use crate::media::audio_queue::AudioQueue;
use crate::media::camera::Camera;
use crate::media::camera_receiver::{self, CameraEvent, CameraReceiver};
use crate::media::clip_decoder::{ClipDecoder, ClipEvent};
use crate::media::decode_errors::DecodeErrors;
use crate::media::frame::Frame;
use crate::media::frame_counters::FrameCounters;
use crate::media::limits::Limits;
use crate::media::packets::PacketQueue;
use crate::media::supervisor::LossReason;
use crate::media::video_format::VideoFormat;
use crate::system::clock::SharedClock;
use crate::telemetry::status::{Status, StreamPhase};

/// Time without frames in a clip that counts as a gap, in nanoseconds.
const GAP: u64 = 1_000_000_000;

/// An event of a source.
pub enum SourceEvent {
    Frame(Box<Frame>),
    /// The camera was lost. The source reconnects by itself.
    Lost(LossReason),
    /// The clip has ended.
    End,
}

/// A source of frames, in order of their pts.
pub trait FrameSource: Send {
    /// Starts the source.
    ///
    /// # Errors
    /// Returns a failure if the source cannot be started.
    fn start(&mut self) -> Result<()>;

    /// Returns the next event, or `None` if there is none within `timeout`.
    ///
    /// # Errors
    /// Returns an error if the source is broken. All frames before the error have been returned.
    fn next(&mut self, timeout: Duration) -> Result<Option<SourceEvent>>;

    /// Disconnects until `resume`. Frames that have arrived are still returned, and then the loss. A clip cannot be paused.
    fn pause(&mut self) {}

    /// Connects again after `pause`.
    fn resume(&mut self) {}

    /// Updates the connection's fields of `status`, as of `now`.
    fn report(&self, status: &mut Status, now: OffsetDateTime);

    /// Returns the length and the capacity of the queue, if the source drops frames when it is full.
    fn backlog(&self) -> Option<(usize, usize)>;
}

/// A clip. None of its frames is dropped.
pub struct ClipSource {
    source: ClipDecoder,
    counters: Arc<FrameCounters>,
    /// End of the last frame.
    end: Option<u64>,
    discontinuity: u64,
}

impl ClipSource {
    /// Opens a clip. `interrupted` is polled to cancel opening.
    ///
    /// # Errors
    /// Returns an input error if the clip cannot be opened.
    pub fn open(
        path: &Path,
        limits: Limits,
        counters: &Arc<FrameCounters>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Self> {
        let source = ClipDecoder::open(path, limits, interrupted)?;
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

    fn next(&mut self, timeout: Duration) -> Result<Option<SourceEvent>> {
        match self.source.next(timeout) {
            None => Ok(None),
            Some(ClipEvent::End) => Ok(Some(SourceEvent::End)),
            Some(ClipEvent::Failed(error)) => Err(error),
            Some(ClipEvent::Frame(mut frame)) => {
                self.counters.arrived(frame.arrival);
                self.discontinuity += u64::from(self.end.is_some_and(|end| frame.pts > end + GAP));
                self.end = Some(frame.end());
                frame.discontinuity = self.discontinuity;
                Ok(Some(SourceEvent::Frame(frame)))
            }
        }
    }

    fn report(&self, status: &mut Status, now: OffsetDateTime) {
        if self.end.is_some() {
            status.enter(StreamPhase::Running, now);
        }
    }

    fn backlog(&self) -> Option<(usize, usize)> {
        None
    }
}

/// A camera, reconnected whenever it is lost. If its queue is full, the oldest frame is dropped.
pub struct CameraSource {
    /// The stream's name, for the log.
    name: String,
    source: CameraReceiver,
    /// Reason of the last loss.
    lost: Option<LossReason>,
    /// The reason that was logged last. An outage of a week is logged once.
    logged: Option<LossReason>,
}

/// Returns the queue for a camera's own video, if it is recorded, and its sound. `name` is the stream's.
pub fn packets(name: &str, live: &CameraConfig) -> Option<Arc<PacketQueue>> {
    let container = live.recording.original?;
    if live.recording.sound && !live.camera.is_rtsp() {
        tracing::warn!("{name}: sound is recorded over RTSP only, so this camera's recording has none");
    }
    let sound = (live.recording.sound && live.camera.is_rtsp()).then(|| AudioQueue::new(name, &live.camera, container));
    Some(Arc::new(PacketQueue::new(container, sound)))
}

impl CameraSource {
    /// Creates a source whose time 0 is `began`. The camera's encoded video goes to `packets`.
    pub fn new(
        name: &str,
        camera: &Camera,
        limits: Limits,
        counters: &Arc<FrameCounters>,
        clock: &SharedClock,
        began: Instant,
        packets: Option<Arc<PacketQueue>>,
    ) -> Self {
        let seed = jitter_seed(std::process::id(), name);
        let source = CameraReceiver::new(camera.clone(), limits, Arc::clone(counters), clock, began, seed, packets);
        Self { name: name.into(), source, lost: None, logged: None }
    }
}

/// Returns the seed of the jitter. It differs by camera and process, so that reconnects are spread out.
fn jitter_seed(process: u32, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (process, name).hash(&mut hasher);
    hasher.finish()
}

impl FrameSource for CameraSource {
    fn start(&mut self) -> Result<()> {
        Ok(())
    }

    fn next(&mut self, timeout: Duration) -> Result<Option<SourceEvent>> {
        let event = self.source.next(timeout)?;
        Ok(event.map(|event| match event {
            CameraEvent::Frame(frame) => {
                if self.logged.take().is_some() {
                    tracing::info!("{}: the camera is back", self.name);
                }
                SourceEvent::Frame(frame)
            }
            CameraEvent::Lost(LossReason::Paused) => {
                self.lost = Some(LossReason::Paused);
                self.logged = Some(LossReason::Paused);
                tracing::info!("{}: paused", self.name);
                SourceEvent::Lost(LossReason::Paused)
            }
            CameraEvent::Lost(reason) => {
                self.lost = Some(reason);
                if self.logged.replace(reason) != Some(reason) {
                    let (name, words, remedy) = (&self.name, reason.words(), reason.remedy());
                    let detail = self.source.detail().map(|text| format!("; GStreamer: {text}")).unwrap_or_default();
                    tracing::warn!("{name}: no camera ({words}); {remedy}; reconnecting until it answers{detail}");
                }
                SourceEvent::Lost(reason)
            }
        }))
    }

    fn pause(&mut self) {
        self.source.pause();
    }

    fn resume(&mut self) {
        self.source.resume();
    }

    fn report(&self, status: &mut Status, now: OffsetDateTime) {
        let paused = self.source.is_paused();
        status.enter(if paused { StreamPhase::Paused } else { self.source.state().into() }, now);
        let reconnects = self.source.reconnects();
        if let Some(reason) = self.lost.filter(|_| reconnects > status.reconnects) {
            *status.reconnects_by.entry(reason.name()).or_default() += reconnects - status.reconnects;
        }
        status.reconnects = reconnects;
        status.waiting = self.source.waiting();
        status.stalls = self.source.stalls();
    }

    fn backlog(&self) -> Option<(usize, usize)> {
        Some((self.source.waiting(), camera_receiver::CAPACITY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jitter_differs_by_camera_and_process_for_any_name() {
        let names = ["door", "garden-camera-of-the-second-floor", &"ü".repeat(10_000), ""];
        let mut seeds: Vec<u64> =
            names.iter().flat_map(|name| [1, u32::MAX].map(|process| jitter_seed(process, name))).collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), 2 * names.len());
    }
}
