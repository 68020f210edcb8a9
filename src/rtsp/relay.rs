//! The relay between GStreamer's client and one camera. It listens on the loopback interface and connects to that
//! camera only.
//!
//! It holds no credentials: another program on this machine that connects to it gets what it would get from the camera.
//! The port stays bound until the relay is dropped, so no other program can bind it between two connections of the
//! client. The relay also terminates TLS, since encrypted data cannot be checked.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as Listener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::net::tls;
use crate::rtsp::address;
use crate::rtsp::connection_guard::{CloseReason, ConnectionGuard};
use crate::rtsp::message::{End, MessageHeader};
use crate::rtsp::policy::Policy;

/// Timeout for connecting to the camera, shorter than those of the supervisor and GStreamer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(7);
/// How long the client may take to end its session with the camera.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause after a failure to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
const READ_BUFFER: usize = 64 << 10;
/// The first address of a relay where they share a port, and how many there are: 127.0.0.2 to 127.255.255.254.
const FIRST_ADDRESS: u32 = 0x7f00_0002;
const ADDRESSES: u32 = 0x00ff_fffd;
/// How many addresses are tried. Few relays run at a time, but other programs may listen there.
const ATTEMPTS: usize = 1000;
/// Start of an interleaved packet: `$`, then its channel and its length.
const PACKET: u8 = b'$';
const PACKET_HEAD: usize = 4;

#[derive(Clone, Copy, PartialEq)]
enum Closing {
    No,
    Soon,
    Now,
}

/// The socket that holds the port which all relays share.
static SHARED: OnceLock<Listener> = OnceLock::new();

/// From now on all relays of this process listen on one port, each at a loopback address of its own, so that a sandbox can
/// allow it beforehand. Returns the port.
///
/// # Errors
/// If no port is free.
pub fn share_port() -> io::Result<u16> {
    let socket = match SHARED.get() {
        Some(socket) => socket,
        None => {
            let socket = Listener::bind((Ipv4Addr::LOCALHOST, 0))?;
            SHARED.get_or_init(|| socket)
        }
    };
    Ok(socket.local_addr()?.port())
}

/// Listens on the shared port, or where none is shared, on any.
fn listener() -> io::Result<Listener> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let Some(shared) = SHARED.get() else { return Listener::bind((Ipv4Addr::LOCALHOST, 0)) };
    let port = shared.local_addr()?.port();
    let next = || Ipv4Addr::from_bits(FIRST_ADDRESS + NEXT.fetch_add(1, Ordering::Relaxed) % ADDRESSES);
    let mut attempts = (0..ATTEMPTS).map(|_| Listener::bind((next(), port)));
    let free =
        |result: &io::Result<Listener>| !matches!(result, Err(cause) if cause.kind() == io::ErrorKind::AddrInUse);
    attempts.find(free).unwrap_or_else(|| Err(io::ErrorKind::AddrInUse.into()))
}

/// Forwards data between client and camera until it is dropped.
pub struct Relay {
    /// Where the client finds it.
    pub address: SocketAddr,
    closing: watch::Sender<Closing>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Listens for the client. Connects to the camera when the client connects.
    ///
    /// # Errors
    /// If no socket or thread can be created.
    pub fn start(camera: Url, guard: Arc<ConnectionGuard>) -> io::Result<Self> {
        let listener = listener()?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (closing, closed) = watch::channel(Closing::No);
        let thread = std::thread::Builder::new().name("relay".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = close(closed) => {}
                    () = serve(listener, camera, &guard) => {}
                }
            });
            // Does not wait for a name that is being resolved.
            runtime.shutdown_background();
        })?;
        Ok(Self { address, closing, thread: Some(thread) })
    }

    /// Closes the relay after [`CLOSE_TIMEOUT`], in which the client can end its session.
    pub fn close_soon(&self) {
        self.closing.send_replace(Closing::Soon);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.closing.send_replace(Closing::Now);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn close(mut closing: watch::Receiver<Closing>) {
    let _ = closing.wait_for(|&closing| closing != Closing::No).await;
    // A dropped sender closes the relay too.
    let _ = timeout(CLOSE_TIMEOUT, closing.wait_for(|&closing| closing == Closing::Now)).await;
}

/// Serves the client's connections one after the other. It reconnects after a redirect, or when the camera has closed
/// the connection.
async fn serve(listener: Listener, camera: Url, guard: &ConnectionGuard) {
    let mut policy = Policy::new(camera.clone());
    let Ok(listener) = TcpListener::from_std(listener) else { return guard.refuse(CloseReason::Unreachable) };
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Too many open files; some may be closed soon.
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if let Err(End::Refused(reason)) = forward(client, &camera, &mut policy, guard).await {
            guard.refuse(reason);
            return;
        }
    }
}

/// Connects to the camera and forwards data until one side disconnects.
async fn forward(client: TcpStream, camera: &Url, policy: &mut Policy, guard: &ConnectionGuard) -> Result<(), End> {
    let host = camera.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = address::port(camera).ok_or(CloseReason::Unreachable)?;
    let attempt = timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port))).await;
    let connected = attempt.ok().and_then(Result::ok).ok_or(CloseReason::Unreachable)?;
    connected.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let filter = Filter { policy, peer: connected.peer_addr()?.ip(), guard };
    if !filter.policy.encrypted() {
        return filter.exchange(client, connected).await;
    }
    let name = ServerName::try_from(host.to_string()).map_err(|_| CloseReason::Tls)?;
    let connector = TlsConnector::from(tls::client().map_err(|_| CloseReason::Tls)?);
    let secured = timeout(CONNECT_TIMEOUT, connector.connect(name, connected)).await;
    let secured = secured.ok().and_then(Result::ok).ok_or(CloseReason::Tls)?;
    filter.exchange(client, secured).await
}

/// Filters the camera's side of a connection.
struct Filter<'a> {
    policy: &'a mut Policy,
    peer: IpAddr,
    guard: &'a ConnectionGuard,
}

impl Filter<'_> {
    async fn exchange(self, client: TcpStream, camera: impl AsyncRead + AsyncWrite) -> Result<(), End> {
        let (from_camera, mut to_camera) = tokio::io::split(camera);
        let (mut from_client, to_client) = client.into_split();
        tokio::select! {
            end = self.responses(BufReader::with_capacity(READ_BUFFER, from_camera), to_client) => end,
            _ = tokio::io::copy(&mut from_client, &mut to_camera) => Ok(()),
        }
    }

    async fn responses(
        self,
        mut camera: BufReader<impl AsyncRead + Unpin>,
        mut client: impl AsyncWrite + Unpin,
    ) -> Result<(), End> {
        let mut packet = Vec::with_capacity(READ_BUFFER + PACKET_HEAD);
        loop {
            match camera.fill_buf().await?.first() {
                None => return Ok(()),
                Some(b'\r' | b'\n') => {
                    camera.consume(1);
                    self.guard.add(1)?;
                }
                Some(&PACKET) => {
                    packet.resize(PACKET_HEAD, 0);
                    camera.read_exact(&mut packet).await?;
                    let length = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
                    packet.resize(PACKET_HEAD + length, 0);
                    camera.read_exact(&mut packet[PACKET_HEAD..]).await?;
                    self.guard.add(packet.len())?;
                    client.write_all(&packet).await?;
                }
                Some(_) => {
                    let mut head = MessageHeader::read(&mut camera).await?;
                    self.policy.apply(&mut head, self.peer, self.guard)?;
                    let message = head.with_body(&mut camera).await?;
                    self.guard.add(message.len())?;
                    client.write_all(&message).await?;
                }
            }
        }
    }
}
