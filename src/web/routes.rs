//! What is found under which path.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

use crate::telemetry::{StreamState, Telemetry};
use crate::web::config::WebConfig;
use crate::web::feed::Feed;
use crate::web::recording::{self, Replay};
use crate::web::{api, auth, events, metrics, page, pictures};

/// What every answer is made from.
pub(super) struct AppState {
    pub telemetry: Arc<Telemetry>,
    /// Served instead of the telemetry, for a finished run.
    pub replay: Option<Arc<Replay>>,
    pub access: WebConfig,
    /// Where it is really listened, where the port was left to the system.
    pub address: SocketAddr,
    pub metrics: PrometheusHandle,
    pub feed: Feed,
    /// Becomes true when the run ends.
    pub closing: watch::Receiver<bool>,
    /// Connections that are open.
    pub clients: AtomicUsize,
}

impl AppState {
    pub fn find(&self, name: &str) -> Result<&Arc<StreamState>, ApiError> {
        self.telemetry.find(name).ok_or((
            StatusCode::NOT_FOUND,
            "there is no stream of that name
",
        ))
    }

    /// Waits until the run ends.
    pub async fn closed(&self) {
        let _ = self.closing.clone().wait_for(|closing| *closing).await;
    }
}

/// Why a request is not answered as it wishes.
pub(super) type ApiError = (StatusCode, &'static str);

/// Where nothing is to be found.
pub(super) const NOTHING: ApiError = (StatusCode::NOT_FOUND, "there is nothing here\n");

/// For proxies: what comes bit by bit is not to be held back.
pub(super) const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

pub(super) fn router(state: Arc<AppState>) -> Router {
    let content = match &state.replay {
        Some(replay) => recording::routes(Arc::clone(replay)),
        None => live(),
    };
    Router::new()
        .merge(page::routes())
        .merge(content)
        .fallback(|| async { NOTHING })
        .layer(middleware::from_fn_with_state(Arc::clone(&state), auth::check))
        .with_state(state)
}

fn live() -> Router<Arc<AppState>> {
    Router::new()
        .route("/api/streams", get(api::streams))
        .route("/api/streams/{name}/timeline", get(api::timeline))
        .route("/api/events", get(events::events))
        .route("/pictures", get(pictures::several))
        .route("/snapshot.jpg", get(pictures::snapshot))
        .route("/streams/{file}", get(pictures::one))
        .route("/streams/{name}/snapshot.jpg", get(pictures::snapshot_of))
        .route("/healthz", get(healthz))
        .route("/metrics", get(scrape))
}

/// Whether every stream brings what it should.
async fn healthz(State(state): State<Arc<AppState>>) -> Response {
    let down: String = state
        .telemetry
        .streams
        .iter()
        .filter_map(|post| {
            let status = post.status();
            let reason = status.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            post.is_down(status.state).then(|| format!("{}: {}{reason}\n", post.subject.name, status.state.name()))
        })
        .collect();
    match down.is_empty() {
        true => "ok\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, down).into_response(),
    }
}

async fn scrape(State(state): State<Arc<AppState>>) -> impl IntoResponse {
    metrics::gather(&state.telemetry, state.clients.load(Ordering::Relaxed));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.metrics.render())
}

/// The name in a path, decoded.
pub(super) type Name = Path<String>;
