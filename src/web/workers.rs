//! `/api/workers`: the workers of a cluster, where the page is that of one.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::web::state::{ApiError, AppState, NOT_FOUND};

/// Returns what each worker says of itself, as JSON.
pub type Workers = Arc<dyn Fn() -> Value + Send + Sync>;

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new().route("/api/workers", get(workers))
}

async fn workers(State(state): State<Arc<AppState>>) -> Result<Response, ApiError> {
    let workers = state.workers.as_ref().ok_or(NOT_FOUND)?;
    Ok(Json(json!({ "workers": workers() })).into_response())
}
