//! The time in which a worker has a camera: from the claim to its end.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::Subject;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::cluster::cameras::balance::{Load, emptiest};
use crate::cluster::cameras::camera::CameraSettings;
use crate::cluster::cameras::held::{Held, Order};
use crate::cluster::cameras::isolation::Lost;
use crate::cluster::cameras::offer::{self, Handed, Offer};
use crate::cluster::cameras::publisher::{Published, Publisher};
use crate::cluster::cameras::submit;
use crate::cluster::cameras::watched::{Prepared, Watched};
use crate::cluster::claim::{Claim, spread};
use crate::cluster::connection::{Connection, answer};
use crate::cluster::names::OFFER;
use crate::cluster::worker_state::WorkerState;
use crate::error::{Error, Result};
use crate::events::EventReceiver;
use crate::labels::stride::Stride;
use crate::shutdown::Shutdown;
use crate::telemetry::status::StreamPhase;

/// How long a camera that could not go on waits for a worker, about.
const RECOVERY: Duration = Duration::from_secs(10);
/// How long what a camera saw last may take to be published when its files are closed.
const PUBLISHED: Duration = Duration::from_secs(5);
/// How long a camera waits until the servers know who has it.
const TOLD: Duration = Duration::from_secs(3);
/// How often it is looked whether the camera was changed or removed, and whether it can be reached.
const CHECK: Duration = Duration::from_secs(10);
/// How long a worker that accepted a camera may take to connect it.
const MOVE_TIMEOUT: Duration = Duration::from_secs(15);
/// A camera without a frame for so long is tried by another worker.
const UNREACHED: Duration = Duration::from_secs(20);
/// After this time workers that could not reach it may try again.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// A camera that this worker has.
pub struct Hold {
    pub worker: Arc<WorkerState>,
    pub connection: Connection,
    pub claim: Arc<Claim>,
    pub camera: CameraSettings,
    pub held: Arc<Held>,
    pub lost: Option<Lost>,
}

/// A camera that is connected.
pub struct Started {
    pub watched: Watched,
    pub events: EventReceiver,
    /// Ends it.
    pub stop: Shutdown,
}

/// What follows when its files are closed.
enum Next {
    Change(Box<CameraSettings>),
    Remove,
    GiveBack(Duration),
    /// The other worker waits for the answer.
    HandOver(Subject),
    /// It may be another worker's.
    Lost,
}

impl Started {
    /// Connects a camera.
    ///
    /// # Errors
    /// Those of [`Prepared::start`].
    pub fn new(prepared: Prepared, stop: &Shutdown) -> Result<Self> {
        let (watched, events) = prepared.start(stop)?;
        Ok(Self { watched, events, stop: stop.clone() })
    }

    /// Ends it, and waits until its files are closed.
    pub async fn end(mut self) {
        self.stop.request();
        self.watched.ended().await;
    }
}

impl Hold {
    /// Has the camera watched until it is given back, handed over or lost. `started` is what is connected already.
    pub async fn run(mut self, mut started: Option<Started>, mut orders: Receiver<Order>) {
        loop {
            let next = self.watch(started.take(), &mut orders).await;
            match next {
                Next::Change(camera) if self.claim.holds() => {
                    (self.camera, self.lost) = (*camera, None);
                    continue;
                }
                Next::Change(_) | Next::Lost => {
                    tracing::warn!(
                        "{}: given up, because NATS did not confirm that it is still this worker's",
                        self.held.camera
                    );
                }
                Next::Remove => self.claim.acknowledge().await,
                Next::GiveBack(delay) => self.claim.give_back(delay).await,
                Next::HandOver(reply) => {
                    let handed = self.hand_over(reply).await;
                    self.worker.moves.fetch_add(u64::from(handed), Ordering::Relaxed);
                }
            }
            break;
        }
        self.worker.cameras.remove(&self.held);
    }

    /// Watches the camera with these settings. The claim is extended meanwhile.
    async fn watch(&self, started: Option<Started>, orders: &mut Receiver<Order>) -> Next {
        let stop = started.as_ref().map_or_else(|| self.worker.shutdown.child(), |started| started.stop.clone());
        let work = async {
            let (publisher, mut started) = match self.take_over(started, &stop).await {
                Ok(taken) => taken,
                Err(next) => return next,
            };
            let stream = Arc::clone(&started.watched.state);
            self.held.set_fixed(self.camera.settings.stride.is_some_and(|stride| stride != Stride::Auto));
            self.worker.cameras.set_stream(&self.held, &stream);
            started.watched.release();
            self.held.set_holding(publisher.holding(), &self.claim);
            let mut publishing = tokio::spawn(publisher.run(started.events, stop.clone()));
            let (next, ended) = self.follow(&mut started.watched, orders).await;
            stop.request();
            if !ended {
                started.watched.ended().await;
            }
            match timeout(PUBLISHED, &mut publishing).await {
                Ok(Ok(Published::All)) => next,
                // What follows is the other worker's.
                Ok(Ok(Published::Superseded) | Err(_)) => Next::Lost,
                // The next worker ends what is open.
                Err(_) => {
                    publishing.abort();
                    next
                }
            }
        };
        tokio::pin!(work);
        tokio::select! {
            next = &mut work => next,
            () = self.claim.extend() => {
                stop.request();
                work.await;
                Next::Lost
            }
        }
    }

