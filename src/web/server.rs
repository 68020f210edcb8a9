//! The thread that serves, and the bounds on those it serves: how many, how long, how much.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::PrometheusHandle;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;

use crate::config::web::WebConfig;
use crate::error::{Error, Result};
use crate::telemetry::Telemetry;
use crate::utc;
use crate::web::feed::Feed;
use crate::web::recording::Replay;
use crate::web::routes;
use crate::web::state::AppState;

/// Connections at once. Above it a client is told so and sent away.
const CONNECTIONS: usize = 128;
/// Clients that are being told so at once. Above it they are sent away without a word.
const REFUSALS: usize = 32;
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 26\r\n\
    Retry-After: 5\r\nConnection: close\r\n\r\ntoo many connections open\n";
/// For a clock whose year the HTTP library cannot write: it would panic.
const UNDATED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 33\r\n\
    Connection: close\r\n\r\nthe clock's year is not in HTTP.\n";
/// How long a client may take for a request's head, or be silent between two requests.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
const LARGEST_HEAD: usize = 16 << 10;
/// How long a client may take nothing of what is sent to it.
const WRITE_PATIENCE: Duration = Duration::from_secs(15);
/// What waits to be sent to one client, in the program and in the system: a picture or two, so that what a slow one sees
/// is recent.
const WRITE_BUFFER: usize = 32 << 10;
const SOCKET_BUFFER: usize = 128 << 10;
/// How long open connections are waited for at the end.
const GRACE: Duration = Duration::from_millis(500);
/// How often the metrics' histograms are tidied up.
const UPKEEP: Duration = Duration::from_secs(5);

/// An address that is listened on already, though nobody is answered yet.
pub struct Bound {
    listener: TcpListener,
    pub address: SocketAddr,
    access: WebConfig,
}

impl Bound {
    /// # Errors
    /// Usage, where the address is not to be had.
    pub fn new(access: &WebConfig) -> Result<Self> {
        let refused = |cause: std::io::Error| {
            let (what, remedy) = match cause.kind() {
                ErrorKind::AddrInUse => ("is in use by another program", "choose another port; 0 takes a free one"),
                ErrorKind::PermissionDenied => ("may not be used", "choose a port from 1024 up"),
                _ => ("cannot be listened on", "name an address of this machine, like 127.0.0.1:8080"),
            };
            Error::usage(format!("web {}: {what}", access.address)).because(cause).remedy(remedy)
        };
        let listener = TcpListener::bind(access.address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address, access: access.clone() })
    }
}

/// Serves until it is dropped, which takes half a second at most.
pub struct Server {
    closing: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts to answer.
    ///
    /// # Errors
    /// Unavailable, where the system gives no thread for it.
    pub fn start(bound: Bound, telemetry: Arc<Telemetry>, metrics: PrometheusHandle) -> Result<Self> {
        Self::begin(bound, telemetry, None, metrics)
    }

    /// The same with a finished run.
    ///
    /// # Errors
    /// Those of [`Server::start`].
    pub fn replay(bound: Bound, replay: Replay, metrics: PrometheusHandle) -> Result<Self> {
        Self::begin(bound, Arc::new(Telemetry::new(Vec::new())), Some(replay), metrics)
    }

    fn begin(
        bound: Bound,
        telemetry: Arc<Telemetry>,
        replay: Option<Replay>,
        metrics: PrometheusHandle,
    ) -> Result<Self> {
        let failed = |cause: std::io::Error| Error::unavailable("the page cannot be served").because(cause);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(failed)?;
        let (closing, closed) = watch::channel(false);
        let Bound { listener, address, access } = bound;
        let feed = Feed::new(telemetry.streams.len());
        let clients = AtomicUsize::new(0);
        let state = Arc::new(AppState { telemetry, access, address, metrics, feed, closing: closed, clients });
        let thread = std::thread::Builder::new()
            .name("web".into())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::join!(serve(listener, &state, replay), state.feed.run(&state.telemetry, state.closed()))
                });
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        tracing::info!("page at http://{address}/");
        Ok(Self { closing, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, state: &Arc<AppState>, replay: Option<Replay>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(cause) => return tracing::error!("the page cannot be served: {cause}"),
    };
    let router = TowerToHyperService::new(routes::router(Arc::clone(state), replay));
    let (places, refusals) = (Arc::new(Semaphore::new(CONNECTIONS)), Arc::new(Semaphore::new(REFUSALS)));
    let mut upkeep = tokio::time::interval(UPKEEP);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) if !utc::fits_http() => {
                        connections.spawn(refuse(stream, place, UNDATED));
                    }
                    Ok(place) => {
                        connections.spawn(connection(stream, router.clone(), Arc::clone(state), place));
                    }
                    Err(_) => if let Ok(place) = Arc::clone(&refusals).try_acquire_owned() {
                        connections.spawn(refuse(stream, place, REFUSAL));
                    },
                },
                // No file is to be had for it: the clients that are there go on.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            _ = upkeep.tick() => state.metrics.run_upkeep(),
            Some(_) = connections.join_next() => {}
            () = state.closed() => break,
        }
    }
    drop(listener);
    let _ = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
}

type Service = TowerToHyperService<axum::Router>;

async fn connection(stream: TcpStream, service: Service, state: Arc<AppState>, _place: OwnedSemaphorePermit) {
    state.clients.fetch_add(1, Ordering::Relaxed);
    tune(&stream);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_PATIENCE));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_header_size(LARGEST_HEAD)
        .max_buf_size(WRITE_BUFFER)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = std::pin::pin!(connection);
    // How a client goes is its own affair.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = state.closed() => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(GRACE, connection).await;
        }
    }
    state.clients.fetch_sub(1, Ordering::Relaxed);
}

/// Says why nothing is served, after reading what was asked, so that the answer is not lost with the connection.
async fn refuse(mut stream: TcpStream, _place: OwnedSemaphorePermit, answer: &'static [u8]) {
    let _ = timeout(Duration::from_secs(1), async {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(answer).await;
        let _ = stream.shutdown().await;
    })
    .await;
}

/// What the system refuses of this it does without.
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = setsockopt(stream, sockopt::SndBuf, &SOCKET_BUFFER);
    // One that has vanished without a word, while nothing was sent to it, is found out within a minute.
    let _ = setsockopt(stream, sockopt::KeepAlive, &true);
    let _ = setsockopt(stream, sockopt::TcpKeepIdle, &30);
    let _ = setsockopt(stream, sockopt::TcpKeepInterval, &10);
    let _ = setsockopt(stream, sockopt::TcpKeepCount, &3);
}
