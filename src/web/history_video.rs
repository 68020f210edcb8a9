//! `/api/history/picture.jpg` and `/api/history/frames`: what was recorded of a stream, as one video, however many files hold it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::error::{Error, Result};
use crate::history::query::{self, Segment};
use crate::media::limits::Limits;
use crate::media::replay::{Playing, Seeker, Still, Video};
use crate::web::auth::encoded;
use crate::web::history::{Pairs, ask_about, moment as time_of, number, stream_name};
use crate::web::history_json::moment;
use crate::web::pictures::{multipart, part_at};
use crate::web::state::{ApiError, AppState, NOT_FOUND};

/// Maximum number of viewers that play at once. Each has its own decoder, and a second one where a file ends.
const PLAYERS: usize = 8;
/// Playback speeds, as multiples of real time.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.1..=8.0;
/// Frames that wait for a slow client. Further ones are left out.
const WAITING: usize = 16;
/// The next file is opened this long before the current one ends.
const AHEAD: f64 = 2000.0;
/// Files that are skipped in a row because they cannot be read.
const MAX_UNREADABLE: usize = 16;
/// The file of the last single picture stays open this long, for who looks at its neighbours next.
const IDLE: Duration = Duration::from_secs(30);
/// Times are given to the millisecond: the frame that is shown at the end of the nearest one is meant, in nanoseconds.
const NEAREST: u64 = 499_999;

const BAD_TIME: ApiError = (StatusCode::BAD_REQUEST, "the time must be one of RFC 3339\n");
const NOT_RECORDED: ApiError = (StatusCode::NOT_FOUND, "nothing is recorded at this time\n");
const NOTHING_LATER: ApiError = (StatusCode::NOT_FOUND, "nothing is recorded from this time on\n");
const TOO_MANY: ApiError = (StatusCode::SERVICE_UNAVAILABLE, "too many viewers\n");
const UNREADABLE: ApiError = (StatusCode::INTERNAL_SERVER_ERROR, "the recording cannot be read at this time\n");

/// What plays recordings.
pub(super) struct Recordings {
    limits: Limits,
    open: Arc<Mutex<Option<OpenFile>>>,
    players: Arc<Semaphore>,
}

/// A frame of a recording.
pub(super) struct RecordedFrame {
    /// In milliseconds since 1970.
    pub time: i64,
    /// Whether its label is drawn on it. Such frames are recorded as JPEGs, and a camera's own video never is.
    pub labelled: bool,
    pub jpeg: Bytes,
}

/// The file of the last single picture.
struct OpenFile {
    path: PathBuf,
    bytes: u64,
    seeker: Seeker,
    used: Instant,
}

impl Recordings {
    pub fn new(limits: Limits) -> Self {
        Self { limits, open: Arc::default(), players: Arc::new(Semaphore::new(PLAYERS)) }
    }
}

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new().route("/api/history/picture.jpg", get(picture)).route("/api/history/frames", get(frames))
}

fn recordings(state: &AppState) -> Result<&Recordings, ApiError> {
    state.history.as_ref().map(|history| &history.recordings).ok_or(NOT_FOUND)
}

/// Returns how far `at` lies in a file, in nanoseconds.
fn offset(segment: &Segment, at: i64) -> u64 {
    u64::try_from(at - segment.start).map_or(0, |ms| ms.saturating_mul(1_000_000).saturating_add(NEAREST))
}

/// Returns the moment of a frame, in milliseconds since 1970.
fn shown_at(segment: &Segment, time: u64) -> i64 {
    segment.start.saturating_add_unsigned(time.saturating_add(500_000) / 1_000_000)
}

