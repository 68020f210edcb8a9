//! JSON endpoints: the state of all streams, their last intervals, and the last minutes of one.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::system::utc;
use crate::web::json;
use crate::web::state::{ApiError, AppState, Name};

pub(super) async fn streams(State(state): State<Arc<AppState>>) -> Response {
    let AppState { telemetry, feed, .. } = &*state;
    Json(json::all(&telemetry.streams(), telemetry.started, feed.offers)).into_response()
}

/// `/api/intervals`: the last intervals and gaps of every stream, for the wall.
pub(super) async fn intervals(State(state): State<Arc<AppState>>) -> Response {
    let streams: Vec<Value> = state
        .telemetry
        .streams()
        .iter()
        .map(|stream| {
            let all = stream.since(0);
            json!({
                "name": stream.info.name,
                "start_time": utc::milliseconds(stream.start_time().unwrap_or(state.telemetry.started)),
                "intervals": json::live_intervals(&all.intervals, stream),
                "gaps": json::gaps(&all.gaps),
            })
        })
        .collect();
    Json(json!({ "streams": streams })).into_response()
}

/// `/api/streams/NAME/timeline`: the last minutes of one stream.
pub(super) async fn timeline(State(state): State<Arc<AppState>>, Path(name): Name) -> Result<Response, ApiError> {
    let stream = state.find(&name)?;
    let all = stream.since(0);
    let labels = &stream.info.labels;
    let settings = stream.settings();
    let body = json!({
        "name": name,
        "labels": labels,
        "threshold": settings.threshold,
        "action": settings.action,
        "now_ms": stream.now_ms(),
        "start_time": utc::milliseconds(stream.start_time().unwrap_or(state.telemetry.started)),
        "rows": json::rows(&all.rows),
        "intervals": json::live_intervals(&all.intervals, &stream),
        "gaps": json::gaps(&all.gaps),
    });
    Ok(Json(body).into_response())
}
