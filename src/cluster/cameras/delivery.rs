//! A camera that the queue has delivered to a worker: who had it before, and whether it gets a process of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use crate::cluster::cameras::camera::{CameraName, CameraSettings};
use crate::cluster::cameras::held::{Held, Order};
use crate::cluster::cameras::hold::Hold;
use crate::cluster::cameras::isolated::Isolated;
use crate::cluster::cameras::isolation::{Isolation, Lost, MAX_LOST};
use crate::cluster::cameras::offer::{self, Holder};
use crate::cluster::cameras::state::{self, CameraState};
use crate::cluster::cameras::submit;
use crate::cluster::claim::{Claim, spread};
use crate::cluster::connection::Connection;
use crate::cluster::names::HOLDS;
use crate::cluster::worker_state::WorkerState;
use crate::error::{ErrorKind, Result};
use crate::system::{memory, utc};

/// How long a camera waits for another worker when this one cannot watch it.
pub const LEFT: Duration = Duration::from_secs(5);
/// How long one whose settings this worker cannot use waits, about.
const UNUSABLE: Duration = Duration::from_secs(60);
/// Memory that the machine must have for another process of a camera, in bytes.
const PROCESS_MEMORY: u64 = 1 << 30;

/// A camera that the queue has delivered, whose settings are not known yet.
pub struct Delivery {
    pub worker: Arc<WorkerState>,
    pub connection: Connection,
    pub claim: Arc<Claim>,
    pub held: Arc<Held>,
    pub orders: Receiver<Order>,
}

impl Delivery {
    /// Watches the camera, unless another worker has it.
    pub async fn watch(self) {
        let Self { worker, connection, claim, held, orders } = self;
        let name = held.camera.clone();
        match known(&connection, &name).await {
            _ if worker.draining.load(Ordering::Relaxed) => claim.give_back(Duration::ZERO).await,
            Ok((Some(camera), last)) => match Before::ask(&connection, &worker, &name, last.as_ref()).await {
                // A leader of the queue that lost what another one did hands out again what is held. The other worker's claim goes on.
                Before::Has => tracing::info!("{name}: left to the worker that has it"),
                before => {
                    let (now, last) = (utc::now(), last.and_then(|last| last.lost));
                    let lost = if before == Before::Gone { Some(Lost::another(last.as_ref(), now)) } else { last };
                    let isolate = Lost::count(lost.as_ref(), now) >= MAX_LOST && may_isolate(&worker);
                    let isolation = worker.isolation.clone();
                    let hold = Hold { worker, connection, claim, camera, held, lost };
                    return match isolation {
                        Isolation::Starts(arguments) if isolate => Isolated(hold).run(&arguments, orders).await,
                        _ => hold.run(None, orders).await,
                    };
                }
            },
            Ok((None, _)) => claim.acknowledge().await,
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::warn!("{error}");
                claim.give_back(LEFT).await;
            }
            Err(error) => {
                tracing::error!("{error}");
                claim.give_back(spread(UNUSABLE)).await;
            }
        }
        worker.cameras.remove(&held);
    }
}

/// Returns a camera's settings and its last state.
async fn known(connection: &Connection, camera: &CameraName) -> Result<(Option<CameraSettings>, Option<CameraState>)> {
    Ok((submit::settings(connection, camera).await?, state::read(connection, camera).await?.0))
}

/// What became of the worker that had a camera before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// It has given the camera back, or is there and does not have it any more.
    Left,
    /// It has it.
    Has,
    /// It is not there.
    Gone,
}

impl Before {
    /// Asks the worker that had the camera last.
    async fn ask(
        connection: &Connection,
        worker: &WorkerState,
        camera: &CameraName,
        last: Option<&CameraState>,
    ) -> Self {
        let Some(last) = last.filter(|last| !last.released) else { return Self::Left };
        if last.worker == worker.name {
            return if state::is_of_this_process(&last.holding) { Self::Left } else { Self::Gone };
        }
        let holder = Holder { camera: camera.clone(), holding: last.holding.clone() };
        match offer::holds(connection, format!("{HOLDS}{}", last.worker), &holder).await {
            Some(true) => Self::Has,
            Some(false) => Self::Left,
            // When no server was there, others may come back later than this worker.
            None if !worker.peers.is_steady() => Self::Left,
            None => Self::Gone,
        }
    }
}

/// Returns whether there is memory for another process of a camera.
fn may_isolate(worker: &WorkerState) -> bool {
    let is_first = !worker.cameras.all().iter().any(|held| held.is_isolated());
    is_first || memory::available().is_none_or(|available| available > PROCESS_MEMORY)
}
