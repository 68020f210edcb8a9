//! Serves a finished run instead of live streams: its timeline, and the pictures of its video from any time on.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use crate::error::Result;
use crate::media::replay::{Playing, Seeker, Still, Video};
use crate::report::milliseconds;
use crate::system::utc;
use crate::telemetry::{FinishedRun, Picture};
use crate::web::auth::encoded;
use crate::web::json;
use crate::web::pictures::{multipart, part};
use crate::web::state::{ApiError, AppState, Name, UNBUFFERED};

/// Maximum number of viewers that play at once. Each has its own decoder.
const PLAYERS: usize = 8;
/// Time between two keep-alive events.
const INTERVAL: Duration = Duration::from_secs(1);
/// Playback speeds, as multiples of real time.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.1..=8.0;
/// The largest time in a video, in milliseconds: a year.
const LATEST: f64 = 366.0 * 86_400_000.0;
const UNREADABLE: ApiError = (StatusCode::INTERNAL_SERVER_ERROR, "the video cannot be read at this time\n");

/// A finished run with its video.
pub struct Replay {
    recording: FinishedRun,
    video: Video,
    seeker: Arc<Mutex<Seeker>>,
    players: Arc<Semaphore>,
}

impl Replay {
    /// # Errors
    /// `Input` if the video cannot be played.
    pub fn new(recording: FinishedRun, video: Video) -> Result<Self> {
        let seeker = Arc::new(Mutex::new(video.seeker()?));
        Ok(Self { recording, video, seeker, players: Arc::new(Semaphore::new(PLAYERS)) })
    }

    fn duration(&self) -> f64 {
        self.video.duration.map_or(self.recording.end, milliseconds)
    }

    fn streams(&self, state: &AppState) -> Value {
        let FinishedRun { info, settings, started, frames, .. } = &self.recording;
        let mut dropped = frames.dropped.clone();
        dropped.entry("overrun".into()).or_default();
        let delay = json!({ "p50": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0 });
        let stream = json!({
            "name": info.name,
            "input": info.input,
            "live": false,
            "state": "ended",
            "since": utc::milliseconds(*started),
            "reason": null,
            "label": null,
            "confidence": 0.0,
            "labels": info.labels,
            "threshold": settings.threshold,
            "action": settings.action,
            "position_ms": self.duration(),
            "duration_ms": self.duration(),
            "start_time": utc::milliseconds(*started),
            "frames_per_second": (10.0 * self.recording.rate).round() / 10.0,
            "latency_ms": delay,
            "label_delay_ms": null,
            "shortest_ms": self.recording.shortest,
            "stride": self.recording.stride,
            "frames": {
                "decoded": frames.decoded, "analysed": frames.analysed, "held": frames.held, "dropped": dropped,
                "in_flight": 0,
            },
            "reconnects": 0,
            "stalls": 0,
            "gaps": self.recording.gaps.len(),
            "size": self.video.size,
        });
        json!({ "server": json::server(state.telemetry.started), "mode": "recording", "history": false, "streams": [stream] })
    }
}

pub(super) fn routes(replay: Arc<Replay>) -> Router<Arc<AppState>> {
    type At = State<Arc<AppState>>;
    let (all, events) = (Arc::clone(&replay), Arc::clone(&replay));
    let (moments, playing) = (Arc::clone(&replay), Arc::clone(&replay));
    Router::new()
        .route("/api/streams", get(|State(state): At| async move { Json(all.streams(&state)) }))
        .route("/api/streams/{name}/timeline", get(|name| async move { timeline(&moments, name) }))
        .route("/api/events", get(|State(state): At| async move { keep_alive(&events, state) }))
        .route("/recording/pictures", get(|State(state): At, query| async move { play(&playing, &state, query).await }))
        .route("/recording/picture.jpg", get(|query| async move { picture(&replay, query).await }))
        .route("/healthz", get(|| async { "ok\n" }))
}

fn timeline(replay: &Replay, Path(name): Name) -> Result<Response, ApiError> {
    let FinishedRun { info, settings, started, rows, intervals, gaps, .. } = &replay.recording;
    if name != info.name {
        return Err((StatusCode::NOT_FOUND, "no stream has this name\n"));
    }
    let body = json!({
        "name": name,
        "labels": info.labels,
        "threshold": settings.threshold,
        "action": settings.action,
        "now_ms": replay.duration(),
        "start_time": utc::milliseconds(*started),
        "rows": json::rows(rows),
        "intervals": json::intervals(intervals, &info.labels, |_| None),
        "gaps": json::gaps(gaps),
    });
    Ok(Json(body).into_response())
}