/// `/api/history/picture.jpg?stream=NAME&at=TIME`: the frame that was shown at that time.
async fn picture(State(state): State<Arc<AppState>>, query: Pairs) -> Result<Response, ApiError> {
    let name = stream_name(&query)?;
    let at = time_of(&query, "at").ok_or(BAD_TIME)?;
    let RecordedFrame { time, labelled, jpeg } = frame_at(&state, &name, at).await?;
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg".to_string()),
        (HeaderName::from_static("x-stream"), encoded(&name)),
        (HeaderName::from_static("x-time"), moment(time)),
        (HeaderName::from_static("x-labelled"), labelled.to_string()),
    ];
    Ok((headers, jpeg).into_response())
}

/// Returns the frame of a recording that was shown `at` a time, in milliseconds since 1970.
pub(super) async fn frame_at(state: &Arc<AppState>, name: &str, at: i64) -> Result<RecordedFrame, ApiError> {
    let recordings = recordings(state)?;
    let found = ask_about(state, name, move |reader, name| query::segment_at(reader, name, at));
    let segment = found.await?.ok_or(NOT_RECORDED)?;
    let (mut open, limits) = (Arc::clone(&recordings.open).lock_owned().await, recordings.limits);
    let found = spawn_blocking(move || still(&mut open, &segment, at, limits));
    let found = found.await.map_err(|_| UNREADABLE)?.map_err(|error| {
        tracing::warn!("{error}");
        UNREADABLE
    });
    tokio::spawn(close_idle(Arc::clone(&recordings.open)));
    found
}

/// Reads a picture, of the file that is open if it is the same. A file that failed is not kept open.
fn still(open: &mut Option<OpenFile>, segment: &Segment, at: i64, limits: Limits) -> Result<RecordedFrame> {
    let kept = open.take().filter(|file| file.path == segment.path && file.bytes == segment.bytes);
    let mut seeker = match kept {
        Some(file) => file.seeker,
        None => Seeker::open(&segment.path, limits).map_err(explained)?,
    };
    let Still { jpeg, time } = seeker.at(offset(segment, at)).map_err(explained)?;
    let frame = RecordedFrame { time: shown_at(segment, time), labelled: seeker.video.encoded, jpeg };
    *open = Some(OpenFile { path: segment.path.clone(), bytes: segment.bytes, seeker, used: Instant::now() });
    Ok(frame)
}

fn explained(error: Error) -> Error {
    error.remedy("check that the file is complete")
}

/// Closes the file of the last single picture once nobody looks at it any more, so that a deleted one frees its space.
async fn close_idle(open: Arc<Mutex<Option<OpenFile>>>) {
    tokio::time::sleep(IDLE).await;
    let mut open = open.lock_owned().await;
    if open.as_ref().is_some_and(|file| file.used.elapsed() >= IDLE) {
        let file = open.take();
        spawn_blocking(move || drop(file));
    }
}

/// `/api/history/frames?stream=NAME&from=TIME&speed=1`: plays what is recorded from that time on. Time that is not recorded is
/// skipped.
async fn frames(State(state): State<Arc<AppState>>, query: Pairs) -> Result<Response, ApiError> {
    let recordings = recordings(&state)?;
    let name = stream_name(&query)?;
    let from = time_of(&query, "from").ok_or(BAD_TIME)?;
    let speed = number(&query, "speed", 1.0, SPEEDS)?;
    let permit = Arc::clone(&recordings.players).try_acquire_owned().map_err(|_| TOO_MANY)?;
    let found = ask_about(&state, &name, move |reader, name| query::segment_from(reader, name, from));
    found.await?.ok_or(NOTHING_LATER)?;
    let source = Source { state: Arc::clone(&state), name, speed, _permit: Arc::new(permit) };
    let current = source.clone().open(from).await.ok_or(UNREADABLE)?;
    let shown_name = encoded(&source.name);
    let player = Player { source, current, next: None, last: i64::MIN };
    let feed = stream::unfold((player, shown_name), |(mut player, name)| async move {
        let RecordedFrame { time, labelled, jpeg } = player.next().await?;
        let part = part_at(&name, jpeg, &format!("X-Time: {}\r\nX-Labelled: {labelled}", moment(time)));
        Some((part, (player, name)))
    });
    Ok(multipart(vec![feed.boxed()], state))
}

