//! Publishes events and states to an MQTT broker, which may be unreachable at any time.
//!
//! One thread runs two tasks: `poll_connection` keeps the connection, `PublishTask` publishes on it. Without a
//! connection, events wait in the broadcast channel. Events that the broker did not acknowledge before the connection
//! was lost are sent again. Retained messages are published on every connection.

mod discovery;
mod topics;

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, LastWill, MqttOptions, Outgoing, Packet,
    Publish, QoS, Request, StateError, TlsConfiguration, Transport,
};
use time::OffsetDateTime;
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;

use crate::config::events::Broker;
use crate::error::Result;
use crate::events::sink_context::{Deadline, EventEnvelope, EventReceiver, SinkContext};
use crate::net::backoff::Backoff;
use crate::net::tls;
use crate::telemetry::{StreamState, Streams, Telemetry};
use topics::{OFFLINE, ONLINE, PublishedState, Topics};

/// Capacity of the request queue between the two tasks.
const REQUESTS: usize = 16;
/// A broker that is silent for twice this time counts as disconnected.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often states and labels are checked for changes. Confidences are checked every `TICKS`-th time.
const TICK: Duration = Duration::from_millis(100);
const TICKS: u64 = 10;
/// Cameras that were removed and whose messages are removed again on each connection.
const REMOVED: usize = 256;
/// Maximum packet size. A message holds a few names, and names may be long.
const MAX_PACKET: usize = 1 << 20;

/// Publishes to one broker.
pub(super) struct MqttPublisher {
    options: MqttOptions,
    topics: Topics,
    what: String,
}

impl MqttPublisher {
    /// # Errors
    /// `Unavailable` if TLS cannot be set up.
    pub fn new(broker: &Broker) -> Result<Self> {
        let topics = Topics::new(broker.prefix.clone());
        // 22 characters: every broker must accept client identifiers of up to 23.
        let client_id = format!("livelabel-{:012x}", fastrand::u64(..1 << 48));
        let mut options = MqttOptions::new(client_id, &broker.host, broker.port);
        options.set_keep_alive(KEEP_ALIVE).set_max_packet_size(MAX_PACKET, MAX_PACKET);
        options.set_last_will(LastWill::new(topics.status(), OFFLINE, QoS::AtLeastOnce, true));
        if let Some(credentials) = &broker.credentials {
            options.set_credentials(&credentials.user, &credentials.password);
        }
        if broker.tls {
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls::client()?)));
        }
        Ok(Self { options, topics, what: broker.to_string() })
    }

    /// Publishes until the end of the run.
    pub async fn run(self, telemetry: Arc<Telemetry>, context: SinkContext) {
        let SinkContext { events, delivered, deadline } = context;
        let (client, mut eventloop) = AsyncClient::new(self.options, REQUESTS);
        let link = Link { delivered, ..Link::default() };
        let (current, removed) = (telemetry.streams(), Vec::new());
        let streams = Followed::all(&current, Vec::new(), telemetry.clock.utc());
        let mut task = PublishTask {
            client,
            link: &link,
            topics: self.topics,
            telemetry,
            current,
            streams,
            removed,
            cleared: 0,
            events,
        };
        tokio::select! {
            () = poll_connection(&mut eventloop, &link, &self.what, deadline.clone()) => {}
                       () = task.run() => {}
                       () = deadline.expires() => {}
        }
        eventloop.clean();
        link.requeue_events(&mut eventloop);
    }
}

/// State that the two tasks share.
#[derive(Default)]
struct Link {
    /// The number of the current connection; 0 while there is none.
    session: watch::Sender<u64>,
    /// Messages of this connection that the broker has not acknowledged.
    unacknowledged: Cell<u64>,
    acknowledged: Notify,
    /// Events that were not acknowledged before the connection was lost.
    unsent: RefCell<VecDeque<Publish>>,
    delivered: Arc<AtomicU64>,
}

impl Link {
    /// Queues the unacknowledged events of a lost connection again.
    fn requeue_events(&self, eventloop: &mut EventLoop) {
        let events = eventloop.pending.drain(..).filter_map(|request| match request {
            Request::Publish(publish) if topics::is_event(&publish.topic) => Some(publish),
            _ => None,
        });
        let mut unsent = self.unsent.borrow_mut();
        let before = unsent.len();
        let later = std::mem::take(&mut *unsent);
        unsent.extend(events);
        unsent.extend(later);
        self.delivered.fetch_sub((unsent.len() - before) as u64, Ordering::Relaxed);
        self.unacknowledged.set(0);
        self.acknowledged.notify_one();
    }
}

