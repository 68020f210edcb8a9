//! A camera as frames, for as long as the program runs: connected, watched, and connected again.
//!
//! GStreamer's threads decode and put frames into a ring: where it is full the oldest makes room and is counted. Whoever
//! takes frames also looks after the connection, so there is no thread to hang; only the end of a connection, which a
//! dead network may hold up, has a short-lived thread of its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use crate::error::Result;
use crate::ledger::{Drop as Dropped, Ledger};
use crate::media::camera::Camera;
use crate::media::clock::frame_duration;
use crate::media::connection;
use crate::media::frame::Frame;
use crate::media::limits::Limits;
use crate::media::supervisor::{Reason, State, Step, Supervisor};
use crate::media::timekeeper::Timekeeper;

/// Decoded frames that may wait for the next stage.
pub const CAPACITY: usize = 8;
/// How long the end of a connection may take before the program goes on, or ends, without it.
const TEARDOWN: Duration = Duration::from_secs(2);
const TEARDOWN_POLL: Duration = Duration::from_millis(10);

/// What comes out of a camera.
pub enum Event {
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
    retiring: Option<JoinHandle<()>>,
    /// A loss that has not been told yet.
    lost: Option<Reason>,
    shared: Arc<Shared>,
}

struct Connection {
    pipeline: gst::Pipeline,
    bus: gst::Bus,
    alive: Arc<AtomicBool>,
}

/// What GStreamer's threads write to.
struct Shared {
    began: Instant,
    ring: Sender<Box<Frame>>,
    frames: Receiver<Box<Frame>>,
    ledger: Arc<Ledger>,
    times: Mutex<Times>,
    /// Arrival of the connection's last frame, in nanoseconds; 0 for none yet.
    arrival: AtomicU64,
}

#[derive(Default)]
struct Times {
    keeper: Timekeeper,
    sequence: u64,
    discontinuity: u64,
}

impl LiveSource {
    /// Nothing is connected yet; [`LiveSource::next`] does it. `seed` spreads the calls of many cameras.
    pub fn new(camera: Camera, limits: Limits, ledger: Arc<Ledger>, began: Instant, seed: u64) -> Self {
        let (ring, frames) = bounded(CAPACITY);
        let shared = Shared { began, ring, frames, ledger, times: Mutex::default(), arrival: AtomicU64::new(0) };
        Self {
            camera,
            limits,
            supervisor: Supervisor::new(seed),
            connection: None,
            retiring: None,
            lost: None,
            shared: Arc::new(shared),
        }
    }

    /// The next frame, or that the connection was lost; `None` where neither came within `patience`.
    ///
    /// # Errors
    /// Unavailable, where a part of GStreamer is not installed.
    pub fn next(&mut self, patience: Duration) -> Result<Option<Event>> {
        if let Some(reason) = self.attend()? {
            self.lost = Some(reason);
        }
        // What came before the loss is told before it.
        let patience = if self.lost.is_some() { Duration::ZERO } else { patience };
        match self.shared.frames.recv_timeout(patience) {
            Ok(frame) => Ok(Some(Event::Frame(frame))),
            Err(_) => Ok(self.lost.take().map(Event::Lost)),
        }
    }

    /// Frames that wait to be taken.
    pub fn waiting(&self) -> usize {
        self.shared.frames.len()
    }

    pub fn state(&self) -> State {
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
            while let Some(message) = connection.bus.pop() {
                match message.view() {
                    gst::MessageView::Error(error) => {
                        let reason = connection::reason(&error.error());
                        tracing::debug!("{}: {}", self.camera, reason.name());
                        self.supervisor.fault(reason);
                    }
                    gst::MessageView::Eos(_) => self.supervisor.fault(Reason::EndOfStream),
                    _ => {}
                }
            }
        } else if !self.retired() {
            return Ok(None);
        }
        match self.supervisor.poll(self.shared.began.elapsed()) {
            Step::Wait => Ok(None),
            Step::Connect => self.connect().map(|()| None),
            Step::Disconnect(reason) => {
                self.retire();
                Ok(Some(reason))
            }
        }
    }

    fn connect(&mut self) -> Result<()> {
        let (pipeline, sink) = connection::pipeline(&self.camera, self.limits)?;
        let alive = Arc::new(AtomicBool::new(true));
        self.shared.arrival.store(0, Ordering::Release);
        self.shared.lock().reconnected();
        deliver(&sink, Arc::clone(&self.shared), Arc::clone(&alive));
        let bus = pipeline.bus().ok_or_else(|| crate::error::Error::internal("a pipeline has no bus"))?;
        if pipeline.set_state(gst::State::Playing).is_err() && bus.peek().is_none() {
            self.supervisor.fault(Reason::Refused);
        }
        self.connection = Some(Connection { pipeline, bus, alive });
        Ok(())
    }

    /// Ends the connection without waiting for it.
    fn retire(&mut self) {
        let Some(Connection { pipeline, bus, alive }) = self.connection.take() else { return };
        alive.store(false, Ordering::Release);
        bus.set_flushing(true);
        let ending = std::thread::Builder::new().name("teardown".into()).spawn(move || {
            let _ = pipeline.set_state(gst::State::Null);
        });
        // Without a thread the pipeline ends here, as it was dropped.
        self.retiring = ending.ok();
    }

    /// Whether the last connection is gone; the next waits for it, so that they never pile up.
    fn retired(&mut self) -> bool {
        if self.retiring.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return false;
        }
        if let Some(thread) = self.retiring.take() {
            let _ = thread.join();
        }
        true
    }
}

impl Drop for LiveSource {
    fn drop(&mut self) {
        self.retire();
        let began = Instant::now();
        while !self.retired() {
            if began.elapsed() > TEARDOWN {
                tracing::warn!("{}: the connection does not end; left to the system", self.camera);
                return;
            }
            std::thread::sleep(TEARDOWN_POLL);
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
        let place = times.keeper.place(camera, arrival, duration);
        times.discontinuity += u64::from(place.gap);
        let mut frame = Frame::map(buffer, &info, place.pts, duration, times.sequence)?;
        frame.discontinuity = times.discontinuity;
        times.sequence += 1;
        self.arrival.store(arrival.max(1), Ordering::Release);
        Some(frame)
    }

    /// Puts a frame into the ring; the oldest make room.
    fn put(&self, frame: Frame) {
        self.ledger.arrived();
        let mut frame = Box::new(frame);
        loop {
            match self.ring.try_send(frame) {
                Ok(()) => return,
                Err(TrySendError::Full(back)) => {
                    frame = back;
                    if self.frames.try_recv().is_ok() {
                        self.ledger.dropped(Dropped::Overrun);
                    }
                }
                Err(TrySendError::Disconnected(_)) => return self.ledger.dropped(Dropped::Failure),
            }
        }
    }
}

impl Times {
    fn reconnected(&mut self) {
        self.keeper.reconnected();
    }
}

/// Sends every frame that reaches `sink` to the ring, while the connection is `alive`.
fn deliver(sink: &gst_app::AppSink, shared: Arc<Shared>, alive: Arc<AtomicBool>) {
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if !alive.load(Ordering::Acquire) {
                return Err(gst::FlowError::Eos);
            }
            let frame = shared.frame(&sample).ok_or(gst::FlowError::NotNegotiated)?;
            shared.put(frame);
            Ok(gst::FlowSuccess::Ok)
        })
        .build();
    sink.set_callbacks(callbacks);
}
