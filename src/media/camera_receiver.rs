//! Receives a camera's frames and reconnects until the program ends.
//!
//! GStreamer's threads decode and put frames into a queue. When it is full, the oldest frame is dropped and counted. The
//! thread that takes frames also supervises the connection, so no extra thread can hang. Only closing a connection,
//! which a dead network may block, has a short-lived thread of its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use gstreamer as gst;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use crate::error::Result;
use crate::media::camera::Camera;
use crate::media::connection::{Connection, Target};
use crate::media::frame::Frame;
use crate::media::frame_counters::{DropReason, FrameCounters};
use crate::media::limits::Limits;
use crate::media::packet_tap;
use crate::media::packets::PacketQueue;
use crate::media::pts::frame_duration;
use crate::media::supervisor::{ConnectionState, LossReason, Step, Supervisor};
use crate::media::teardown::Teardowns;
use crate::media::timestamp_mapper::TimestampMapper;
use crate::media::video_encoder::VideoEncoder;
use crate::rtsp::connection_guard::ConnectionGuard;
use crate::system::clock::SharedClock;

/// Decoded frames that may wait for the next stage.
pub const CAPACITY: usize = 8;
/// How long the program waits at its end for connections to close.
const TEARDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// An event of a camera.
pub enum CameraEvent {
    Frame(Box<Frame>),
    /// The connection was lost; the source reconnects.
    Lost(LossReason),
}

/// A camera as a source of frames. Dropping it closes the connection.
pub struct CameraReceiver {
    camera: Camera,
    limits: Limits,
    supervisor: Supervisor,
    connection: Option<Connection>,
    teardowns: Teardowns,
    /// The target of a redirect that is not connected yet.
    redirect: Option<Target>,
    warned_plain_password: bool,
    /// A loss that [`CameraReceiver::next`] has not returned yet.
    lost: Option<LossReason>,
    /// GStreamer's message about the last loss.
    detail: Option<String>,
    /// Whether it stays disconnected.
    paused: bool,
    shared: Arc<Shared>,
}

/// State that is shared with GStreamer's threads.
struct Shared {
    clock: SharedClock,
    began: Instant,
    queue: Sender<Box<Frame>>,
    frames: Receiver<Box<Frame>>,
    counters: Arc<FrameCounters>,
    times: Mutex<Times>,
    /// Arrival of the connection's last frame, in nanoseconds; 0 if there is none yet.
    arrival: AtomicU64,
    /// Where the encoded video goes, if it is recorded.
    packets: Option<Arc<PacketQueue>>,
}

#[derive(Default)]
struct Times {
    mapper: TimestampMapper,
    sequence: u64,
    discontinuity: u64,
}

impl CameraReceiver {
    /// Creates a source that is not connected yet; [`CameraReceiver::next`] connects. `seed` decides the jitter of the
    /// backoff. The camera's encoded video goes to `packets`.
    pub fn new(
        camera: Camera,
        limits: Limits,
        counters: Arc<FrameCounters>,
        clock: &SharedClock,
        began: Instant,
        seed: u64,
        packets: Option<Arc<PacketQueue>>,
    ) -> Self {
        let (queue, frames) = bounded(CAPACITY);
        let (times, arrival) = (Mutex::default(), AtomicU64::new(0));
        let clock = Arc::clone(clock);
        let shared = Shared { clock, began, queue, frames, counters, times, arrival, packets };
        Self {
            camera,
            limits,
            supervisor: Supervisor::new(seed),
            connection: None,
            teardowns: Teardowns::default(),
            redirect: None,
            warned_plain_password: false,
            lost: None,
            detail: None,
            paused: false,
            shared: Arc::new(shared),
        }
    }

