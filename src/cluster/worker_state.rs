//! What a worker's jobs share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cluster::clip::Labelling;
use crate::cluster::command::Command;
use crate::cluster::job::JobId;
use crate::cluster::presence::{Held, WorkerStatus};
use crate::shutdown::Shutdown;
use crate::telemetry::StreamState;

/// A clip that is being labelled.
pub struct Clip {
    pub state: Arc<StreamState>,
    pub shutdown: Shutdown,
    pub cancelled: Arc<AtomicBool>,
}

/// A worker's name and settings, and what it has.
pub struct WorkerState {
    pub name: String,
    /// Clips at the same time.
    pub capacity: usize,
    pub labelling: Labelling,
    pub shutdown: Shutdown,
    clips: Mutex<BTreeMap<JobId, Clip>>,
    pub done: AtomicU64,
    pub failed: AtomicU64,
    pub draining: AtomicBool,
}

impl WorkerState {
    pub fn new(name: String, capacity: usize, labelling: Labelling, shutdown: &Shutdown) -> Self {
        Self {
            name,
            capacity,
            labelling,
            shutdown: shutdown.clone(),
            clips: Mutex::default(),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            draining: AtomicBool::new(false),
        }
    }

    /// Returns the clips that it has.
    pub fn clips(&self) -> MutexGuard<'_, BTreeMap<JobId, Clip>> {
        self.clips.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what it says of itself.
    pub fn status(&self) -> WorkerStatus {
        let Labelling { model, engine, .. } = &self.labelling;
        let clips = self.clips();
        let held = clips.iter().map(|(id, clip)| {
            let progress = &clip.state.progress;
            let duration = progress.duration.get();
            Held {
                id: id.clone(),
                input: clip.state.info.input.clone(),
                progress: (duration > 0).then(|| (progress.position.get() as f64 / duration as f64).min(1.0)),
            }
        });
        WorkerStatus {
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            model: model.name.clone(),
            device: engine.device().to_string(),
            capacity: self.capacity,
            draining: self.draining.load(Ordering::Relaxed),
            clips: held.collect(),
            done: self.done.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    /// Does what a command says.
    pub fn execute(&self, command: Command) {
        match command {
            Command::Cancel { id } => {
                let clips = self.clips();
                if let Some(clip) = clips.get(&id) {
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
        }
    }
}
