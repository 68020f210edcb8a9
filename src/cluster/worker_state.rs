//! What a worker's jobs share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use crate::cluster::cameras::held::{HeldCameras, Order};
use crate::cluster::cameras::isolation::Isolation;
use crate::cluster::clip::Labelling;
use crate::cluster::command::Command;
use crate::cluster::job::JobId;
use crate::cluster::presence::{HeldClip, Peers, WorkerStatus};
use crate::config::camera_credentials::CameraCredentials;
use crate::shutdown::Shutdown;
use crate::telemetry::{StreamState, Telemetry};

/// How often it is looked whether the worker is to take no more jobs.
const POLL: Duration = Duration::from_millis(50);

/// A clip that the worker has.
pub struct Clip {
    /// `None` for what is no job.
    id: Option<JobId>,
    /// Its path or address, as it is shown, once the job is read.
    pub input: OnceLock<String>,
    /// What shows how far it is, once it is being labelled.
    pub state: OnceLock<Arc<StreamState>>,
    pub shutdown: Shutdown,
    pub cancelled: AtomicBool,
}

impl Clip {
    pub fn new(id: Option<JobId>, worker: &WorkerState) -> Self {
        Self {
            id,
            input: OnceLock::new(),
            state: OnceLock::new(),
            shutdown: worker.shutdown.child(),
            cancelled: AtomicBool::new(false),
        }
    }
}

/// How much a worker takes at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub clips: usize,
    pub cameras: usize,
}

/// A worker's name and settings, and what it has.
pub struct WorkerState {
    pub name: String,
    /// Clips at the same time.
    pub capacity: usize,
    /// Cameras at the same time.
    pub camera_capacity: usize,
    pub labelling: Labelling,
    pub credentials: CameraCredentials,
    pub isolation: Isolation,
    pub shutdown: Shutdown,
    clips: Mutex<Vec<Arc<Clip>>>,
    pub cameras: HeldCameras,
    /// Cameras that were handed to other workers.
    pub moves: AtomicU64,
    /// The workers that said lately that they are there, with this one.
    pub peers: Peers,
    pub done: AtomicU64,
    pub failed: AtomicU64,
    pub draining: AtomicBool,
    problem: Mutex<Option<String>>,
}

impl WorkerState {
    pub fn new(
        name: String,
        room: Room,
        labelling: Labelling,
        credentials: CameraCredentials,
        isolation: Isolation,
        page: Option<Arc<Telemetry>>,
        shutdown: &Shutdown,
    ) -> Self {
        Self {
            name,
            capacity: room.clips,
            camera_capacity: room.cameras,
            labelling,
            credentials,
            isolation,
            shutdown: shutdown.clone(),
            clips: Mutex::default(),
            cameras: HeldCameras::new(page),
            moves: AtomicU64::new(0),
            peers: Peers::default(),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            problem: Mutex::default(),
        }
    }

    /// Notes what the machine lacks, or that it lacks nothing.
    pub fn set_problem(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    pub fn add(&self, clip: &Arc<Clip>) {
        self.clips().push(Arc::clone(clip));
    }

    pub fn remove(&self, clip: &Arc<Clip>) {
        self.clips().retain(|other| !Arc::ptr_eq(other, clip));
    }

    fn clips(&self) -> MutexGuard<'_, Vec<Arc<Clip>>> {
        self.clips.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the worker is to take no more jobs.
    pub async fn drained(&self) {
        while !self.draining.load(Ordering::Relaxed) {
            sleep(POLL).await;
        }
    }

    /// Returns what it says of itself.
    pub fn status(&self) -> WorkerStatus {
        let Labelling { model, engine, .. } = &self.labelling;
        let clips = self.clips();
        let held = clips.iter().filter_map(|clip| {
            let state = clip.state.get();
            let progress = state.map(|state| (state.progress.position.get(), state.progress.duration.get()));
            Some(HeldClip {
                id: clip.id.clone()?,
                input: clip.input.get().cloned().unwrap_or_default(),
                progress: progress
                    .filter(|(_, duration)| *duration > 0)
                    .map(|(position, duration)| (position as f64 / duration as f64).min(1.0)),
            })
        });
        WorkerStatus {
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            model: model.name.clone(),
            device: engine.device().to_string(),
            capacity: self.capacity,
            draining: self.draining.load(Ordering::Relaxed),
            clips: held.collect(),
            camera_capacity: self.camera_capacity,
            cameras: self.cameras.describe(),
            moves: self.moves.load(Ordering::Relaxed),
            problem: self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            done: self.done.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    /// Does what a command says.
    pub fn execute(&self, command: Command) {
        match command {
            Command::Cancel { id } => {
                for clip in self.clips().iter().filter(|clip| clip.id.as_ref() == Some(&id)) {
                    clip.cancelled.store(true, Ordering::Relaxed);
                    clip.shutdown.request();
                }
            }
            Command::Drain { worker } if worker == self.name => {
                if !self.draining.swap(true, Ordering::Relaxed) {
                    tracing::info!("{worker} takes no more jobs, and ends after those that it has");
                }
            }
            Command::Drain { .. } => {}
            Command::Remove { camera } => self.cameras.order(&camera, Order::Remove),
            Command::Move { worker, .. } if worker == self.name => {}
            Command::Move { camera, worker } => self.cameras.order(&camera, Order::Move(worker)),
        }
    }
}
