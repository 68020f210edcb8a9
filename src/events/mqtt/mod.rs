//! Events and states published to an MQTT broker, which may be away at any time.
//!
//! One thread with two tasks: `drive` keeps the connection, `serve` says what is to be published on it. While there is
//! no connection events wait in the ring; what the broker had not confirmed when it went is sent again. What is
//! retained is published anew with each connection.

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
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;

use crate::backoff::Backoff;
use crate::config::events::Broker;
use crate::error::Result;
use crate::events::sink_context::{Deadline, EventEnvelope, EventReceiver, SinkContext};
use crate::telemetry::Telemetry;
use crate::tls;
use topics::{Now, OFFLINE, ONLINE, Topics};

/// Requests between the two tasks.
const REQUESTS: usize = 16;
/// A broker that has been silent for twice as long is away.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often it is looked whether a state or a label has changed, and every how many times a confidence.
const TICK: Duration = Duration::from_millis(100);
const TICKS: u64 = 10;
/// Names may be long; the largest message is a few of them.
const LARGEST: usize = 1 << 20;

/// What is needed to connect.
pub(super) struct Client {
    options: MqttOptions,
    topics: Topics,
    what: String,
}

impl Client {
    /// # Errors
    /// Unavailable, where TLS cannot be set up.
    pub fn new(broker: &Broker) -> Result<Self> {
        let topics = Topics::new(broker.prefix.clone());
        // As long as every broker must take.
        let name = format!("livelabel-{:012x}", fastrand::u64(..1 << 48));
        let mut options = MqttOptions::new(name, &broker.host, broker.port);
        options.set_keep_alive(KEEP_ALIVE).set_max_packet_size(LARGEST, LARGEST);
        options.set_last_will(LastWill::new(topics.status(), OFFLINE, QoS::AtLeastOnce, true));
        if let Some(login) = &broker.login {
            options.set_credentials(&login.user, &login.password);
        }
        if broker.tls {
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls::client()?)));
        }
        Ok(Self { options, topics, what: broker.to_string() })
    }

    /// Publishes until the end.
    pub async fn run(self, telemetry: Arc<Telemetry>, context: SinkContext) {
        let SinkContext { events, delivered, deadline } = context;
        let (client, mut eventloop) = AsyncClient::new(self.options, REQUESTS);
        let link = Link { delivered, ..Link::default() };
        let known = telemetry.streams.iter().map(|stream| Now::new(stream.status(), None)).collect();
        let published = vec![None; telemetry.streams.len()];
        let mut speaker =
            MqttPublisher { client, link: &link, topics: self.topics, telemetry, known, published, events };
        tokio::select! {
            () = drive(&mut eventloop, &link, &self.what, deadline.clone()) => {}
            () = speaker.speak() => {}
            () = deadline.passes() => {}
        }
        eventloop.clean();
        link.take_back(&mut eventloop);
    }
}

/// What the two tasks know of each other.
#[derive(Default)]
struct Link {
    /// Counts connections; 0 while there is none.
    session: watch::Sender<u64>,
    /// Of this connection: messages that were asked for and not confirmed.
    unconfirmed: Cell<u64>,
    confirmed: Notify,
    /// Events that a connection took with it.
    unsent: RefCell<VecDeque<Publish>>,
    delivered: Arc<AtomicU64>,
}

impl Link {
    /// Takes back the events of a connection that is gone.
    fn take_back(&self, eventloop: &mut EventLoop) {
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
        self.unconfirmed.set(0);
        self.confirmed.notify_one();
    }
}

/// Keeps the connection until it was ended on purpose, or the broker is away at the end.
async fn drive(eventloop: &mut EventLoop, link: &Link, what: &str, mut deadline: Deadline) {
    let mut backoff = Backoff::default();
    let mut sessions = 0;
    // Why the broker is away, since it was there last.
    let mut told = HashSet::new();
    loop {
        match eventloop.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                if !told.is_empty() {
                    told.clear();
                    tracing::info!("{what}: the broker is there again");
                }
                backoff.reset();
                sessions += 1;
                link.session.send_replace(sessions);
            }
            Ok(Event::Incoming(Packet::PubAck(_))) => {
                link.unconfirmed.set(link.unconfirmed.get().saturating_sub(1));
                link.confirmed.notify_one();
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
            Ok(_) => {}
            Err(cause) => {
                link.session.send_replace(0);
                link.take_back(eventloop);
                let (why, remedy) = reason(&cause);
                if told.insert(why.clone()) {
                    tracing::warn!("{what}: no broker ({why}); {remedy}; it is called again until it answers");
                }
                if deadline.has_begun() {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(backoff.wait()) => {}
                    () = deadline.begins() => {}
                }
            }
        }
    }
}

