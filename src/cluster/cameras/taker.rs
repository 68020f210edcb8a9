//! Takes cameras as the worker has room for them, and takes over what others offer.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::Message;
use async_nats::jetstream::consumer::PullConsumer;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::cluster::cameras::camera::{CameraName, CameraSettings};
use crate::cluster::cameras::delivery::{Delivery, LEFT};
use crate::cluster::cameras::giver;
use crate::cluster::cameras::held::{Held, Order};
use crate::cluster::cameras::hold::{Hold, Started};
use crate::cluster::cameras::isolation::{Isolation, unwanted};
use crate::cluster::cameras::offer::{self, Answer, Handed, Holder, Holds, Offer, Ready};
use crate::cluster::cameras::watched::Prepared;
use crate::cluster::claim::{self, Claim};
use crate::cluster::connection::{Connection, answer, listen};
use crate::cluster::names::{CAMERA, HOLDS, OFFER, READY, WATCH, WORKER};
use crate::cluster::presence::WorkerStatus;
use crate::cluster::worker_state::WorkerState;
use crate::net::backoff::Backoff;

/// How long a worker waits between two cameras for each that it has, so that emptier ones take them.
const SPREAD: Duration = Duration::from_millis(30);
const LONGEST_SPREAD: Duration = Duration::from_millis(600);
/// How often it is looked whether there is room.
const POLL: Duration = Duration::from_millis(500);
/// A worker with a camera at this stride takes no more.
const FULL_STRIDE: u64 = 8;
/// How long a process of a camera waits to be offered it.
const UNOFFERED: Duration = Duration::from_secs(60);
/// How long a worker tries to connect a camera that it is offered.
const CONNECT: Duration = Duration::from_secs(5);

/// The cameras of a worker.
pub struct Taker {
    worker: Arc<WorkerState>,
    connection: Connection,
    holds: RefCell<JoinSet<()>>,
}

impl Taker {
    pub fn new(worker: &Arc<WorkerState>, connection: &Connection) -> Self {
        Self { worker: Arc::clone(worker), connection: connection.clone(), holds: RefCell::default() }
    }

    /// Takes cameras until the worker is drained and has none.
    pub async fn run(&self, consumer: &PullConsumer) {
        let name = &self.worker.name;
        let own = self.worker.isolation.is_process();
        let take = async { if own { self.watch_one().await } else { self.take_cameras(consumer).await } };
        tokio::select! {
            () = take => {}
            () = listen(&self.connection, format!("{OFFER}{name}"), async |message| self.answer(message).await) => {}
            () = listen(&self.connection, format!("{READY}{name}"), async |message| self.pass_on(message).await) => {}
            () = listen(&self.connection, format!("{HOLDS}{name}"), async |message| self.say_whether_held(message).await) => {}
            () = listen(&self.connection, format!("{CAMERA}*"), async |message| self.change(&message)) => {}
            () = listen(&self.connection, format!("{WORKER}*"), async |message| self.meet(&message)) => {}
            () = giver::balance(&self.worker), if !own => {}
        }
    }

    /// Waits until all cameras are given back or handed over.
    pub async fn leave(&self) {
        let mut holds = self.holds.take();
        while holds.join_next().await.is_some() {}
    }

    async fn take_cameras(&self, consumer: &PullConsumer) {
        let mut backoff = Backoff::default();
        loop {
            if self.worker.draining.load(Ordering::Relaxed) {
                return giver::drain(&self.worker).await;
            }
            if !self.has_room() {
                sleep(POLL).await;
                continue;
            }
            let next = tokio::select! {
                next = Claim::next(consumer) => next,
                () = self.worker.drained() => continue,
            };
            match next {
                Ok(Some(claim)) => {
                    backoff.reset();
                    self.take(Arc::new(claim));
                    sleep((SPREAD * self.worker.cameras.count() as u32).min(LONGEST_SPREAD)).await;
                }
                Ok(None) => backoff.reset(),
                Err(cause) => {
                    tracing::debug!("no camera: {cause}");
                    sleep(backoff.wait()).await;
                }
            }
        }
    }

    /// Waits until the camera of this process is no longer its own, or the worker that started the process wants no more of it.
    async fn watch_one(&self) {
        let (begun, mut had) = (Instant::now(), false);
        loop {
            let (cameras, draining) = (self.worker.cameras.all(), self.worker.draining.load(Ordering::Relaxed));
            had |= cameras.iter().any(|held| !held.standby);
            if cameras.is_empty() && (had || draining || begun.elapsed() > UNOFFERED) {
                return;
            }
            if draining {
                // Whoever gets the camera decides whether it needs a process of its own.
                cameras.iter().for_each(|held| drop(held.orders.try_send(Order::GiveBack)));
                sleep(POLL).await;
                continue;
            }
            tokio::select! {
                () = unwanted() => self.worker.draining.store(true, Ordering::Relaxed),
                () = sleep(POLL) => {}
            }
        }
    }

