//! The web server's thread, and its limits: number of connections, timeouts, buffer sizes. With a certificate it speaks TLS.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::PrometheusHandle;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

use crate::config::web::WebConfig;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::system::clock::SystemClock;
use crate::system::utc;
use crate::telemetry::Telemetry;
use crate::web::admin::Peer;
use crate::web::certificate::{self, Certificate};
use crate::web::history::History;
use crate::web::recording::Replay;
use crate::web::routes;
use crate::web::state::AppState;
use crate::web::teach::Teaching;
use crate::web::workers::Workers;

/// Maximum number of open connections. Further clients get a 503.
const CONNECTIONS: usize = 128;
/// Maximum number of 503 responses in progress. Further connections are closed without a response.
const REFUSALS: usize = 32;
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 26\r\n\
    Retry-After: 5\r\nConnection: close\r\n\r\ntoo many connections open\n";
/// Sent if the clock's year does not fit into an HTTP date: the HTTP library would panic.
const UNDATED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 48\r\n\
    Connection: close\r\n\r\nthe clock's year does not fit into an HTTP date\n";
/// Sent to a client that speaks HTTP where the server speaks TLS.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 41\r\n\
    Connection: close\r\n\r\nthis page is encrypted; open it as https\n";
/// First byte of a client that speaks TLS: the type of a handshake's records.
const TLS_HANDSHAKE: u8 = 0x16;
/// Timeout for a TLS handshake. A handshake counts as an open connection, so their number is limited too.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout for a request's header, and for the next request of a connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEADER: usize = 16 << 10;
/// How long a client may accept no data.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// Send buffers of one client, in the program and in the kernel. They hold one or two pictures, so that a slow client
/// sees recent ones.
const WRITE_BUFFER: usize = 32 << 10;
const SOCKET_BUFFER: usize = 128 << 10;
/// How long the server waits for open connections at the end.
const GRACE: Duration = Duration::from_millis(500);
/// How often the metrics' histograms are compacted.
const UPKEEP: Duration = Duration::from_secs(5);

/// A listening socket that does not accept connections yet.
pub struct Listener {
    listener: TcpListener,
    pub address: SocketAddr,
    web_config: WebConfig,
    certificate: Option<Certificate>,
}

impl Listener {
    /// # Errors
    /// `Usage` if the address or the certificate cannot be used.
    pub fn new(web_config: &WebConfig) -> Result<Self> {
        let refused = |cause: std::io::Error| {
            let (what, remedy) = match cause.kind() {
                ErrorKind::AddrInUse => ("is in use by another program", "choose another port; 0 selects a free one"),
                ErrorKind::PermissionDenied => ("needs more privileges", "choose a port of 1024 or higher"),
                _ => ("is not available", "give an address of this machine, such as 127.0.0.1:8080"),
            };
            Error::usage(format!("web {}: {what}", web_config.address)).because(cause).remedy(remedy)
        };
        let listener = TcpListener::bind(web_config.address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let certificate = web_config.certificate.as_ref().map(Certificate::load).transpose()?;
        Ok(Self { listener, address, web_config: web_config.clone(), certificate })
    }
}

/// What is served.
pub struct Sources {
    pub telemetry: Arc<Telemetry>,
    /// The indexes, if there are any.
    pub history: Option<History>,
    /// The frames that are kept for learning, and the models, if any are.
    pub teaching: Option<Teaching>,
    /// The workers, if the page is that of a cluster.
    pub workers: Option<Workers>,
}

/// The running server. Dropping it stops it, within half a second.
pub struct Server {
    closing: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts the server for live streams and their history.
    ///
    /// # Errors
    /// `Unavailable` if the thread cannot be started.
    pub fn start(
        bound: Listener,
        sources: Sources,
        metrics: PrometheusHandle,
        control: Option<Control>,
    ) -> Result<Self> {
        Self::begin(bound, sources, control, None, metrics)
    }

    /// Starts the server for a finished run.
    ///
    /// # Errors
    /// The errors of [`Server::start`].
    pub fn replay(bound: Listener, replay: Replay, metrics: PrometheusHandle) -> Result<Self> {
        let telemetry = Arc::new(Telemetry::new(Vec::new(), false, &SystemClock::shared()));
        Self::begin(
            bound,
            Sources { telemetry, history: None, teaching: None, workers: None },
            None,
            Some(replay),
            metrics,
        )
    }