/// Why the broker is away, and what the user can do about it.
fn reason(cause: &ConnectionError) -> (String, &'static str) {
    let start = "start it, or correct --mqtt";
    match cause {
        ConnectionError::ConnectionRefused(
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized,
        ) => ("unauthorised".into(), "correct user and password"),
        ConnectionError::ConnectionRefused(code) => (format!("refused: {code:?}"), "look into the broker's log"),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => ("timeout".into(), start),
        ConnectionError::Io(cause) | ConnectionError::MqttState(StateError::Io(cause)) => (cause.to_string(), start),
        ConnectionError::Tls(cause) => (cause.to_string(), "correct --mqtt, or have the system trust its certificate"),
        ConnectionError::MqttState(StateError::ConnectionAborted) => ("it closed the connection".into(), start),
        ConnectionError::MqttState(StateError::AwaitPingResp) => ("silent".into(), start),
        _ => ("no MQTT 3.1.1 is spoken there".into(), start),
    }
}

/// Says what is to be published.
struct MqttPublisher<'a> {
    client: AsyncClient,
    link: &'a Link,
    topics: Topics,
    telemetry: Arc<Telemetry>,
    /// How each stream was when it was looked at last, and as it was published on this connection.
    known: Vec<Now>,
    published: Vec<Option<Now>>,
    events: EventReceiver,
}

impl MqttPublisher<'_> {
    /// Publishes on each connection, and takes leave at the end. Returns never, as the connection's end ends it.
    async fn speak(&mut self) {
        let mut session = self.link.session.subscribe();
        loop {
            if *session.borrow_and_update() == 0 {
                // The sender lives as long as this.
                let _ = session.changed().await;
                continue;
            }
            self.introduce().await;
            if self.serve(&mut session).await {
                self.leave().await;
                return std::future::pending().await;
            }
        }
    }

    /// What a broker must be told that may know nothing, and what the last one did not confirm.
    async fn introduce(&mut self) {
        for stream in self.telemetry.streams.iter().filter(|stream| stream.info.live) {
            for (topic, config) in discovery::messages(&self.topics, &stream.info.name) {
                self.publish(topic, true, config).await;
            }
        }
        self.published.fill(None);
        self.states(true).await;
        self.publish(self.topics.status(), true, ONLINE.into()).await;
        loop {
            let Some(event) = self.link.unsent.borrow_mut().pop_front() else { return };
            self.link.delivered.fetch_add(1, Ordering::Relaxed);
            self.publish(event.topic, false, event.payload.to_vec()).await;
        }
    }

    /// Publishes what happens. Returns whether nothing will any more; otherwise the connection is gone.
    async fn serve(&mut self, session: &mut watch::Receiver<u64>) -> bool {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count = 0_u64;
        loop {
            tokio::select! {
                biased;
                _ = session.changed() => return false,
                event = self.events.next() => match event {
                    Some(event) => self.event(&event).await,
                    None => return true,
                },
                _ = ticks.tick() => {
                    count += 1;
                    self.states(count.is_multiple_of(TICKS)).await;
                }
            }
        }
    }

    async fn event(&self, event: &EventEnvelope) {
        self.link.delivered.fetch_add(1, Ordering::Relaxed);
        self.publish(self.topics.event(&event.stream), false, event.json.clone().into()).await;
    }

    /// Publishes states that are others than those published; with `all` also those of which only the confidence is.
    async fn states(&mut self, all: bool) {
        for number in 0..self.telemetry.streams.len() {
            let stream = Arc::clone(&self.telemetry.streams[number]);
            let now = Now::new(stream.status(), Some(&self.known[number]));
            self.known[number] = now.clone();
            let before = self.published[number].take();
            let told = before.as_ref().is_some_and(|before| *before == now || !all && !now.is_another_than(before));
            if told {
                self.published[number] = before;
                continue;
            }
            let (stream, live) = (&stream.info.name, stream.info.live);
            let available = topics::availability(now.state);
            if live && before.is_none_or(|before| topics::availability(before.state) != available) {
                self.publish(self.topics.availability(stream), true, available.into()).await;
            }
            self.publish(self.topics.state(stream), live, now.payload()).await;
            self.published[number] = Some(now);
        }
    }

    /// Says that nothing comes any more, and waits until the broker has confirmed all.
    async fn leave(&mut self) {
        self.states(true).await;
        self.publish(self.topics.status(), true, OFFLINE.into()).await;
        while self.link.unconfirmed.get() > 0 {
            self.link.confirmed.notified().await;
        }
        // It fails only without the other task, which ends this one.
        let _ = self.client.disconnect().await;
    }

    async fn publish(&self, topic: String, retain: bool, payload: Vec<u8>) {
        self.link.unconfirmed.set(self.link.unconfirmed.get() + 1);
        // It fails for topics with wildcards, which the names were freed of, and without the other task.
        let _ = self.client.publish(topic, QoS::AtLeastOnce, retain, payload).await;
    }
}
