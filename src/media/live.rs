//! A camera as frames, for as long as the program runs: connected, watched, and connected again.
//!
//! GStreamer's threads decode and put frames into a ring: where it is full the oldest makes room and is counted. Whoever
//! takes frames also looks after the connection, so there is no thread to hang; only the end of a connection, which a
//! dead network may hold up, has a short-lived thread of its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use gstreamer as gst;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use crate::error::Result;
use crate::frame_counters::{DropReason, FrameCounters};
use crate::media::camera::Camera;
use crate::media::clock::frame_duration;
use crate::media::connection::{Connection, Target};
use crate::media::frame::Frame;
use crate::media::limits::Limits;
use crate::media::supervisor::{ConnectionState, Reason, Step, Supervisor};
use crate::media::teardown::Teardowns;
use crate::media::timestamp_mapper::TimestampMapper;
use crate::rtsp::intake::Intake;

/// Decoded frames that may wait for the next stage.
pub const CAPACITY: usize = 8;
/// How long the ends of connections may take before the program ends without them.
const TEARDOWN: Duration = Duration::from_secs(2);

/// What comes out of a camera.
pub enum CameraEvent {
    Frame(Box<Frame>),
    /// The connection has ended; it is being made anew.
    Lost(Reason),
}

/// A camera that is being watched. Dropping it ends the connection.
pub struct LiveSource {
    camera: Camera,
    limits: Limits,
    supervisor: Supervisor,
    connection: Option<Connection>,
    teardowns: Teardowns,
    /// Where the camera has sent its caller, who has not called there yet.
    moved: Option<Target>,
    told_plain_password: bool,
    /// A loss that has not been told yet.
    lost: Option<Reason>,
    /// What GStreamer said of the last loss.
    detail: Option<String>,
    shared: Arc<Shared>,
}

/// What GStreamer's threads write to.
struct Shared {
    began: Instant,
    ring: Sender<Box<Frame>>,
    frames: Receiver<Box<Frame>>,
    counters: Arc<FrameCounters>,
    times: Mutex<Times>,
    /// Arrival of the connection's last frame, in nanoseconds; 0 for none yet.
    arrival: AtomicU64,
}

#[derive(Default)]
struct Times {
    mapper: TimestampMapper,
    sequence: u64,
    discontinuity: u64,
}

impl LiveSource {
    /// Nothing is connected yet; [`LiveSource::next`] does it. `seed` spreads the calls of many cameras.
    pub fn new(camera: Camera, limits: Limits, counters: Arc<FrameCounters>, began: Instant, seed: u64) -> Self {
        let (ring, frames) = bounded(CAPACITY);
        let shared = Shared { began, ring, frames, counters, times: Mutex::default(), arrival: AtomicU64::new(0) };
        Self {
            camera,
            limits,
            supervisor: Supervisor::new(seed),
            connection: None,
            teardowns: Teardowns::default(),
            moved: None,
            told_plain_password: false,
            lost: None,
            detail: None,
            shared: Arc::new(shared),
        }
    }

    /// The next frame, or that the connection was lost; `None` where neither came within `patience`.
    ///
    /// # Errors
    /// Unavailable, where a part of GStreamer is not installed.
    pub fn next(&mut self, patience: Duration) -> Result<Option<CameraEvent>> {
        if let Some(reason) = self.attend()? {
            self.lost = Some(reason);
        }
        // What came before the loss is told before it.
        let patience = if self.lost.is_some() { Duration::ZERO } else { patience };
        match self.shared.frames.recv_timeout(patience) {
            Ok(frame) => Ok(Some(CameraEvent::Frame(frame))),
            Err(_) => Ok(self.lost.take().map(CameraEvent::Lost)),
        }
    }

    /// Frames that wait to be taken.
    pub fn waiting(&self) -> usize {
        self.shared.frames.len()
    }

    /// What GStreamer said of the last loss, if anything.
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

    fn attend(&mut self) -> Result<Option<Reason>> {
        if let Some(connection) = &self.connection {
            let arrival = self.shared.arrival.load(Ordering::Acquire);
            if arrival > 0 {
                self.supervisor.frame(Duration::from_nanos(arrival));
            }
            let news = connection.news();
            if news.plain_password && !std::mem::replace(&mut self.told_plain_password, true) {
                tracing::warn!(
                    "{}: user and password go to it as plain text, as it takes them no other way (Basic); give it \
                     rtsps:// or https://, or have it offer Digest",
                    self.camera
                );
            }
            if news.moved.is_some() {
                self.moved = news.moved;
                self.retire();
                return Ok(None);
            }
            if news.detail.is_some() {
                self.detail = news.detail;
            }
            if let Some(reason) = news.fault {
                self.supervisor.fault(reason);
            }
        } else if !self.teardowns.ready(&self.camera) {
            return Ok(None);
        } else if let Some(target) = self.moved.take() {
            return self.connect(target).map(|()| None);
        }
        match self.supervisor.poll(self.shared.began.elapsed()) {
            Step::Wait => Ok(None),
            Step::Connect => self.connect(Target::new(self.camera.clone())).map(|()| None),
            Step::Disconnect(reason) => {
                self.retire();
                Ok(Some(reason))
            }
        }
    }

    fn connect(&mut self, target: Target) -> Result<()> {
        let (connection, sink) = Connection::new(target, self.limits)?;
        self.detail = None;
        self.shared.arrival.store(0, Ordering::Release);
        self.shared.lock().reconnected();
        deliver(&sink, Arc::clone(&self.shared), connection.intake(), Arc::clone(&connection.alive));
        if let Some(reason) = connection.play() {
            self.supervisor.fault(reason);
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// Ends the connection without waiting for it.
    fn retire(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        connection.silence();
        self.teardowns.begin(move || connection.close());
    }
}

impl Drop for LiveSource {
    fn drop(&mut self) {
        self.retire();
        if !self.teardowns.finish(TEARDOWN) {
            tracing::warn!("{}: the connection does not end; left to the system", self.camera);
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sample as a frame with its place in the stream's time.
    fn frame(&self, sample: &gst::Sample) -> Option<Frame> {
        let arrival = self.began.elapsed().as_nanos() as u64;
        let info = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
        let buffer = sample.buffer_owned()?;
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let camera = buffer.pts().and_then(|pts| segment.to_running_time(pts)).map(gst::ClockTime::nseconds);
        let duration = frame_duration(&buffer, &info);
        let mut times = self.lock();
        let place = times.mapper.place(camera, arrival, duration);
        times.discontinuity += u64::from(place.gap);
        let mut frame = Frame::map(buffer, &info, place.pts, duration, times.sequence)?;
        frame.discontinuity = times.discontinuity;
        times.sequence += 1;
        self.arrival.store(arrival.max(1), Ordering::Release);
        Some(frame)
    }

    /// Puts a frame into the ring; the oldest make room.
    fn put(&self, frame: Frame) {
        self.counters.arrived();
        let mut frame = Box::new(frame);
        loop {
            match self.ring.try_send(frame) {
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

/// Sends every frame that reaches `sink` to the ring, while the connection is `alive`.
fn deliver(sink: &gst_app::AppSink, shared: Arc<Shared>, intake: Arc<Intake>, alive: Arc<AtomicBool>) {
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if !alive.load(Ordering::Acquire) {
                return Err(gst::FlowError::Eos);
            }
            intake.picture();
            let frame = shared.frame(&sample).ok_or(gst::FlowError::NotNegotiated)?;
            shared.put(frame);
            Ok(gst::FlowSuccess::Ok)
        })
        .build();
    sink.set_callbacks(callbacks);
}
