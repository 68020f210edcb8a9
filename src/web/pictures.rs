//! Snapshots, MJPEG streams, and the kept pictures of intervals. Snapshots and streams have the JPEGs of the recording,
//! without a copy.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::telemetry::{Picture, StreamState};
use crate::web::auth::encoded;
use crate::web::state::{ApiError, AppState, NOT_FOUND, Name, UNBUFFERED};

const MULTIPART: &str = "multipart/x-mixed-replace; boundary=picture";
const BOUNDARY: &[u8] = b"--picture\r\n";
/// Sent after each picture rather than before the next, because browsers show a picture only when its boundary arrives.
const NEXT: &[u8] = b"\r\n--picture\r\n";
/// Frames a second that a viewer may request.
const RATES: std::ops::RangeInclusive<f64> = 0.1..=60.0;
/// Maximum age of the latest picture for a new viewer, in milliseconds.
const RECENT: f64 = 2000.0;
/// How long a snapshot waits for a picture.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) const NOT_KEPT: ApiError = (StatusCode::NOT_FOUND, "no picture of this interval is kept\n");

type Pairs = Query<Vec<(String, String)>>;

/// `/pictures`: several streams over one connection.
pub(super) async fn several(State(state): State<Arc<AppState>>, Query(pairs): Pairs) -> Result<Response, ApiError> {
    let spacing = spacing(&pairs)?;
    let named = pairs.iter().filter(|(key, _)| key == "stream").map(|(_, name)| name);
    let mut streams: Vec<Arc<StreamState>> = Vec::new();
    for name in named {
        let stream = state.find(name)?;
        if !streams.iter().any(|other| Arc::ptr_eq(other, &stream)) {
            streams.push(stream);
        }
    }
    if streams.is_empty() {
        streams = state.telemetry.streams().to_vec();
    }
    let feeds: Vec<_> = streams.iter().map(|stream| feed(stream, spacing)).collect();
    Ok(multipart(feeds, Arc::clone(&state)))
}

/// `/streams/NAME.mjpg`: MJPEG for `<img>`, VLC and home automation.
pub(super) async fn one(
    State(state): State<Arc<AppState>>,
    Path(file): Name,
    Query(pairs): Pairs,
) -> Result<Response, ApiError> {
    let name = file.strip_suffix(".mjpg").ok_or(NOT_FOUND)?;
    let stream = state.find(name)?;
    let feed = feed(&stream, spacing(&pairs)?);
    Ok(multipart(vec![feed], Arc::clone(&state)))
}

/// `/streams/NAME/snapshot.jpg`: one picture.
pub(super) async fn snapshot_of(State(state): State<Arc<AppState>>, Path(name): Name) -> Result<Response, ApiError> {
    take_snapshot(&*state.find(&name)?).await
}

/// `/snapshot.jpg`: one picture, of the first stream unless the query names one.
pub(super) async fn snapshot(State(state): State<Arc<AppState>>, Query(pairs): Pairs) -> Result<Response, ApiError> {
    let named = pairs.iter().find(|(key, _)| key == "stream");
    let stream = match (named, state.telemetry.streams().first()) {
        (Some((_, name)), _) => state.find(name)?,
        (None, Some(first)) => Arc::clone(first),
        (None, None) => return Err(NOT_FOUND),
    };
    take_snapshot(&stream).await
}

async fn take_snapshot(stream: &StreamState) -> Result<Response, ApiError> {
    let mut pictures = watch_recent(stream);
    let next = timeout(SNAPSHOT_TIMEOUT, pictures.changed()).await;
    let picture = match next {
        Ok(Ok(())) => pictures.borrow_and_update().clone(),
        _ => stream.pictures.latest(),
    };
    let Some(picture) = picture else {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "no picture yet\n"));
    };
    Ok(jpeg_response(stream, picture))
}

/// `/api/streams/NAME/intervals/ID.jpg`: the kept picture of an interval.
pub(super) async fn kept(
    State(state): State<Arc<AppState>>,
    Path((name, file)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let stream = state.find(&name)?;
    let id = file.strip_suffix(".jpg").and_then(|id| id.parse().ok()).ok_or(NOT_FOUND)?;
    let picture = stream.kept.get(id).ok_or(NOT_KEPT)?;
    Ok(jpeg_response(&stream, picture))
}

fn jpeg_response(stream: &StreamState, Picture { jpeg, ms }: Picture) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg".to_string()),
        (HeaderName::from_static("x-stream"), encoded(&stream.info.name)),
        (HeaderName::from_static("x-time-ms"), ms.to_string()),
    ];
    (headers, jpeg).into_response()
}

/// Watches a stream's pictures, from the latest one on if it is recent.
fn watch_recent(stream: &StreamState) -> watch::Receiver<Option<Picture>> {
    let mut pictures = stream.pictures.subscribe();
    let now = stream.now_ms();
    if pictures.borrow().as_ref().is_some_and(|latest| latest.ms + RECENT > now) {
        pictures.mark_changed();
    }
    pictures
}

fn spacing(pairs: &[(String, String)]) -> Result<Duration, ApiError> {
    let Some((_, written)) = pairs.iter().find(|(key, _)| key == "fps") else { return Ok(Duration::ZERO) };
    match written.parse::<f64>() {
        Ok(rate) if RATES.contains(&rate) => Ok(Duration::from_secs_f64(1.0 / rate)),
        _ => Err((StatusCode::BAD_REQUEST, "fps must be a number from 0.1 to 60\n")),
    }
}

/// One stream's pictures for one viewer. Each is the latest one at the time when the connection can take it.
fn feed(stream: &Arc<StreamState>, spacing: Duration) -> BoxStream<'static, [Bytes; 3]> {
    let start = (watch_recent(stream), encoded(&stream.info.name), Instant::now());
    stream::unfold(start, move |(mut pictures, name, due)| async move {
        sleep_until(due).await;
        loop {
            pictures.changed().await.ok()?;
            let latest = pictures.borrow_and_update().clone();
            if let Some(picture) = latest {
                let due = (due + spacing).max(Instant::now() - spacing);
                return Some((part(&name, picture), (pictures, name, due)));
            }
        }
    })
    .boxed()
}

/// One part of the multipart body: header, JPEG, and the boundary after it. `name` is percent-encoded.
pub(super) fn part(name: &str, Picture { jpeg, ms }: Picture) -> [Bytes; 3] {
    part_at(name, jpeg, &format!("X-Time-Ms: {ms}"))
}

/// A part whose header has the line `time`.
pub(super) fn part_at(name: &str, jpeg: Bytes, time: &str) -> [Bytes; 3] {
    let length = jpeg.len();
    let head = format!("Content-Type: image/jpeg\r\nContent-Length: {length}\r\nX-Stream: {name}\r\n{time}\r\n\r\n");
    [head.into(), jpeg, Bytes::from_static(NEXT)]
}

pub(super) fn multipart(feeds: Vec<BoxStream<'static, [Bytes; 3]>>, state: Arc<AppState>) -> Response {
    let pictures = stream::select_all(feeds).flat_map(stream::iter);
    let all = stream::iter([Bytes::from_static(BOUNDARY)]).chain(pictures);
    let until_closed = all.take_until(Box::pin(async move { state.closed().await }));
    let body = Body::from_stream(until_closed.map(Ok::<_, Infallible>));
    ([(header::CONTENT_TYPE, MULTIPART), UNBUFFERED], body).into_response()
}
