//! What every request handler works with.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use axum::extract::Path;
use axum::http::{HeaderName, StatusCode};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

use crate::config::web::WebConfig;
use crate::telemetry::{StreamState, Telemetry};
use crate::web::feed::Feed;

/// What every answer is made from.
pub(super) struct AppState {
    pub telemetry: Arc<Telemetry>,
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

/// The name in a path, decoded.
pub(super) type Name = Path<String>;