/// Keeps the connection. Returns after an orderly disconnect, or if the broker is unreachable at the end of the run.
async fn poll_connection(eventloop: &mut EventLoop, link: &Link, what: &str, mut deadline: Deadline) {
    let mut backoff = Backoff::default();
    let mut sessions = 0;
    // Reasons that were logged since the last connection.
    let mut logged = HashSet::new();
    loop {
        match eventloop.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                if !logged.is_empty() {
                    logged.clear();
                    tracing::info!("{what}: reconnected to the broker");
                }
                backoff.reset();
                sessions += 1;
                link.session.send_replace(sessions);
            }
            Ok(Event::Incoming(Packet::PubAck(_))) => {
                link.unacknowledged.set(link.unacknowledged.get().saturating_sub(1));
                link.acknowledged.notify_one();
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(_) => {}
            Err(cause) => {
                link.session.send_replace(0);
                link.requeue_events(eventloop);
                let (why, remedy) = reason(&cause);
                if logged.insert(why.clone()) {
                    tracing::warn!("{what}: not connected to the broker ({why}); {remedy}; livelabel keeps retrying");
                }
                if deadline.is_set() {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(backoff.wait()) => {}
                    () = deadline.set() => {}
                }
            }
        }
    }
}

/// Returns why the connection failed, and the remedy.
fn reason(cause: &ConnectionError) -> (String, &'static str) {
    let start = "start it, or correct --mqtt";
    match cause {
        ConnectionError::ConnectionRefused(
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized,
        ) => ("unauthorised".into(), "correct user and password"),
        ConnectionError::ConnectionRefused(code) => (format!("refused: {code:?}"), "check the broker's log"),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => ("timeout".into(), start),
        ConnectionError::Io(cause) | ConnectionError::MqttState(StateError::Io(cause)) => (cause.to_string(), start),
        ConnectionError::Tls(cause) => {
            (cause.to_string(), "correct --mqtt, or add the broker's certificate to the system's trust store")
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => ("the broker closed the connection".into(), start),
        ConnectionError::MqttState(StateError::AwaitPingResp) => ("no answer to a ping".into(), start),
        _ => ("not an MQTT 3.1.1 broker".into(), start),
    }
}

/// The task that publishes states and events on the current connection.
struct PublishTask<'a> {
    client: AsyncClient,
    link: &'a Link,
    topics: Topics,
    telemetry: Arc<Telemetry>,
    /// The list that `streams` was made of.
    current: Streams,
    streams: Vec<Followed>,
    /// Names of cameras that were removed, whose retained messages are to be removed as well.
    removed: Vec<String>,
    /// How many of them were removed on this connection.
    cleared: usize,
    events: EventReceiver,
}

/// A stream: its state at the last check, and as published on this connection.
struct Followed {
    stream: Arc<StreamState>,
    latest: PublishedState,
    published: Option<PublishedState>,
    /// Whether its discovery messages were published on this connection.
    discovered: bool,
}

impl Followed {
    /// Returns an entry for each stream: that of `before` if there is one.
    fn all(streams: &[Arc<StreamState>], mut before: Vec<Self>, now: OffsetDateTime) -> Vec<Self> {
        let entry = |stream: &Arc<StreamState>| {
            let known = before.iter().position(|followed| Arc::ptr_eq(&followed.stream, stream));
            known.map(|index| before.swap_remove(index)).unwrap_or_else(|| Self {
                stream: Arc::clone(stream),
                latest: PublishedState::new(stream.status(), None, now),
                published: None,
                discovered: false,
            })
        };
        streams.iter().map(entry).collect()
    }
}

