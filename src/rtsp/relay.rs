//! The relay between the player and one camera: it listens on the loopback, and calls nobody but the camera.
//!
//! It holds no credentials: whoever else on this machine calls its port gets what he would get from the camera itself.
//! The port stays its own until the relay goes, so that nobody can take it while the player calls anew. It also ends TLS,
//! as what is encrypted could not be bounded.

use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpListener as Listener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::rtsp::address;
use crate::rtsp::intake::{Intake, Refusal};
use crate::rtsp::message::{End, Head};
use crate::rtsp::policy::Policy;
use crate::tls;

/// How long the camera may take to answer the call, before the supervisor and GStreamer give up.
const CALL_PATIENCE: Duration = Duration::from_secs(7);
/// How long the player may take to say goodbye to the camera.
const GOODBYE: Duration = Duration::from_secs(1);
const READ_BUFFER: usize = 64 << 10;
/// A packet of pictures between messages: `$`, its channel, its length.
const PACKET: u8 = b'$';
const PACKET_HEAD: usize = 4;

#[derive(Clone, Copy, PartialEq)]
enum Closing {
    No,
    Soon,
    Now,
}

/// Carries what player and camera tell each other until it is dropped.
pub struct Relay {
    pub port: u16,
    closing: watch::Sender<Closing>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Listens for the player. The camera is called when the player calls.
    ///
    /// # Errors
    /// Where the system has no socket or thread for it.
    pub fn start(camera: Url, intake: Arc<Intake>) -> io::Result<Self> {
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (closing, closed) = watch::channel(Closing::No);
        let thread = std::thread::Builder::new().name("relay".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = close(closed) => {}
                    () = serve(listener, camera, &intake) => {}
                }
            });
            // A name that is being looked up is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { port, closing, thread: Some(thread) })
    }

    /// Leaves the player a second to end the session.
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
    // Without a sender it is closed too.
    let _ = timeout(GOODBYE, closing.wait_for(|&closing| closing == Closing::Now)).await;
}

/// One call of the player after the other: after a redirect, or where the camera has closed the connection, it calls anew.
async fn serve(listener: Listener, camera: Url, intake: &Intake) {
    let mut policy = Policy::new(camera.clone());
    let Ok(listener) = TcpListener::from_std(listener) else { return intake.refuse(Refusal::Unreachable) };
    loop {
        let Ok((player, _)) = listener.accept().await else {
            // For want of files; some may be free soon.
            sleep(GOODBYE).await;
            continue;
        };
        if let Err(End::Refused(refusal)) = carry(player, &camera, &mut policy, intake).await {
            intake.refuse(refusal);
            return;
        }
    }
}

/// Calls the camera, and carries until one side hangs up.
async fn carry(player: TcpStream, camera: &Url, policy: &mut Policy, intake: &Intake) -> Result<(), End> {
    let host = camera.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = address::port(camera).ok_or(Refusal::Unreachable)?;
    let call = timeout(CALL_PATIENCE, TcpStream::connect((host, port))).await;
    let called = call.ok().and_then(Result::ok).ok_or(Refusal::Unreachable)?;
    called.set_nodelay(true)?;
    player.set_nodelay(true)?;
    let filter = Filter { policy, peer: called.peer_addr()?.ip(), intake };
    if !filter.policy.encrypted() {
        return filter.exchange(player, called).await;
    }
    let name = ServerName::try_from(host.to_string()).map_err(|_| Refusal::Tls)?;
    let connector = TlsConnector::from(tls::client().map_err(|_| Refusal::Tls)?);
    let secured = timeout(CALL_PATIENCE, connector.connect(name, called)).await;
    let secured = secured.ok().and_then(Result::ok).ok_or(Refusal::Tls)?;
    filter.exchange(player, secured).await
}

/// What the camera's side of a connection goes through.
struct Filter<'a> {
    policy: &'a mut Policy,
    peer: IpAddr,
    intake: &'a Intake,
}

impl Filter<'_> {
    async fn exchange(self, player: TcpStream, camera: impl AsyncRead + AsyncWrite) -> Result<(), End> {
        let (from_camera, mut to_camera) = tokio::io::split(camera);
        let (mut from_player, to_player) = player.into_split();
        tokio::select! {
            end = self.answers(BufReader::with_capacity(READ_BUFFER, from_camera), to_player) => end,
            _ = tokio::io::copy(&mut from_player, &mut to_camera) => Ok(()),
        }
    }

    async fn answers(
        self,
        mut camera: BufReader<impl AsyncRead + Unpin>,
        mut player: impl AsyncWrite + Unpin,
    ) -> Result<(), End> {
        let mut packet = Vec::with_capacity(READ_BUFFER + PACKET_HEAD);
        loop {
            match camera.fill_buf().await?.first() {
                None => return Ok(()),
                Some(b'\r' | b'\n') => {
                    camera.consume(1);
                    self.intake.add(1)?;
                }
                Some(&PACKET) => {
                    packet.resize(PACKET_HEAD, 0);
                    camera.read_exact(&mut packet).await?;
                    let length = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
                    packet.resize(PACKET_HEAD + length, 0);
                    camera.read_exact(&mut packet[PACKET_HEAD..]).await?;
                    self.intake.add(packet.len())?;
                    player.write_all(&packet).await?;
                }
                Some(_) => {
                    let mut head = Head::read(&mut camera).await?;
                    self.policy.apply(&mut head, self.peer, self.intake)?;
                    let message = head.with_body(&mut camera).await?;
                    self.intake.add(message.len())?;
                    player.write_all(&message).await?;
                }
            }
        }
    }
}
