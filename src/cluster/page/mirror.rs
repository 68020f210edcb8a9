//! The streams of a page that shows a whole cluster: copies of those that the workers have.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::cluster::cameras::camera::CameraName;
use crate::cluster::connection::{Connection, ask, listen, request};
use crate::cluster::names::{PICTURE, VIEW, WATCH, WORKER};
use crate::cluster::page::{Look, LookAtPicture, TIME, View};
use crate::cluster::presence::Peers;
use crate::cluster::{queue_metrics, record};
use crate::system::clock::SharedClock;
use crate::system::utc;
use crate::telemetry::status::StreamPhase;
use crate::telemetry::{LabelSettings, Picture, StreamInfo, StreamState, Telemetry};

/// How often it is looked who has which camera, how each is, and which cameras there are.
const FOLLOWED: Duration = Duration::from_millis(500);
const VIEWED: Duration = Duration::from_millis(500);
const LISTED: Duration = Duration::from_secs(10);
/// How long a worker may take to answer, and when a camera is shown as lost.
const ANSWER: Duration = Duration::from_secs(2);
const LOST: Duration = Duration::from_secs(5);
/// How often it is looked whether somebody looks at a camera.
const POLL: Duration = Duration::from_millis(50);

/// Keeps copies of the cluster's streams.
pub struct Mirror {
    connection: Connection,
    telemetry: Arc<Telemetry>,
    peers: Arc<Peers>,
    tiles: Arc<Tiles>,
}

/// The copies, by name.
struct Tiles {
    streams: Mutex<BTreeMap<CameraName, Arc<StreamState>>>,
    telemetry: Arc<Telemetry>,
}

impl Tiles {
    fn change(&self, change: impl FnOnce(&mut BTreeMap<CameraName, Arc<StreamState>>)) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut streams);
        self.telemetry.replace(streams.values().cloned().collect());
    }

    fn find(&self, camera: &CameraName) -> Option<Arc<StreamState>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).get(camera).cloned()
    }
}

impl Mirror {
    pub fn new(connection: &Connection, telemetry: &Arc<Telemetry>, peers: &Arc<Peers>) -> Self {
        let tiles = Tiles { streams: Mutex::default(), telemetry: Arc::clone(telemetry) };
        Self {
            connection: connection.clone(),
            telemetry: Arc::clone(telemetry),
            peers: Arc::clone(peers),
            tiles: Arc::new(tiles),
        }
    }

    /// Follows the cluster until it is dropped.
    pub async fn run(&self) {
        let meet = async |message: async_nats::Message| {
            if let Ok(status) = serde_json::from_slice(&message.payload) {
                self.peers.meet(status);
            }
        };
        tokio::join!(
            listen(&self.connection, format!("{WORKER}*"), meet),
            self.follow(),
            self.list(),
            queue_metrics::run(&self.connection),
        );
    }

    /// Asks each worker about its cameras.
    async fn follow(&self) {
        let (mut tasks, mut followed) = (JoinSet::new(), HashMap::<CameraName, (String, AbortHandle)>::new());
        let mut ticks = interval(FOLLOWED);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            while tasks.try_join_next().is_some() {}
            let present = self.peers.present();
            let held: HashMap<CameraName, String> = present
                .iter()
                .flat_map(|worker| worker.cameras.iter().map(|held| (held.camera.clone(), worker.name.clone())))
                .collect();
            followed.retain(|camera, (worker, task)| {
                let stays = held.get(camera) == Some(worker);
                if !stays {
                    task.abort();
                    self.tiles.find(camera).iter().for_each(|stream| lose(stream, "no worker has it"));
                }
                stays
            });
            for (camera, worker) in held {
                let Entry::Vacant(entry) = followed.entry(camera) else { continue };
                let follower = Follower {
                    camera: entry.key().clone(),
                    worker: worker.clone(),
                    connection: self.connection.clone(),
                    tiles: Arc::clone(&self.tiles),
                    clock: Arc::clone(&self.telemetry.clock),
                };
                let task = tasks.spawn(async move { tokio::join!(follower.view(), follower.show()) });
                entry.insert((worker, task));
            }
        }
    }

    /// Forgets cameras that were removed.
    async fn list(&self) {
        loop {
            sleep(LISTED).await;
            if let Ok(names) = record::subjects(&self.connection.streams.live, WATCH).await {
                let names: HashSet<CameraName> = names.iter().filter_map(|name| name.parse().ok()).collect();
                self.tiles.change(|streams| streams.retain(|camera, _| names.contains(camera)));
            }
        }
    }
}

/// Copies one camera from the worker that has it.
struct Follower {
    camera: CameraName,
    worker: String,
    connection: Connection,
    tiles: Arc<Tiles>,
    clock: SharedClock,
}

impl Follower {
    /// Asks how the camera is, again and again.
    async fn view(&self) {
        let (mut seen, mut answered) = (None, Instant::now());
        loop {
            let look = Look { camera: self.camera.clone(), seen };
            match ask::<View>(&self.connection, format!("{VIEW}{}", self.worker), &look, ANSWER).await {
                Some(View { identity, stream: snapshot }) => {
                    let known = seen.filter(|(old, _)| *old == identity).and_then(|_| self.tiles.find(&self.camera));
                    let stream = known.unwrap_or_else(|| self.add(&snapshot.input, &snapshot.labels));
                    (seen, answered) = (Some((identity, snapshot.revision)), Instant::now());
                    snapshot.apply(&stream, utc::now());
                }
                None if answered.elapsed() > LOST => {
                    self.tiles.find(&self.camera).iter().for_each(|stream| lose(stream, "its worker does not answer"));
                }
                None => {}
            }
            sleep(VIEWED).await;
        }
    }

    fn add(&self, input: &str, labels: &[String]) -> Arc<StreamState> {
        let info =
            StreamInfo { name: self.camera.to_string(), input: input.into(), live: true, labels: labels.to_vec() };
        let stream = Arc::new(StreamState::new(info, LabelSettings::default(), true, &self.clock));
        self.tiles.change(|streams| drop(streams.insert(self.camera.clone(), Arc::clone(&stream))));
        stream
    }

    /// Asks for the camera's pictures while somebody looks at them.
    async fn show(&self) {
        let mut after_ms = None;
        loop {
            let stream = self.tiles.find(&self.camera).filter(|stream| stream.wants_picture());
            let Some(stream) = stream else {
                sleep(POLL).await;
                continue;
            };
            let question = LookAtPicture { camera: self.camera.clone(), after_ms };
            let subject = format!("{PICTURE}{}", self.worker);
            let Some(answer) = request(&self.connection, subject, &question, ANSWER).await else {
                sleep(POLL).await;
                continue;
            };
            let time = answer.headers.as_ref().and_then(|headers| headers.get(TIME)?.as_str().parse().ok());
            if let Some(ms) = time {
                after_ms = Some(ms);
                stream.pictures.put(Picture { jpeg: answer.payload, ms });
            }
        }
    }
}

/// Shows that nothing is known of a camera for the time being.
fn lose(stream: &StreamState, reason: &str) {
    let mut status = stream.progress.status_mut();
    status.enter(StreamPhase::Reconnecting, utc::now());
    (status.reason, status.label, status.rate) = (Some(reason.into()), None, 0.0);
}