    /// Says that the camera is this worker's, and connects it. It may crash the program, and then the next worker must know who had it.
    async fn take_over(
        &self,
        started: Option<Started>,
        stop: &Shutdown,
    ) -> std::result::Result<(Publisher, Started), Next> {
        let unable = |error| {
            self.report(&error);
            Next::GiveBack(spread(RECOVERY))
        };
        let (stream, prepared) = match &started {
            Some(started) => (Arc::clone(&started.watched.state), None),
            None => {
                let prepared = Prepared::new(&self.worker, &self.camera).map_err(unable)?;
                (Arc::clone(&prepared.state), Some(prepared))
            }
        };
        let (camera, worker, lost) = (&self.held.camera, &self.worker.name, self.lost.clone());
        let mut publisher = Publisher::new(&self.connection, &self.claim, camera, worker, lost, &stream);
        // Servers that do not answer are told later.
        let _ = timeout(TOLD, publisher.take_over()).await;
        if let Some(started) = started {
            return Ok((publisher, started));
        }
        match prepared {
            Some(prepared) if self.claim.holds() => Ok((publisher, Started::new(prepared, stop).map_err(unable)?)),
            _ => Err(Next::Lost),
        }
    }

    /// Waits for what becomes of the camera. Returns that, and whether it has ended by itself.
    async fn follow(&self, watched: &mut Watched, orders: &mut Receiver<Order>) -> (Next, bool) {
        let mut moving: Option<Instant> = None;
        let (mut tried, mut begun) = (HashSet::new(), Instant::now());
        let mut checks = interval(CHECK);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                error = watched.ended() => {
                    let Some(error) = error.filter(|_| !self.worker.shutdown.requested()) else {
                        return (Next::GiveBack(Duration::ZERO), true);
                    };
                    self.report(&error);
                    return (Next::GiveBack(spread(RECOVERY)), true);
                }
                order = orders.recv() => match order {
                    None | Some(Order::GiveBack) => return (Next::GiveBack(Duration::ZERO), false),
                    Some(Order::Remove) => return (Next::Remove, false),
                    Some(Order::Change(camera)) if *camera == self.camera => {}
                    Some(Order::Change(camera)) => return (Next::Change(camera), false),
                    Some(Order::Move(worker)) => {
                        if moving.is_none_or(|since| since.elapsed() > MOVE_TIMEOUT) && self.offer(&worker, false).await {
                            moving = Some(Instant::now());
                        }
                    }
                    Some(Order::Ready(reply)) => {
                        if moving.is_some_and(|since| since.elapsed() < MOVE_TIMEOUT) {
                            return (Next::HandOver(reply), false);
                        }
                        answer(&self.connection, reply, &Handed::default()).await;
                    }
                },
                _ = checks.tick() => {
                    match submit::settings(&self.connection, &self.held.camera).await {
                        Ok(None) => return (Next::Remove, false),
                        Ok(Some(camera)) if camera != self.camera => return (Next::Change(Box::new(camera)), false),
                        Ok(Some(_)) | Err(_) => {}
                    }
                    let last = watched.state.progress.counters.last_arrival();
                    let seen = last.is_some_and(|last| last.elapsed() < UNREACHED);
                    let paused = watched.state.status().state == StreamPhase::Paused;
                    if seen || paused || begun.elapsed() > FORGOTTEN {
                        (begun, tried) = (Instant::now(), HashSet::new());
                    } else if begun.elapsed() > UNREACHED && moving.is_none_or(|since| since.elapsed() > MOVE_TIMEOUT) {
                        let peers = self.worker.peers.present();
                        let loads: Vec<Load> = peers.iter().map(Load::of).filter(|peer| !tried.contains(peer.name)).collect();
                        if let Some(other) = emptiest(&self.worker.name, &loads) {
                            tried.insert(other.to_string());
                            if self.offer(other, true).await {
                                moving = Some(Instant::now());
                            }
                        }
                    }
                }
            }
        }
    }

    /// Offers the camera to another worker. Returns whether it connects it. The process of a camera does not: it may crash the other worker.
    pub async fn offer(&self, worker: &str, reached: bool) -> bool {
        if self.worker.isolation.is_process() {
            return false;
        }
        let Some(reply) = self.claim.reply() else { return false };
        let (camera, from, lost) = (self.camera.clone(), self.worker.name.clone(), self.lost.clone());
        let offer = Offer { camera, from, reply: reply.into(), reached, lost };
        let accepted = offer::offer(&self.connection, format!("{OFFER}{worker}"), &offer).await;
        if accepted {
            tracing::info!("{}: {worker} connects it, to take it over", self.held.camera);
        }
        accepted
    }

    /// Hands the claim to the worker that waits for this answer. Returns whether it was this one's.
    pub async fn hand_over(&self, reply: Subject) -> bool {
        let (yours, age_ms) = (self.claim.holds(), self.claim.age().as_millis() as u64);
        answer(&self.connection, reply, &Handed { yours, age_ms }).await;
        yours
    }

    fn report(&self, error: &Error) {
        tracing::error!("{}: {error}", self.held.camera);
    }
}
