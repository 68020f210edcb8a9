//! `/api/history/export.mkv` and `.mp4`: a stretch of what was recorded, in one file.
//!
//! It is written to a file without a name first, so that it has an index and its length is known, and that a failure is told rather
//! than sent as half a file.

use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use crate::error::Error;
use crate::history::query::{self, Segment};
use crate::media::cut::{CutError, Part, cut};
use crate::media::recorder::Container;
use crate::system::disk;
use crate::system::utc;
use crate::web::history::{Pairs, ask_about, range, stream_name};
use crate::web::history_json::moment;
use crate::web::state::{ApiError, AppState, NOT_FOUND};

/// Exports at once, from the request to the last byte that is sent.
const EXPORTS: usize = 2;
/// The longest stretch, in milliseconds.
const LONGEST: i64 = 4 * 3_600_000;
/// Files of a stretch, at most: recordings of a second.
const MAX_FILES: usize = 20_000;
/// How much earlier than the end of the file before it a file may begin, in milliseconds: each has the time of the clock at its own
/// beginning, and the clock is adjusted meanwhile.
const MAX_SLEW: i64 = 1000;
/// Space that an export leaves free, in bytes.
const RESERVE: u64 = 256 << 20;
/// Bytes that are read at once to be sent.
const CHUNK: u64 = 256 << 10;
/// Characters of a stream's name in the name of the file.
const MAX_NAME: usize = 64;

const TOO_LONG: ApiError = (StatusCode::BAD_REQUEST, "an export has at most 4 hours\n");
const TOO_MANY: ApiError = (StatusCode::SERVICE_UNAVAILABLE, "too many exports at once\n");
const NOT_RECORDED: ApiError = (StatusCode::NOT_FOUND, "nothing is recorded in this stretch\n");
const UNFIT: ApiError = (StatusCode::CONFLICT, "an MP4 file cannot hold this video; export it as .mkv\n");
const FULL: ApiError = (StatusCode::INSUFFICIENT_STORAGE, "the disk has too little space for the export\n");
const UNREADABLE: ApiError = (StatusCode::INTERNAL_SERVER_ERROR, "the recording cannot be exported\n");

/// An error response, whose reason may name a time.
type Refusal = (StatusCode, Cow<'static, str>);

fn refused((status, reason): ApiError) -> Refusal {
    (status, reason.into())
}

/// What exports recordings.
pub(super) struct Exports(Arc<Semaphore>);

impl Default for Exports {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(EXPORTS)))
    }
}

pub(super) fn routes() -> Router<Arc<AppState>> {
    type At = State<Arc<AppState>>;
    Router::new()
        .route("/api/history/export.mkv", get(|state: At, query| export(state, query, Container::Matroska)))
        .route("/api/history/export.mp4", get(|state: At, query| export(state, query, Container::Mp4)))
}

/// Stops the work for a client that has gone.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn export(State(state): State<Arc<AppState>>, query: Pairs, container: Container) -> Result<Response, Refusal> {
    let exports = state.history.as_ref().map(|history| &history.exports).ok_or(refused(NOT_FOUND))?;
    let name = stream_name(&query).map_err(refused)?;
    let range = range(&query).map_err(refused)?;
    if range.1 - range.0 > LONGEST {
        return Err(refused(TOO_LONG));
    }
    let permit = Arc::clone(&exports.0).try_acquire_owned().map_err(|_| refused(TOO_MANY))?;
    let segments = find(&state, &name, range).await.map_err(refused)?;
    let first = segments.first().ok_or(refused(NOT_RECORDED))?.start.max(range.0);
    let stopped = Arc::new(AtomicBool::new(false));
    let _stop = Stop(Arc::clone(&stopped));
    let made = spawn_blocking(move || {
        // The permit is held as long as the file is written, also if the client has gone.
        make(&segments, range, container, &stopped).map(|made| (made, permit))
    });
    let ((file, length), permit) = made.await.map_err(|_| refused(UNREADABLE))??;
    let kind = if container == Container::Mp4 { "video/mp4" } else { "video/x-matroska" };
    let began = OffsetDateTime::UNIX_EPOCH.saturating_add(time::Duration::milliseconds(first));
    let named = format!("{}-{}.{}", harmless(&name), utc::stamp(began), container.extension());
    let headers = [
        (header::CONTENT_TYPE, kind.to_string()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{named}\"")),
    ];
    Ok((headers, body(file, length, permit, state)).into_response())
}

/// Returns the recorded files of the stretch.
async fn find(state: &Arc<AppState>, name: &str, range: (i64, i64)) -> Result<Vec<Segment>, ApiError> {
    let found = ask_about(state, name, move |reader, name| query::segments(reader, name, range, MAX_FILES));
    Ok(one_after_another(found.await?))
}

/// Leaves out files that overlap an earlier one, where the clock was set back.
fn one_after_another(mut segments: Vec<Segment>) -> Vec<Segment> {
    let mut end = i64::MIN;
    segments.retain(|segment| {
        let follows = segment.start.saturating_add(MAX_SLEW) >= end;
        end = if follows { segment.end.max(end) } else { end };
        follows
    });
    segments
}

