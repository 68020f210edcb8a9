//! The state of one stream, as page, metrics and terminal show it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::labels::decision::Decision;
use crate::labels::intervals::Interval;
use crate::media::encoder::{Encoded, Taps};
use crate::report::milliseconds;
use crate::system::clock::SharedClock;
use crate::system::utc;
use crate::telemetry::history::{History, Update};
use crate::telemetry::kept_pictures::KeptPictures;
use crate::telemetry::metric_label::label_value;
use crate::telemetry::pictures::{Picture, Pictures};
use crate::telemetry::progress::Progress;
use crate::telemetry::status::{Status, StreamPhase};

/// A connected camera that sends no frames is shown as stalled after this time, or after this many frame intervals if
/// that is longer.
const STALL_TIME: Duration = Duration::from_millis(1500);
const STALL_FRAMES: f64 = 3.0;

/// The constant properties of a stream.
pub struct StreamInfo {
    pub name: String,
    /// Address without credentials, or path.
    pub input: String,
    pub live: bool,
    pub labels: Vec<String>,
}

/// The settings of a stream's labels that a page shows. They may change while it runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelSettings {
    pub threshold: f64,
    pub action: Option<String>,
}

/// The state of one stream.
pub struct StreamState {
    pub info: StreamInfo,
    clock: SharedClock,
    settings: Mutex<LabelSettings>,
    pub progress: Arc<Progress>,
    pub pictures: Pictures,
    /// Of recent intervals.
    pub kept: KeptPictures,
    /// Whether the page is served: without it nobody asks for the history and for pictures, and none are kept.
    shown: bool,
    /// The stream's time 0 on the monotonic clock.
    began: OnceLock<Instant>,
    history: Mutex<History>,
    /// Latency from a frame's arrival to the last output.
    latency: metrics::Histogram,
}

impl StreamState {
    pub fn new(info: StreamInfo, settings: LabelSettings, shown: bool, clock: &SharedClock) -> Self {
        let latency = metrics::histogram!("livelabel_latency_seconds", "stream" => label_value(&info.name));
        let stream = Self {
            info,
            clock: Arc::clone(clock),
            settings: Mutex::new(settings),
            progress: Arc::default(),
            pictures: Pictures::default(),
            kept: KeptPictures::default(),
            shown,
            began: OnceLock::new(),
            history: Mutex::default(),
            latency,
        };
        stream.progress.status_mut().enter(StreamPhase::Waiting, clock.utc());
        stream
    }

    /// Leaves the waiting state: the input is about to be opened.
    pub fn start(&self) {
        self.progress.status_mut().enter(StreamPhase::Connecting, self.clock.utc());
    }

    /// Returns the settings in effect.
    pub fn settings(&self) -> LabelSettings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_settings(&self, settings: LabelSettings) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// Sets the stream's time 0.
    pub fn begin(&self, instant: Instant) {
        let _ = self.began.set(instant);
    }

    /// Returns the stream's time 0 in UTC.
    pub fn start_time(&self) -> Option<OffsetDateTime> {
        self.began.get().map(|began| utc::before(self.clock.utc(), self.clock.since(*began)))
    }

    /// Converts `at`, in nanoseconds of a camera's stream, to UTC; for a clip returns the current time, since its pts
    /// has no relation to UTC. Uses the monotonic clock, so that all receivers get the same time even if the system's
    /// clock is set.
    pub fn utc(&self, at: u64) -> OffsetDateTime {
        match self.start_time() {
            Some(start) if self.info.live => start.saturating_add(time::Duration::nanoseconds(at as i64)),
            _ => self.clock.utc(),
        }
    }

    /// Returns the stream's current time in milliseconds; for a clip, its position.
    pub fn now_ms(&self) -> f64 {
        match self.began.get() {
            Some(began) if self.info.live => self.clock.since(*began).as_secs_f64() * 1000.0,
            _ => milliseconds(self.progress.position.get()),
        }
    }

