//! The state that every request handler shares.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use axum::extract::Path;
use axum::http::{HeaderName, StatusCode};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

use crate::config::web::WebConfig;
use crate::control::Control;
use crate::telemetry::{StreamState, Telemetry};
use crate::web::attempts::Attempts;
use crate::web::feed::Feed;
use crate::web::history::History;
use crate::web::json::Offers;
use crate::web::server::Sources;
use crate::web::teach::Teaching;
use crate::web::workers::Workers;

/// The shared state.
pub(super) struct AppState {
    pub telemetry: Arc<Telemetry>,
    pub web_config: WebConfig,
    /// The bound address, with the actual port.
    pub address: SocketAddr,
    pub metrics: PrometheusHandle,
    /// The indexes, if there are any.
    pub history: Option<History>,
    /// The frames that are kept for learning, if any are.
    pub teaching: Option<Teaching>,
    /// The workers, if the page is that of a cluster.
    pub workers: Option<Workers>,
    pub feed: Feed,
    /// Whom to ask for a change; `None` for a finished run.
    pub control: Option<Control>,
    /// The wrong tokens of each address.
    pub attempts: Attempts,
    pub admin_attempts: Attempts,
    /// Becomes true when the run ends.
    pub closing: watch::Receiver<bool>,
    /// Number of open connections.
    pub clients: AtomicUsize,
}

impl AppState {
    pub fn new(
        sources: Sources,
        web_config: WebConfig,
        address: SocketAddr,
        metrics: PrometheusHandle,
        control: Option<Control>,
        closing: watch::Receiver<bool>,
    ) -> Self {
        let Sources { telemetry, history, teaching, workers } = sources;
        let offers = Offers {
            admin: web_config.admin_token.is_some(),
            history: telemetry.history,
            teach: teaching.is_some(),
            workers: workers.is_some(),
        };
        let feed = Feed::new(telemetry.streams().len(), offers);
        Self {
            telemetry,
            web_config,
            address,
            metrics,
            history,
            teaching,
            workers,
            feed,
            control,
            attempts: Attempts::default(),
            admin_attempts: Attempts::default(),
            closing,
            clients: AtomicUsize::new(0),
        }
    }

    pub fn find(&self, name: &str) -> Result<Arc<StreamState>, ApiError> {
        self.telemetry.find(name).ok_or((
            StatusCode::NOT_FOUND,
            "no stream has this name
",
        ))
    }

    /// Waits until the run ends.
    pub async fn closed(&self) {
        let _ = self.closing.clone().wait_for(|closing| *closing).await;
    }
}

/// An error response.
pub(super) type ApiError = (StatusCode, &'static str);

/// The response for an unknown path.
pub(super) const NOT_FOUND: ApiError = (StatusCode::NOT_FOUND, "not found\n");

/// Tells proxies not to buffer a streaming response.
pub(super) const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// The stream's name in a path, percent-decoded.
pub(super) type Name = Path<String>;