/// What a viewer plays.
#[derive(Clone)]
struct Source {
    state: Arc<AppState>,
    name: String,
    speed: f64,
    /// Held until the last decoder has stopped.
    _permit: Arc<OwnedSemaphorePermit>,
}

impl Source {
    /// Opens the file that shows `from`, or the first one after it that can be read.
    async fn open(self, mut from: i64) -> Option<OpenSegment> {
        for _ in 0..MAX_UNREADABLE {
            let found = ask_about(&self.state, &self.name, move |reader, name| query::segment_from(reader, name, from));
            let segment = found.await.ok()??;
            let end = segment.end;
            let source = self.clone();
            let opened = spawn_blocking(move || source.open_segment(segment, from)).await;
            match opened {
                Ok(Ok(segment)) => return Some(segment),
                Ok(Err(error)) => tracing::warn!("{error}"),
                Err(_) => {}
            }
            from = end;
        }
        None
    }

    fn open_segment(&self, segment: Segment, from: i64) -> Result<OpenSegment> {
        let limits = recordings(&self.state).map_or_else(|_| Limits::default(), |recordings| recordings.limits);
        let (sender, frames) = mpsc::channel(WAITING);
        // `None` closes the queue.
        let (sender, shown) = (Lock::new(Some(sender)), segment.clone());
        let video = Video::open(&segment.path, limits).map_err(explained)?;
        let labelled = video.encoded;
        let take = move |still: Option<Still>| {
            let mut sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
            match (still, &*sender) {
                (Some(Still { jpeg, time }), Some(queue)) => {
                    // A slow client misses frames.
                    let _ = queue.try_send(RecordedFrame { time: shown_at(&shown, time), labelled, jpeg });
                }
                _ => *sender = None,
            }
        };
        let playing = video.prepare(offset(&segment, from), self.speed, take).map_err(explained)?;
        Ok(OpenSegment { end: segment.end, frames, playing: Some(playing), started: false })
    }
}

/// A file that waits at its first frame, or plays. Stops when dropped.
struct OpenSegment {
    end: i64,
    frames: mpsc::Receiver<RecordedFrame>,
    playing: Option<Playing>,
    started: bool,
}

impl OpenSegment {
    /// Returns the next frame when it is due; `None` after the last one.
    async fn next(&mut self) -> Option<RecordedFrame> {
        if !self.started {
            self.started = true;
            if let Err(error) = self.playing.as_ref()?.start() {
                tracing::warn!("{error}");
                return None;
            }
        }
        self.frames.recv().await
    }
}

impl Drop for OpenSegment {
    fn drop(&mut self) {
        let playing = self.playing.take();
        // Joining threads that read a slow disk must not block the server's thread.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn_blocking(move || drop(playing));
        }
    }
}

/// Plays one file after another for one viewer.
struct Player {
    source: Source,
    current: OpenSegment,
    /// The file after the current one, once it is being opened.
    next: Option<JoinHandle<Option<OpenSegment>>>,
    /// Time of the last frame.
    last: i64,
}

impl Player {
    async fn next(&mut self) -> Option<RecordedFrame> {
        loop {
            let frame = self.current.next().await;
            let is_near = |time: i64| (self.current.end - time) as f64 <= AHEAD * self.source.speed;
            if self.next.is_none() && frame.as_ref().is_none_or(|frame| is_near(frame.time)) {
                self.next = Some(tokio::spawn(self.source.clone().open(self.current.end)));
            }
            match frame {
                Some(frame) if frame.time > self.last => {
                    self.last = frame.time;
                    return Some(frame);
                }
                // Files overlap where the clock was set back.
                Some(_) => {}
                None => self.current = self.next.take()?.await.ok()??,
            }
        }
    }
}