/// Writes the export to a file without a name, on the disk of the recordings if it can be written. Returns it with its length.
fn make(
    segments: &[Segment],
    range: (i64, i64),
    container: Container,
    stopped: &AtomicBool,
) -> Result<(File, u64), Refusal> {
    let folder = segments.first().and_then(|segment| segment.path.parent()).unwrap_or(Path::new("."));
    let elsewhere = std::env::temp_dir();
    let made = tempfile::tempfile_in(folder).map(|file| (file, folder));
    let made = made.or_else(|_| tempfile::tempfile_in(&elsewhere).map(|file| (file, elsewhere.as_path())));
    let (file, folder) = made.map_err(|cause| failed(&Error::unwritable(&elsewhere, cause)))?;
    let needed: u64 = segments.iter().map(|segment| share(segment, range)).sum();
    if disk::free(folder).is_some_and(|free| free < needed + RESERVE) {
        return Err(refused(FULL));
    }
    let part = |segment: &Segment| Part { path: segment.path.clone(), start: segment.start, end: segment.end };
    let parts: Vec<Part> = segments.iter().map(part).collect();
    cut(&parts, range, container, &file, stopped).map_err(|why| match why {
        CutError::Changes(at) => {
            let reason = "the camera's video changes in this stretch, and one file cannot hold both; export up to";
            (StatusCode::CONFLICT, format!("{reason} {}, and from there on\n", moment(at)).into())
        }
        CutError::Unfit => refused(UNFIT),
        CutError::Empty => refused(NOT_RECORDED),
        CutError::Stopped => refused(UNREADABLE),
        CutError::Failed(error) => failed(&error),
    })?;
    let length = file.metadata().map_err(|cause| failed(&Error::unwritable(folder, cause)))?.len();
    Ok((file, length))
}

fn failed(error: &Error) -> Refusal {
    tracing::warn!("{error}");
    refused(UNREADABLE)
}

/// Returns about how many bytes of a file lie in the stretch.
fn share(segment: &Segment, (from, to): (i64, i64)) -> u64 {
    let whole = (segment.end - segment.start).max(1) as f64;
    let shown = (segment.end.min(to) - segment.start.max(from)).max(0) as f64;
    (segment.bytes as f64 * (shown / whole).min(1.0)) as u64
}

/// Sends a file piece by piece. The permit is held until the end.
fn body(file: File, length: u64, permit: OwnedSemaphorePermit, state: Arc<AppState>) -> Body {
    let start = (Arc::new(file), 0, permit);
    let pieces = stream::unfold(start, move |(file, at, permit)| async move {
        let size = CHUNK.min(length.saturating_sub(at));
        if size == 0 {
            return None;
        }
        let source = Arc::clone(&file);
        let read = spawn_blocking(move || {
            let mut piece = vec![0; size as usize];
            source.read_exact_at(&mut piece, at).map(|()| Bytes::from(piece))
        });
        let piece = read.await.unwrap_or_else(|cause| Err(std::io::Error::other(cause)));
        Some((piece, (file, at + size, permit)))
    });
    Body::from_stream(pieces.take_until(Box::pin(async move { state.closed().await })))
}

/// Returns a stream's name for the name of a file: letters, digits, dots, dashes and underscores.
fn harmless(name: &str) -> String {
    let kept = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    let mut safe: String =
        name.chars().take(MAX_NAME).map(|letter| if kept(letter) || letter == '.' { letter } else { '_' }).collect();
    // A name that begins with a dot is hidden.
    if !safe.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        safe.insert_str(0, "stream");
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_harmless() {
        for (name, safe) in [
            ("door", "door"),
            ("Front door.2", "Front_door.2"),
            ("../../etc/passwd", "stream.._.._etc_passwd"),
            ("", "stream"),
            ("Tür\"\r\nX: y", "T_r___X__y"),
        ] {
            assert_eq!(harmless(name), safe, "{name}");
        }
        assert_eq!(harmless(&"a".repeat(1000)).len(), MAX_NAME);
    }

    #[test]
    fn only_files_of_a_clock_that_was_set_back_are_left_out() {
        let segments = |spans: &[(i64, i64)]| -> Vec<Segment> {
            spans.iter().map(|&(start, end)| Segment { path: "door.mkv".into(), start, end, bytes: 1 }).collect()
        };
        // Their times are rounded, and the clock is adjusted while they are recorded.
        let adjusted = segments(&[(0, 600_000), (599_999, 1_200_000), (1_199_700, 1_800_000), (1_800_000, 1_900_000)]);
        assert_eq!(one_after_another(adjusted.clone()), adjusted);
        let set_back = segments(&[(0, 600_000), (595_000, 1_195_000), (600_000, 1_200_000)]);
        assert_eq!(one_after_another(set_back.clone()), [set_back[0].clone(), set_back[2].clone()]);
    }
}