    fn begin(
        bound: Listener,
        sources: Sources,
        control: Option<Control>,
        replay: Option<Replay>,
        metrics: PrometheusHandle,
    ) -> Result<Self> {
        let failed = |cause: std::io::Error| Error::unavailable("the page cannot be served").because(cause);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(failed)?;
        let (closing, closed) = watch::channel(false);
        let Listener { listener, address, web_config, certificate } = bound;
        let url = web_config.url(address);
        let state = Arc::new(AppState::new(sources, web_config, address, metrics, control, closed));
        let thread = std::thread::Builder::new()
            .name("web".into())
            .spawn(move || {
                runtime.block_on(async {
                    let serving = serve(listener, &state, certificate, replay);
                    tokio::join!(serving, state.feed.run(&state.telemetry, state.closed()))
                });
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        tracing::info!("page at {url}");
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

async fn serve(
    listener: TcpListener,
    state: &Arc<AppState>,
    mut certificate: Option<Certificate>,
    replay: Option<Replay>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(cause) => return tracing::error!("the page cannot be served: {cause}"),
    };
    let router = routes::router(Arc::clone(state), replay);
    let (permits, refusals) = (Arc::new(Semaphore::new(CONNECTIONS)), Arc::new(Semaphore::new(REFUSALS)));
    let mut upkeep = tokio::time::interval(UPKEEP);
    let mut renewal = tokio::time::interval(certificate::CHECK);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match Arc::clone(&permits).try_acquire_owned() {
                    Ok(permit) if !utc::fits_http() => {
                        connections.spawn(refuse(stream, permit, UNDATED));
                    }
                    Ok(permit) => {
                        let acceptor = certificate.as_ref().map(Certificate::acceptor);
                        let service = TowerToHyperService::new(router.clone().layer(Extension(Peer(peer.ip()))));
                        connections.spawn(connection(stream, acceptor, service, Arc::clone(state), permit));
                    }
                    // A client that speaks TLS would not understand the response.
                    Err(_) => if let (None, Ok(permit)) = (&certificate, Arc::clone(&refusals).try_acquire_owned()) {
                        connections.spawn(refuse(stream, permit, REFUSAL));
                    },
                },
                // No free file descriptor: keeps serving the open connections.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            _ = upkeep.tick() => state.metrics.run_upkeep(),
            _ = renewal.tick() => if let Some(certificate) = &mut certificate {
                certificate.renew();
            },
            Some(_) = connections.join_next() => {}
            () = state.closed() => break,
        }
    }
    drop(listener);
    let _ = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
}

pub(super) type Service = TowerToHyperService<axum::Router>;

async fn connection(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    service: Service,
    state: Arc<AppState>,
    permit: OwnedSemaphorePermit,
) {
    tune(&stream);
    let Some(acceptor) = acceptor else {
        let _permit = permit;
        return requests(limited(stream), service, &state).await;
    };
    let accepted = timeout(HANDSHAKE_TIMEOUT, async {
        let mut first = [0];
        let is_tls = stream.peek(&mut first).await.is_ok_and(|read| read == 1 && first[0] == TLS_HANDSHAKE);
        if !is_tls {
            return Err(stream);
        }
        Ok(acceptor.accept(limited(stream)).await)
    });
    tokio::select! {
        // Errors of the handshake are the client's; they are not logged.
        accepted = accepted => match accepted {
            Ok(Ok(Ok(stream))) => {
                let _permit = permit;
                requests(stream, service, &state).await;
            }
            Ok(Err(plain)) => refuse(plain, permit, PLAIN).await,
            Ok(Ok(Err(_))) | Err(_) => {}
        },
        () = state.closed() => {}
    }
}

/// Limits how long a client may accept no data.
fn limited(stream: TcpStream) -> Pin<Box<TimeoutStream<TcpStream>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    Box::pin(stream)
}

/// Answers the requests of one connection.
pub(super) async fn requests(stream: impl AsyncRead + AsyncWrite + Unpin, service: Service, state: &AppState) {
    state.clients.fetch_add(1, Ordering::Relaxed);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_header_size(MAX_HEADER)
        .max_buf_size(WRITE_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // Connection errors are the client's; they are not logged.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = state.closed() => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(GRACE, connection).await;
        }
    }
    state.clients.fetch_sub(1, Ordering::Relaxed);
}

/// Sends a fixed response. Reads the request first, because closing a socket with unread data would discard the
/// response.
async fn refuse(mut stream: TcpStream, _permit: OwnedSemaphorePermit, response: &'static [u8]) {
    let _ = timeout(Duration::from_secs(1), async {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(response).await;
        let _ = stream.shutdown().await;
    })
    .await;
}

/// Sets socket options. Failures are ignored: none of them is essential.
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = setsockopt(stream, sockopt::SndBuf, &SOCKET_BUFFER);
    // Detects within a minute an idle client that vanished.
    let _ = setsockopt(stream, sockopt::KeepAlive, &true);
    let _ = setsockopt(stream, sockopt::TcpKeepIdle, &30);
    let _ = setsockopt(stream, sockopt::TcpKeepInterval, &10);
    let _ = setsockopt(stream, sockopt::TcpKeepCount, &3);
}
