//! The connection to the NATS servers. The client reconnects by itself; outages are logged once each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, Message, Request, Subject};
use futures_util::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};

use crate::cluster::streams::{self, Streams};
use crate::config::nats::{NatsAccess, NatsConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::net::backoff::Backoff;
use crate::net::tls;
use crate::shutdown::Shutdown;

/// How long a server may take to accept a connection, and to answer.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(5);
/// A server that does not answer twice this time is left.
const PING: Duration = Duration::from_secs(4);
/// How often it is looked whether the user wants to stop.
const POLL: Duration = Duration::from_millis(50);
/// Time until a subscription that ended is made again.
const RESUBSCRIBED: Duration = Duration::from_secs(3);
/// The longest wait between two attempts to reconnect.
const LONGEST_DELAY_MS: u64 = 2000;

/// A connection, and the streams of the cluster.
#[derive(Clone)]
pub struct Connection {
    pub client: Client,
    pub jetstream: Context,
    pub streams: Streams,
}

impl Connection {
    /// Connects, and makes the cluster's streams if there are none.
    ///
    /// # Errors
    /// `Unavailable` if no server can be reached, or it has no JetStream; usage if it refuses the user, or has other streams of these names.
    pub async fn open(config: &NatsConfig, name: &str) -> Result<Self> {
        let options = options(config, name).await?;
        let client = options.connect(config.servers.clone()).await.map_err(|cause| refused(config, &cause))?;
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(ANSWER);
        let streams = streams::open(&jetstream, config).await?;
        Ok(Self { client, jetstream, streams })
    }
}

/// Runs a future to its end. What still waits then, for storage or for the name of a host, keeps nobody.
///
/// # Errors
/// Those of the future; `Unavailable` if no thread can be started.
pub fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::unavailable("a thread cannot be started").because(cause))?;
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    result
}

/// Waits until the user wants to stop.
pub async fn stopped(shutdown: &Shutdown) {
    while !shutdown.requested() {
        sleep(POLL).await;
    }
}

/// Receives the messages of a subject until it is dropped.
pub async fn listen(connection: &Connection, subject: String, mut receive: impl AsyncFnMut(Message)) {
    loop {
        match connection.client.subscribe(subject.clone()).await {
            Ok(mut messages) => {
                while let Some(message) = messages.next().await {
                    receive(message).await;
                }
            }
            Err(cause) => tracing::debug!("{subject}: {cause}"),
        }
        sleep(RESUBSCRIBED).await;
    }
}

/// Tries until it succeeds, as long as what it needs cannot be reached. Why is logged, once.
///
/// # Errors
/// All others of the attempt.
pub async fn retried<T>(mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let (mut backoff, mut logged) = (Backoff::default(), None);
    loop {
        match attempt().await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                let text = error.to_string();
                if logged.as_ref() != Some(&text) {
                    tracing::warn!("{text}; livelabel keeps retrying");
                    logged = Some(text);
                }
                sleep(backoff.wait()).await;
            }
            ended => return ended,
        }
    }
}

/// Asks whoever listens to a subject, with JSON. Returns the answer; `None` if there is none within `limit`.
pub async fn request(
    connection: &Connection,
    subject: String,
    question: &impl Serialize,
    limit: Duration,
) -> Option<Message> {
    let request = Request::new().payload(serde_json::to_vec(question).ok()?.into()).timeout(Some(limit));
    timeout(limit, connection.client.send_request(subject, request)).await.ok()?.ok()
}

/// As [`request`], for an answer in JSON.
pub async fn ask<T: DeserializeOwned>(
    connection: &Connection,
    subject: String,
    question: &impl Serialize,
    limit: Duration,
) -> Option<T> {
    serde_json::from_slice(&request(connection, subject, question, limit).await?.payload).ok()
}

/// Answers a request. Whoever does not get it asks again or gives up.
pub async fn answer(connection: &Connection, reply: Subject, answer: &impl Serialize) {
    let bytes = serde_json::to_vec(answer).unwrap_or_default();
    let _ = connection.client.publish(reply, bytes.into()).await;
    let _ = connection.client.flush().await;
}

async fn options(config: &NatsConfig, name: &str) -> Result<ConnectOptions> {
    let options = match &config.access {
        NatsAccess::Anyone => ConnectOptions::new(),
        NatsAccess::User(user) => ConnectOptions::with_user_and_password(user.user.clone(), user.password.clone()),
        NatsAccess::File(path) => ConnectOptions::with_credentials_file(path).await.map_err(|cause| {
            Error::usage(format!("{}: the NATS credentials cannot be read", path.display()))
                .because(cause)
                .remedy("name the .creds file of a NATS user")
        })?,
    };
    let options = match &config.certificates {
        Some(path) => options.add_root_certificates(path.clone()),
        None if config.encrypted => options.tls_client_config(Arc::unwrap_or_clone(tls::client()?)),
        None => options,
    };
    let (what, lost, reported) = (config.to_string(), AtomicBool::new(false), AtomicBool::new(false));
    let logger = Arc::new(move |event: Event| log(&event, &what, &lost, &reported));
    Ok(options
        .require_tls(config.encrypted)
        .name(format!("livelabel {name}"))
        .connection_timeout(CONNECT)
        .request_timeout(Some(ANSWER))
        .ping_interval(PING)
        .reconnect_delay_callback(|attempts| Duration::from_millis((100 << attempts.min(5)).min(LONGEST_DELAY_MS)))
        .event_callback(move |event| {
            logger(event);
            std::future::ready(())
        }))
}

/// Logs that the connection was lost or is back, and why it cannot be made again, once each.
fn log(event: &Event, what: &str, lost: &AtomicBool, reported: &AtomicBool) {
    match event {
        Event::Disconnected if !lost.swap(true, Ordering::Relaxed) => {
            tracing::warn!("{what}: the connection to NATS is lost; livelabel keeps retrying");
        }
        Event::Connected if lost.swap(false, Ordering::Relaxed) => {
            reported.store(false, Ordering::Relaxed);
            tracing::info!("{what}: reconnected to NATS");
        }
        Event::ServerError(async_nats::ServerError::Other(text)) => tracing::warn!("{what}: NATS: {text}"),
        // Once an outage: it is tried again and again.
        Event::ClientError(cause) if lost.load(Ordering::Relaxed) && !reported.swap(true, Ordering::Relaxed) => {
            tracing::warn!("{what}: {cause}");
        }
        _ => {}
    }
}

/// Returns the error for a connection that was not made.
fn refused(config: &NatsConfig, cause: &async_nats::ConnectError) -> Error {
    match cause.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            Error::usage(format!("{config}: the NATS server refuses this user"))
                .remedy("correct --nats-creds, or --nats-user-env and --nats-password-file")
        }
        _ if cause.to_string().contains("InvalidContentType") => {
            Error::unavailable(format!("{config}: this NATS server has no TLS"))
                .remedy("write nats:// in place of tls://")
        }
        _ if cause.to_string().contains("certificate") => {
            Error::unavailable(format!("{config}: the certificate of the NATS server is not trusted"))
                .because(cause.to_string())
                .remedy("name the file of the authority that signed it, not its own, with --nats-ca")
        }
        ConnectErrorKind::Tls => Error::unavailable(format!("{config}: no TLS connection to NATS"))
            .because(cause.to_string())
            .remedy("name the file of its certificates with --nats-ca"),
        _ => Error::unavailable(format!("{config}: no NATS server can be reached"))
            .because(cause.to_string())
            .remedy("start nats-server -js, or correct --nats"),
    }
}
