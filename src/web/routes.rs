//! The routes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::web::recording::{self, Replay};
use crate::web::state::{AppState, NOT_FOUND};
use crate::web::{
    actions, admin, api, auth, events, history, metrics, page, pictures, teach, teach_intervals, teach_models, workers,
};

/// Builds the router: for a finished run the routes of `replay`, otherwise those of the live streams.
pub(super) fn router(state: Arc<AppState>, replay: Option<Replay>) -> Router {
    let content = match replay {
        Some(replay) => recording::routes(Arc::new(replay)),
        None => {
            let read = live();
            let read = if state.workers.is_some() { read.merge(workers::routes()) } else { read };
            let teach = state.teaching.is_some();
            let read = if teach { read.merge(teach::routes()).merge(teach_models::routes()) } else { read };
            let write = actions::routes();
            let write = if teach {
                write.merge(teach::actions()).merge(teach_intervals::actions()).merge(teach_models::actions())
            } else {
                write
            };
            if state.web_config.admin_token.is_some() { read.merge(admin::routes(write)) } else { read }
        }
    };
    Router::new()
        .merge(page::routes())
        .merge(content)
        .fallback(|| async { NOT_FOUND })
        .layer(middleware::from_fn_with_state(Arc::clone(&state), auth::check))
        .with_state(state)
}

fn live() -> Router<Arc<AppState>> {
    Router::new()
        .route("/api/streams", get(api::streams))
        .route("/api/streams/{name}/timeline", get(api::timeline))
        .route("/api/streams/{name}/intervals/{file}", get(pictures::kept))
        .route("/api/intervals", get(api::intervals))
        .route("/api/events", get(events::events))
        .route("/pictures", get(pictures::several))
        .route("/snapshot.jpg", get(pictures::snapshot))
        .route("/streams/{file}", get(pictures::one))
        .route("/streams/{name}/snapshot.jpg", get(pictures::snapshot_of))
        .route("/healthz", get(healthz))
        .route("/metrics", get(scrape))
        .merge(history::routes())
}

/// `/healthz`: 200 if every stream delivers frames, otherwise 503 with the streams that do not.
async fn healthz(State(state): State<Arc<AppState>>) -> Response {
    let down: String = state
        .telemetry
        .streams()
        .iter()
        .filter_map(|stream| {
            let status = stream.status();
            let reason = status.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            stream.is_down(status.state).then(|| format!("{}: {}{reason}\n", stream.info.name, status.state.name()))
        })
        .collect();
    match down.is_empty() {
        true => "ok\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, down).into_response(),
    }
}

async fn scrape(State(state): State<Arc<AppState>>) -> impl IntoResponse {
    let text = metrics::scrape(
        &state.metrics,
        &state.telemetry,
        state.teaching.as_ref().map(|teaching| &teaching.learning),
        state.clients.load(Ordering::Relaxed),
    );
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
