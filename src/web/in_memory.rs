//! The page's server without a socket, for tests with many requests.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::options::RunOptions;
use crate::config::web::WebConfig;
use crate::history::Place;
use crate::media::limits::Limits;
use crate::system::clock::SystemClock;
use crate::telemetry::{LabelSettings, StreamInfo, StreamState, Telemetry};
use crate::web::admin::Peer;
use crate::web::history::History;
use crate::web::routes;
use crate::web::server::{Sources, requests};
use crate::web::state::AppState;

/// Bytes that may wait in one direction.
const BUFFER: usize = 256 << 10;
/// A response is complete if nothing comes for this long. Some responses never end.
const IDLE: Duration = Duration::from_millis(2);
/// The most that is read of a response.
const MOST: usize = 1 << 20;

/// A server for one connection after the other.
pub struct InMemoryServer {
    state: Arc<AppState>,
    router: axum::Router,
    runtime: Runtime,
    _closing: watch::Sender<bool>,
}

impl InMemoryServer {
    /// Serves a camera `door` and the history of `folder`, which the token protects if there is one.
    pub fn new(folder: &Path, token: Option<&str>) -> Self {
        let options = RunOptions {
            web: Some("127.0.0.1:8080".into()),
            web_token: token.map(Into::into),
            ..RunOptions::default()
        };
        let web_config = WebConfig::resolve(&options).ok().flatten().expect("a valid page");
        let info = StreamInfo {
            name: "door".into(),
            input: "rtsp://door/".into(),
            live: true,
            labels: vec!["cooking".into(), "drinking".into()],
        };
        let clock = SystemClock::shared();
        let stream = Arc::new(StreamState::new(info, LabelSettings::default(), true, &clock));
        let history = History::new(vec![Place::of_run(folder)], None, Limits::default());
        let telemetry = Arc::new(Telemetry::new(vec![stream], true, &clock));
        let sources = Sources { telemetry, history: Some(history), teaching: None, workers: None };
        let (closing, closed) = watch::channel(false);
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let state = Arc::new(AppState::new(sources, web_config, address, metrics, None, closed));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let peer = Peer(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let router = routes::router(Arc::clone(&state), None).layer(Extension(peer));
        Self { state, router, runtime, _closing: closing }
    }

    /// Returns what a connection answers to `bytes`, at least as far as it comes at once.
    pub fn answer(&self, bytes: &[u8]) -> Vec<u8> {
        self.runtime.block_on(async {
            let (client, server) = duplex(BUFFER);
            let (mut reader, mut writer) = tokio::io::split(client);
            let service = TowerToHyperService::new(self.router.clone());
            let serve = requests(server, service, &self.state);
            let talk = async {
                let write = writer.write_all(bytes);
                let read = async {
                    let mut answer = Vec::new();
                    while let Ok(Ok(count)) = timeout(IDLE, reader.read_buf(&mut answer)).await
                        && count > 0
                        && answer.len() < MOST
                    {}
                    answer
                };
                let (_, answer) = tokio::join!(write, read);
                answer
            };
            tokio::select! {
                answer = talk => answer,
                // The rest of the answer was read, or nobody can read it.
                () = async { serve.await; std::future::pending().await } => unreachable!("never ends"),
            }
        })
    }
}