    /// Returns the status, with a camera that sends no frames shown as stalled.
    pub fn status(&self) -> Status {
        let mut status = self.progress.status();
        let arrival = self.progress.counters.last_arrival();
        if let (true, StreamPhase::Running, Some(arrival)) = (self.info.live, status.state, arrival) {
            let frames =
                if status.rate > 0.0 { Duration::from_secs_f64(STALL_FRAMES / status.rate) } else { STALL_TIME };
            let idle = self.clock.since(arrival);
            if idle > frames.max(STALL_TIME) {
                status.state = StreamPhase::Stalled;
                status.since = Some(utc::before(self.clock.utc(), idle));
            }
        }
        status
    }

    /// Returns whether a stream in `state` should deliver frames and does not.
    pub fn is_down(&self, state: StreamPhase) -> bool {
        match state {
            StreamPhase::Failed | StreamPhase::Stalled | StreamPhase::Reconnecting => true,
            StreamPhase::Connecting => self.info.live,
            StreamPhase::Waiting | StreamPhase::Running | StreamPhase::Paused | StreamPhase::Ended => false,
        }
    }

    /// Returns the changes after a revision; 0 for the whole history.
    pub fn since(&self, revision: u64) -> Update {
        self.history().since(revision)
    }

    /// Returns the confidence of every label, as of the last tenth of a second.
    pub fn smoothed(&self) -> Option<Arc<[f32]>> {
        self.history().smoothed()
    }

    /// Returns the number of the open interval.
    pub fn open_interval(&self) -> Option<u64> {
        self.history().open_interval()
    }

    /// Adds a labelled frame and its open interval.
    pub fn frame(&self, pts: u64, decision: Decision, smoothed: &[f64], open: Option<Interval>) {
        self.record(|history| history.frame(pts, decision, smoothed, open));
    }

    /// Adds a closed interval.
    pub fn interval(&self, closed: &Interval) {
        self.record(|history| history.interval(closed));
    }

    /// Records the loss of the camera at `start`.
    pub fn lost(&self, start: u64, reason: &'static str) {
        self.record(|history| history.lost(start, reason));
    }

    /// Adds a gap that has ended.
    pub fn gap(&self, start: u64, end: u64, reason: Option<&'static str>) {
        self.record(|history| history.gap(start, end, reason));
    }

    /// Adds what changed in the history of this stream in another process.
    pub(super) fn mirror(&self, update: Update) {
        self.record(|history| history.mirror(update));
    }

    /// Records the latency of a frame.
    pub fn record_latency(&self, delay: Duration) {
        self.latency.record(delay.as_secs_f64());
    }

    /// Ends the stream, with the reason if it failed.
    pub fn end(&self, failure: Option<String>) {
        let mut status = self.progress.status_mut();
        let phase = if failure.is_some() { StreamPhase::Failed } else { StreamPhase::Ended };
        status.enter(phase, self.clock.utc());
        status.reason = failure;
        (status.label, status.rate) = (None, 0.0);
    }

    /// Forgets what takes memory: confidences and pictures. The intervals stay.
    pub fn forget(&self) {
        self.history().clear_rows();
        self.kept.clear();
        self.pictures.clear();
    }

    /// Returns whether viewers can request pictures.
    pub fn is_shown(&self) -> bool {
        self.shown
    }

    /// Returns whether there is a viewer to encode pictures for.
    pub fn wants_picture(&self) -> bool {
        self.shown && self.pictures.viewers() > 0
    }

    /// Returns the taps for an encoder whose pts 0 is at `start` of the stream: they get its pictures and its byte
    /// count.
    pub fn taps(self: &Arc<Self>, start: u64) -> Taps {
        let (pictures, bytes) = (Arc::clone(self), Arc::clone(self));
        let picture = move |encoded: Encoded| {
            let ms = milliseconds(start + encoded.pts());
            if let Some(jpeg) = encoded.into_bytes() {
                pictures.pictures.put(Picture { jpeg, ms });
            }
        };
        Taps {
            picture: self.shown.then(|| Box::new(picture) as _),
            written: Some(Box::new(move |count| bytes.progress.written.add(count))),
        }
    }

    fn record(&self, change: impl FnOnce(&mut History)) {
        if self.shown {
            change(&mut self.history());
        }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
