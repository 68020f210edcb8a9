//! `/api/history/pictures`: the kept pictures of intervals of which nothing was recorded.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::history::query::{self, PicturedInterval};
use crate::report::journal::PictureKind;
use crate::report::picture_file;
use crate::web::auth::encoded;
use crate::web::history::ask;
use crate::web::history_json::moment;
use crate::web::pictures::NOT_KEPT;
use crate::web::state::{ApiError, AppState, NOT_FOUND};

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new().route("/api/history/pictures/{interval}/{file}", get(picture))
}

/// `/api/history/pictures/INTERVAL/KIND.jpg`: the bytes of the picture, if they are still what they were.
async fn picture(
    State(state): State<Arc<AppState>>,
    Path((interval, file)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let interval: PicturedInterval = interval.parse().map_err(|()| NOT_FOUND)?;
    let kind = file.strip_suffix(".jpg").and_then(PictureKind::from_name).ok_or(NOT_FOUND)?;
    let found = ask(&state, move |reader| {
        let found = query::picture(reader, interval, kind)?;
        Ok(found.and_then(|(stream, picture)| {
            let jpeg = picture_file::read(&picture.path, picture.offset, picture.bytes)?;
            Some((stream, picture.at, jpeg))
        }))
    });
    let (stream, at, jpeg) = found.await?.ok_or(NOT_KEPT)?;
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg".to_string()),
        (HeaderName::from_static("x-stream"), encoded(&stream)),
        (HeaderName::from_static("x-time"), moment(at)),
    ];
    Ok((headers, jpeg).into_response())
}
