//! The state of one stream.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::labels::decision::Decision;
use crate::labels::intervals::Interval;
use crate::media::encoder::{Encoded, Taps};
use crate::report::milliseconds;
use crate::telemetry::history::{History, Update};
use crate::telemetry::pictures::{Picture, Pictures};
use crate::telemetry::progress::Progress;
use crate::telemetry::status::{Status, StreamPhase};
use crate::utc;

/// A stream that is connected and brings nothing is told as stalled after this time, or after this many of its frames'
/// intervals.
const SILENCE: Duration = Duration::from_millis(1500);
const SILENT_FRAMES: f64 = 3.0;

/// What a stream is, which never changes.
pub struct StreamInfo {
    pub name: String,
    /// Its address without credentials, or its path.
    pub input: String,
    pub live: bool,
    pub labels: Vec<String>,
    pub threshold: f64,
    pub action: Option<String>,
}

/// What is known of one stream.
pub struct StreamState {
    pub info: StreamInfo,
    pub progress: Progress,
    pub pictures: Pictures,
    /// Whether anybody may ask for pictures.
    shown: bool,
    /// When the stream's time 0 was, by the clock that is never set.
    began: OnceLock<Instant>,
    history: Mutex<History>,
    /// From a frame's arrival to its label at every output.
    latency: metrics::Histogram,
}

impl StreamState {
    pub fn new(info: StreamInfo, shown: bool) -> Self {
        let latency =
            metrics::histogram!("livelabel_latency_seconds", "stream" => crate::telemetry::label_value(&info.name));
        let stream = Self {
            info,
            progress: Progress::default(),
            pictures: Pictures::default(),
            shown,
            began: OnceLock::new(),
            history: Mutex::default(),
            latency,
        };
        stream.progress.status_mut().enter(StreamPhase::Connecting);
        stream
    }

    /// The stream's time 0 is `instant`.
    pub fn begin(&self, instant: Instant) {
        let _ = self.began.set(instant);
    }

    /// The stream's time 0 in UTC.
    pub fn start_time(&self) -> Option<OffsetDateTime> {
        self.began.get().map(|began| utc::ago(began.elapsed()))
    }

    /// A moment of a camera's stream in UTC, `at` in nanoseconds; of a clip, whose time has no place in ours, now. What lies
    /// between is measured by the clock that is never set, so that everybody is told the same once the other was.
    pub fn utc(&self, at: u64) -> OffsetDateTime {
        match self.start_time() {
            Some(start) if self.info.live => start.saturating_add(time::Duration::nanoseconds(at as i64)),
            _ => utc::now(),
        }
    }

    /// The stream's time now, in milliseconds: a clip's is where it is.
    pub fn now_ms(&self) -> f64 {
        match self.began.get() {
            Some(began) if self.info.live => began.elapsed().as_secs_f64() * 1000.0,
            _ => milliseconds(self.progress.position.get()),
        }
    }

    /// How it is, as those see it who wait for pictures.
    pub fn status(&self) -> Status {
        let mut status = self.progress.status();
        let arrival = self.progress.counters.last_arrival();
        if let (true, StreamPhase::Running, Some(arrival)) = (self.info.live, status.state, arrival) {
            let usual = if status.rate > 0.0 { Duration::from_secs_f64(SILENT_FRAMES / status.rate) } else { SILENCE };
            let silence = arrival.elapsed();
            if silence > usual.max(SILENCE) {
                status.state = StreamPhase::Stalled;
                status.since = Some(utc::ago(silence));
            }
        }
        status
    }

    /// Whether nothing comes of it that should.
    pub fn is_down(&self, phase: StreamPhase) -> bool {
        match phase {
            StreamPhase::Failed | StreamPhase::Stalled | StreamPhase::Reconnecting => true,
            StreamPhase::Connecting => self.info.live,
            StreamPhase::Running | StreamPhase::Ended => false,
        }
    }

    /// What has changed after a revision; 0 asks for all that is remembered.
    pub fn since(&self, revision: u64) -> Update {
        self.history().since(revision)
    }

    /// The smoothed confidence of every label, as of the last tenth of a second.
    pub fn smoothed(&self) -> Option<Arc<[f32]>> {
        self.history().smoothed()
    }

    /// Takes a labelled frame, and the interval that it belongs to.
    pub fn frame(&self, pts: u64, decision: Decision, smoothed: &[f64], open: Option<Interval>) {
        self.history().frame(pts, decision, smoothed, open);
    }

    /// Takes an interval that was closed.
    pub fn interval(&self, closed: &Interval) {
        self.history().interval(closed);
    }

    /// The stream was lost at `start` of its time.
    pub fn lost(&self, start: u64, reason: &'static str) {
        self.history().lost(start, reason);
    }

    /// A stretch without frames, now that it is over.
    pub fn gap(&self, start: u64, end: u64, reason: Option<&'static str>) {
        self.history().gap(start, end, reason);
    }

    /// How long a frame took from its arrival to its outputs.
    pub fn took(&self, delay: Duration) {
        self.latency.record(delay.as_secs_f64());
    }

    /// The stream is over; with a reason where it failed.
    pub fn end(&self, failure: Option<String>) {
        let mut status = self.progress.status_mut();
        status.enter(if failure.is_some() { StreamPhase::Failed } else { StreamPhase::Ended });
        status.reason = failure;
        (status.label, status.rate) = (None, 0.0);
    }

    /// Whether anybody may ask for pictures.
    pub fn is_shown(&self) -> bool {
        self.shown
    }

    /// Whether a picture must be made for those who watch.
    pub fn wants_picture(&self) -> bool {
        self.shown && self.pictures.watchers() > 0
    }

    /// What hears of the pictures of a recording that begins at `start` of the stream's time.
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

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