/// Sends the unchanging state again and again, so that the page knows that the server still runs.
fn keep_alive(replay: &Arc<Replay>, state: Arc<AppState>) -> Response {
    let start = (Arc::clone(replay), state, true);
    let events = stream::unfold(start, |(replay, state, first)| async move {
        if !first && timeout(INTERVAL, state.closed()).await.is_ok() {
            return None;
        }
        let event = Event::default().event("streams").json_data(replay.streams(&state)).ok()?;
        Some((Ok::<_, Infallible>(event), (replay, state, false)))
    });
    ([UNBUFFERED], Sse::new(events)).into_response()
}

type Pairs = Query<Vec<(String, String)>>;

/// Returns a number from the query, or `usual`; `None` if it is not in `range`.
fn number(query: &Pairs, key: &str, usual: f64, range: std::ops::RangeInclusive<f64>) -> Option<f64> {
    match query.iter().find(|(name, _)| name == key) {
        None => Some(usual),
        Some((_, written)) => written.parse().ok().filter(|number| range.contains(number)),
    }
}

fn moment(query: &Pairs, key: &str) -> Result<u64, ApiError> {
    let ms = number(query, key, 0.0, 0.0..=LATEST);
    let ms = ms.ok_or((StatusCode::BAD_REQUEST, "a time must be a number of milliseconds, 0 or more\n"))?;
    // Times have six decimals. A double of milliseconds keeps nanoseconds for a hundred days.
    Ok((1e6 * ms).round() as u64)
}

/// `/recording/picture.jpg?at=MS`: the frame at that time.
async fn picture(replay: &Replay, query: Pairs) -> Result<Response, ApiError> {
    let at = moment(&query, "at")?;
    let mut seeker = Arc::clone(&replay.seeker).lock_owned().await;
    let found = tokio::task::spawn_blocking(move || seeker.at(at)).await;
    let Still { jpeg, time } = match found {
        Ok(Ok(shot)) => shot,
        Ok(Err(error)) => {
            tracing::warn!("{error}");
            return Err(UNREADABLE);
        }
        Err(_) => return Err(UNREADABLE),
    };
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg".to_string()),
        (HeaderName::from_static("x-stream"), encoded(&replay.recording.info.name)),
        (HeaderName::from_static("x-time-ms"), milliseconds(time).to_string()),
    ];
    Ok((headers, jpeg).into_response())
}

/// What a viewer gets next.
#[derive(Clone)]
enum Shown {
    Nothing,
    Picture(Picture),
    End,
}

/// `/recording/pictures?from=MS&speed=1`: plays the video from that time to the end.
async fn play(replay: &Replay, state: &Arc<AppState>, query: Pairs) -> Result<Response, ApiError> {
    let from = moment(&query, "from")?;
    let speed = number(&query, "speed", 1.0, SPEEDS);
    let speed = speed.ok_or((StatusCode::BAD_REQUEST, "speed must be a number from 0.1 to 8\n"))?;
    let permit = Arc::clone(&replay.players).try_acquire_owned();
    let permit = permit.map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, "too many viewers\n"))?;
    let (sender, shown) = watch::channel(Shown::Nothing);
    let take = move |shot: Option<Still>| {
        sender.send_replace(match shot {
            Some(Still { jpeg, time }) => Shown::Picture(Picture { jpeg, ms: milliseconds(time) }),
            None => Shown::End,
        });
    };
    let video = replay.video.clone();
    let started = tokio::task::spawn_blocking(move || video.play(from, speed, take)).await;
    let player = match started {
        Ok(Ok(playing)) => Player { playing: Some(playing), _permit: permit },
        Ok(Err(error)) => {
            tracing::warn!("{error}");
            return Err(UNREADABLE);
        }
        Err(_) => return Err(UNREADABLE),
    };
    let name = encoded(&replay.recording.info.name);
    let feed = stream::unfold((shown, player, name), |(mut shown, player, name)| async move {
        loop {
            shown.changed().await.ok()?;
            let latest = shown.borrow_and_update().clone();
            match latest {
                Shown::Picture(picture) => return Some((part(&name, picture), (shown, player, name))),
                Shown::Nothing => {}
                Shown::End => return None,
            }
        }
    });
    Ok(multipart(vec![feed.boxed()], Arc::clone(state)))
}

/// Plays for one viewer. Stops when dropped.
struct Player {
    playing: Option<Playing>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Player {
    fn drop(&mut self) {
        let playing = self.playing.take();
        // Joining threads that read a slow disk must not block the server's thread.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(playing));
        }
    }
}