    /// Returns the next frame, or the loss of the connection; `None` if neither happens within `timeout`.
    ///
    /// # Errors
    /// Unavailable if a GStreamer plugin is not installed.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<CameraEvent>> {
        if let Some(reason) = self.supervise()? {
            self.lost = Some(reason);
        }
        // Frames that arrived before the loss are returned before it.
        let timeout = if self.lost.is_some() { Duration::ZERO } else { timeout };
        match self.shared.frames.recv_timeout(timeout) {
            Ok(frame) => Ok(Some(CameraEvent::Frame(frame))),
            Err(_) => Ok(self.lost.take().map(CameraEvent::Lost)),
        }
    }

    /// Closes the connection until [`CameraReceiver::resume`]. Returned are the frames that wait, and then the loss.
    pub fn pause(&mut self) {
        if !std::mem::replace(&mut self.paused, true) {
            self.disconnect();
            self.redirect = None;
            self.lost = Some(LossReason::Paused);
        }
    }

    /// Connects again.
    pub fn resume(&mut self) {
        if std::mem::take(&mut self.paused) {
            self.supervisor.restart();
        }
    }

    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Returns how many frames wait in the queue.
    pub fn waiting(&self) -> usize {
        self.shared.frames.len()
    }

    /// Returns GStreamer's message about the last loss, if any.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    pub fn state(&self) -> ConnectionState {
        self.supervisor.state()
    }

    pub fn reconnects(&self) -> u64 {
        self.supervisor.reconnects()
    }

    pub fn stalls(&self) -> u64 {
        self.supervisor.stalls()
    }

    /// Connects, reconnects and disconnects as the supervisor decides. Returns the reason of a loss.
    fn supervise(&mut self) -> Result<Option<LossReason>> {
        if self.paused {
            return Ok(None);
        }
        if let Some(connection) = &self.connection {
            let arrival = self.shared.arrival.load(Ordering::Acquire);
            if arrival > 0 {
                self.supervisor.frame(Duration::from_nanos(arrival));
            }
            let update = connection.poll();
            if update.plain_password && !std::mem::replace(&mut self.warned_plain_password, true) {
                tracing::warn!(
                    "{}: user and password are sent as plain text, since it supports Basic authentication only; use \
                     rtsps:// or https://, or enable Digest on it",
                    self.camera
                );
            }
            if update.redirect.is_some() {
                self.redirect = update.redirect;
                self.disconnect();
                return Ok(None);
            }
            if update.detail.is_some() {
                self.detail = update.detail;
            }
            if let Some(reason) = update.fault {
                self.supervisor.fault(reason);
            }
        } else if !self.teardowns.ready(&self.camera) {
            return Ok(None);
        } else if let Some(target) = self.redirect.take() {
            return self.connect(target).map(|()| None);
        }
        match self.supervisor.poll(self.shared.now()) {
            Step::Wait => Ok(None),
            Step::Connect => self.connect(Target::new(self.camera.clone())).map(|()| None),
            Step::Disconnect(reason) => {
                self.disconnect();
                Ok(Some(reason))
            }
        }
    }

    fn connect(&mut self, target: Target) -> Result<()> {
        let sound = self.shared.packets.as_ref().and_then(|packets| packets.sound());
        let (connection, sink) = Connection::new(target, self.limits, sound)?;
        self.detail = None;
        self.shared.arrival.store(0, Ordering::Release);
        self.shared.lock().reconnected();
        if let Some(packets) = &self.shared.packets {
            packets.connected();
            packet_tap::attach(connection.pipeline(), packets);
        }
        deliver(&sink, Arc::clone(&self.shared), connection.guard(), Arc::clone(&connection.alive));
        if let Some(reason) = connection.play() {
            self.supervisor.fault(reason);
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// Closes the connection in the background.
    fn disconnect(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        connection.deactivate();
        if let Some(packets) = &self.shared.packets {
            packets.disconnected();
        }
        self.teardowns.begin(move || connection.close());
    }
}

impl Drop for CameraReceiver {
    fn drop(&mut self) {
        self.disconnect();
        if !self.teardowns.finish(TEARDOWN_TIMEOUT) {
            tracing::warn!("{}: the connection does not close; the program ends without it", self.camera);
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the time since the stream began.
    fn now(&self) -> Duration {
        self.clock.since(self.began)
    }

    /// Maps a sample to a frame with its pts in the stream's time.
    fn frame(&self, sample: &gst::Sample) -> Option<Frame> {
        let arrival = self.now().as_nanos() as u64;
        let info = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
        let buffer = sample.buffer_owned()?;
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let camera = buffer.pts().and_then(|pts| segment.to_running_time(pts)).map(gst::ClockTime::nseconds);
        let duration = frame_duration(&buffer, &info);
        let mut times = self.lock();
        let timestamp = times.mapper.map(camera, arrival, duration);
        times.discontinuity += u64::from(timestamp.gap);
        if let Some(packets) = &self.packets {
            packets.decoded(packet_tap::packet_number(&buffer), camera, timestamp.pts, duration);
        }
        let mut frame = Frame::map(buffer, &info, timestamp.pts, duration, times.sequence)?;
        frame.discontinuity = times.discontinuity;
        times.sequence += 1;
        self.arrival.store(arrival.max(1), Ordering::Release);
        Some(frame)
    }

    /// Encodes a frame for the recording, if the camera's packets are not recorded as they come. A failure is reported
    /// once, and ends encoding until the next connection.
    fn encode(&self, sample: &gst::Sample, frame: &Frame, encoder: &mut Option<Option<VideoEncoder>>) {
        let Some(packets) = self.packets.as_ref().filter(|packets| !packets.passes()) else { return };
        let (Some(buffer), Some(caps)) = (sample.buffer(), sample.caps()) else { return };
        let encoder = encoder.get_or_insert_with(|| {
            let info = gst_video::VideoInfo::from_caps(caps).ok()?;
            VideoEncoder::new(&info, packets).map_err(|error| packets.fail(error)).ok()
        });
        if let Some(encoder) = encoder {
            encoder.put(buffer, caps, frame.pts, frame.duration);
        }
    }

    /// Puts a frame into the queue; drops the oldest while it is full.
    fn put(&self, frame: Frame) {
        self.counters.arrived(frame.arrival);
        let mut frame = Box::new(frame);
        loop {
            match self.queue.try_send(frame) {
                Ok(()) => return,
                Err(TrySendError::Full(back)) => {
                    frame = back;
                    if self.frames.try_recv().is_ok() {
                        self.counters.dropped(DropReason::Overrun);
                    }
                }
                Err(TrySendError::Disconnected(_)) => return self.counters.dropped(DropReason::Failure),
            }
        }
    }
}

impl Times {
    fn reconnected(&mut self) {
        self.mapper.reconnected();
    }
}

/// Puts every frame that reaches `sink` into the queue while the connection is `alive`.
fn deliver(sink: &gst_app::AppSink, shared: Arc<Shared>, guard: Arc<ConnectionGuard>, alive: Arc<AtomicBool>) {
    let mut encoder = None;
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if !alive.load(Ordering::Acquire) {
                return Err(gst::FlowError::Eos);
            }
            guard.frame();
            let frame = shared.frame(&sample).ok_or(gst::FlowError::NotNegotiated)?;
            shared.encode(&sample, &frame, &mut encoder);
            shared.put(frame);
            Ok(gst::FlowSuccess::Ok)
        })
        .build();
    sink.set_callbacks(callbacks);
}