    /// Takes a camera. From now on it counts.
    fn take(&self, claim: Arc<Claim>) {
        let name: Option<CameraName> = claim.subject().strip_prefix(WATCH).and_then(|name| name.parse().ok());
        let Some(name) = name else {
            tracing::error!("the message {} is of no camera; add cameras with livelabel submit", claim.subject());
            return self.spawn(async move { claim.acknowledge().await });
        };
        let (held, orders) = Held::new(&name, false);
        if !self.worker.cameras.add(&held) {
            // Its files are being closed.
            return self.spawn(async move { claim.give_back(LEFT).await });
        }
        let (worker, connection) = (Arc::clone(&self.worker), self.connection.clone());
        self.spawn(Delivery { worker, connection, claim, held, orders }.watch());
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut holds = self.holds.borrow_mut();
        while holds.try_join_next().is_some() {}
        holds.spawn(work);
    }

    fn has_room(&self) -> bool {
        let cameras = &self.worker.cameras;
        cameras.count() < self.worker.camera_capacity && cameras.describe().iter().all(|held| held.load() < FULL_STRIDE)
    }

    /// Answers a worker that offers a camera.
    async fn answer(&self, message: Message) {
        let Some(reply) = message.reply.clone() else { return };
        let offer: Option<Offer> = read(&message);
        let offer = offer.filter(|offer| CameraSettings::is_usable(&offer.camera));
        let standby = offer.as_ref().map(|offer| Held::new(&offer.camera.camera, true).0);
        let room = match &self.worker.isolation {
            Isolation::Of(camera) => offer.as_ref().is_some_and(|offer| offer.camera.camera == *camera),
            Isolation::None | Isolation::Starts(_) => self.has_room(),
        };
        let accepted = room
            && !self.worker.draining.load(Ordering::Relaxed)
            && standby.as_ref().is_some_and(|standby| self.worker.cameras.add(standby));
        answer(&self.connection, reply, &Answer { accepted }).await;
        if let (Some(offer), Some(standby), true) = (offer, standby, accepted) {
            self.spawn(take_over(Arc::clone(&self.worker), self.connection.clone(), offer, standby));
        }
    }

    /// Tells the camera that another worker has connected it.
    async fn pass_on(&self, message: Message) {
        let (Some(reply), Some(Ready { camera })) = (message.reply.clone(), read(&message)) else { return };
        let held = self.worker.cameras.find(&camera);
        if held.is_none_or(|held| held.orders.try_send(Order::Ready(reply.clone())).is_err()) {
            answer(&self.connection, reply, &Handed::default()).await;
        }
    }

    async fn say_whether_held(&self, message: Message) {
        let (Some(reply), Some(Holder { camera, holding })) = (message.reply.clone(), read(&message)) else { return };
        let holds = self.worker.cameras.find(&camera).is_some_and(|held| held.is_since(&holding));
        answer(&self.connection, reply, &Holds { holds }).await;
    }

    fn change(&self, message: &Message) {
        if let Ok(camera) = CameraSettings::read(&message.payload)
            && message.subject.as_str() == camera.camera.settings_subject()
        {
            let name = camera.camera.clone();
            self.worker.cameras.order(&name, Order::Change(Box::new(camera)));
        }
    }

    fn meet(&self, message: &Message) {
        if let Some(status) = read::<WorkerStatus>(message) {
            self.worker.peers.meet(status);
        }
    }
}

fn read<T: DeserializeOwned>(message: &Message) -> Option<T> {
    serde_json::from_slice(&message.payload).ok()
}

/// Connects a camera of another worker, and takes it over when that one has closed its files.
async fn take_over(worker: Arc<WorkerState>, connection: Connection, offer: Offer, standby: Arc<Held>) {
    let name = offer.camera.camera.clone();
    let prepared = Prepared::new(&worker, &offer.camera);
    let mut started = match prepared.and_then(|prepared| Started::new(prepared, &worker.shutdown.child())) {
        Ok(started) => started,
        Err(error) => {
            tracing::error!("{name}: {error}");
            return worker.cameras.remove(&standby);
        }
    };
    let connecting = timeout(CONNECT, started.watched.connected());
    let connected = tokio::select! {
        connected = connecting => connected.is_ok(),
        // It cannot be watched here.
        error = started.watched.ended() => {
            if let Some(error) = error.filter(|_| !worker.shutdown.requested()) {
                tracing::error!("{name}: {error}");
            }
            return worker.cameras.remove(&standby);
        }
    };
    let asked = claim::now();
    let age = match connected || !offer.reached {
        true => offer::ready(&connection, format!("{READY}{}", offer.from), &name).await,
        false => None,
    };
    let adopt = |age| Claim::adopt(connection.client.clone(), name.watch_subject(), offer.reply, asked, age);
    let Some(claim) = age.map(adopt).filter(Claim::holds) else {
        started.end().await;
        return worker.cameras.remove(&standby);
    };
    tracing::info!("{name}: taken over from {}", offer.from);
    let (held, orders) = Held::new(&name, false);
    worker.cameras.replace(&held);
    let (claim, lost) = (Arc::new(claim), offer.lost);
    let hold = Hold { worker, connection, claim, camera: offer.camera, held, lost };
    hold.run(Some(started), orders).await;
}