impl PublishTask<'_> {
    /// Publishes on each connection, and disconnects at the end. Never returns: `poll_connection` ends both tasks.
    async fn run(&mut self) {
        let mut session = self.link.session.subscribe();
        loop {
            if *session.borrow_and_update() == 0 {
                // Cannot fail: the sender outlives this task.
                let _ = session.changed().await;
                continue;
            }
            self.publish_initial().await;
            if self.publish_changes(&mut session).await {
                self.disconnect().await;
                return std::future::pending().await;
            }
        }
    }

    /// Publishes discovery, all states, and the events that the last connection did not acknowledge.
    async fn publish_initial(&mut self) {
        for followed in &mut self.streams {
            (followed.published, followed.discovered) = (None, false);
        }
        self.cleared = 0;
        self.publish_states(true).await;
        self.publish(self.topics.status(), true, ONLINE.into()).await;
        loop {
            let Some(event) = self.link.unsent.borrow_mut().pop_front() else { return };
            self.link.delivered.fetch_add(1, Ordering::Relaxed);
            self.publish(event.topic, false, event.payload.to_vec()).await;
        }
    }

    /// Publishes events and changed states. Returns true after the last event, false if the connection was lost.
    async fn publish_changes(&mut self, session: &mut watch::Receiver<u64>) -> bool {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count = 0_u64;
        loop {
            tokio::select! {
                biased;
                _ = session.changed() => return false,
                event = self.events.next() => match event {
                    Some(event) => self.publish_event(&event).await,
                    None => return true,
                },
                _ = ticks.tick() => {
                    count += 1;
                    self.publish_states(count.is_multiple_of(TICKS)).await;
                }
            }
        }
    }

    async fn publish_event(&self, event: &EventEnvelope) {
        self.link.delivered.fetch_add(1, Ordering::Relaxed);
        self.publish(self.topics.event(&event.stream), false, event.json.clone().into()).await;
    }

    /// Takes over the streams that there are now. Publishes discovery of cameras that are new, and removes the retained
    /// messages of those that are gone.
    async fn publish_discovery(&mut self) {
        let streams = self.telemetry.streams();
        if !Arc::ptr_eq(&streams, &self.current) {
            let stays = |name: &str| streams.iter().any(|stream| stream.info.live && stream.info.name == name);
            let gone = self.current.iter().filter(|old| old.info.live && !stays(&old.info.name));
            self.removed.extend(gone.map(|old| old.info.name.clone()));
            self.removed.retain(|name| !stays(name));
            self.removed.drain(..self.removed.len().saturating_sub(REMOVED));
            self.cleared = 0;
            self.streams = Followed::all(&streams, std::mem::take(&mut self.streams), self.telemetry.clock.utc());
            self.current = streams;
        }
        while self.cleared < self.removed.len() {
            let name = self.removed[self.cleared].clone();
            self.cleared += 1;
            let discovery = discovery::messages(&self.topics, &name).into_iter().map(|(topic, _)| topic);
            // An empty retained message removes the one before.
            for topic in discovery.chain([self.topics.availability(&name), self.topics.state(&name)]) {
                self.publish(topic, true, Vec::new()).await;
            }
        }
        for number in 0..self.streams.len() {
            let Followed { stream, discovered, .. } = &mut self.streams[number];
            if std::mem::replace(discovered, true) || !stream.info.live {
                continue;
            }
            for (topic, config) in discovery::messages(&self.topics, &stream.info.name) {
                self.publish(topic, true, config).await;
            }
        }
    }

    /// Publishes changed states; with `confidences` also those of which only the confidence changed.
    async fn publish_states(&mut self, confidences: bool) {
        self.publish_discovery().await;
        for number in 0..self.streams.len() {
            let Followed { stream, latest, published, .. } = &mut self.streams[number];
            let now = PublishedState::new(stream.status(), Some(latest), self.telemetry.clock.utc());
            *latest = now.clone();
            let before = published.take();
            let unchanged =
                before.as_ref().is_some_and(|before| *before == now || !confidences && !now.differs_from(before));
            if unchanged {
                *published = before;
                continue;
            }
            let stream = Arc::clone(stream);
            let (stream, live) = (&stream.info.name, stream.info.live);
            let available = topics::availability(now.state);
            if live && before.is_none_or(|before| topics::availability(before.state) != available) {
                self.publish(self.topics.availability(stream), true, available.into()).await;
            }
            self.publish(self.topics.state(stream), live, now.payload()).await;
            self.streams[number].published = Some(now);
        }
    }

    /// Publishes the final states and `offline`, waits until the broker has acknowledged everything, and disconnects.
    async fn disconnect(&mut self) {
        self.publish_states(true).await;
        self.publish(self.topics.status(), true, OFFLINE.into()).await;
        while self.link.unacknowledged.get() > 0 {
            self.link.acknowledged.notified().await;
        }
        // Fails only without the other task, which ends this one.
        let _ = self.client.disconnect().await;
    }

    async fn publish(&self, topic: String, retain: bool, payload: Vec<u8>) {
        self.link.unacknowledged.set(self.link.unacknowledged.get() + 1);
        // Fails only for topics with wildcards, which names have escaped, or without the other task.
        let _ = self.client.publish(topic, QoS::AtLeastOnce, retain, payload).await;
    }
}
