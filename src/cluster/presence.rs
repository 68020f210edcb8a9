//! The workers that there are: each says so every few seconds, and what it has.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::cluster::cameras::held::HeldCamera;
use crate::cluster::connection::Connection;
use crate::cluster::job::JobId;
use crate::cluster::names::WORKER;
use crate::cluster::record;
use crate::error::Result;

/// How often a worker says that it is there.
pub const ANNOUNCED: Duration = Duration::from_secs(3);
/// A worker that was not heard of for so long is not there.
const FORGOTTEN: Duration = Duration::from_secs(10);
/// A pause of so long means that no server was there, and after it all workers are back within so long.
const SILENCE: Duration = Duration::from_secs(7);
const RETURN: Duration = Duration::from_secs(20);
/// Workers that are remembered.
const MAX_PEERS: usize = 10_000;

/// What a worker says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerStatus {
    pub name: String,
    /// Version of the program.
    pub version: String,
    pub model: String,
    pub device: String,
    /// Clips that it labels at the same time at most.
    pub capacity: usize,
    /// Whether it takes no new jobs, and ends when it has none.
    pub draining: bool,
    pub clips: Vec<HeldClip>,
    /// Cameras that it watches at the same time at most, those that it has, and how many it has handed over.
    #[serde(default)]
    pub camera_capacity: usize,
    #[serde(default)]
    pub cameras: Vec<HeldCamera>,
    #[serde(default)]
    pub moves: u64,
    /// What its machine lacks, if it could not do its last clip for that reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Clips that it has labelled, and that failed.
    pub done: u64,
    pub failed: u64,
}

/// A clip that a worker has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldClip {
    pub id: JobId,
    pub input: String,
    /// How much of it is labelled, from 0 to 1; unknown for a clip without a duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
}

/// Returns the workers that there are, by name.
///
/// # Errors
/// `Unavailable` if the server does not answer.
pub async fn workers(connection: &Connection) -> Result<Vec<WorkerStatus>> {
    let mut workers: Vec<WorkerStatus> = record::values(&connection.streams.workers, WORKER).await?;
    workers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(workers)
}

/// The workers that said lately that they are there.
#[derive(Default)]
pub struct Peers {
    all: Mutex<HashMap<String, (WorkerStatus, Instant)>>,
    heard: Mutex<Heard>,
}

/// When a worker was heard of, and when one was after a time without: no server was there.
#[derive(Clone, Copy, Default)]
struct Heard {
    last: Option<Instant>,
    again: Option<Instant>,
}

impl Peers {
    /// Notes what a worker says of itself.
    pub fn meet(&self, status: WorkerStatus) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if heard.last.is_some_and(|last| now - last > SILENCE) {
            heard.again = Some(now);
        }
        heard.last = Some(now);
        drop(heard);
        let mut peers = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        peers.retain(|_, (_, seen)| seen.elapsed() < FORGOTTEN);
        if peers.len() < MAX_PEERS || peers.contains_key(&status.name) {
            peers.insert(status.name.clone(), (status, Instant::now()));
        }
    }

    /// Returns whether workers were heard of without a pause, so that one which does not answer has ended. A worker hears itself.
    pub fn is_steady(&self) -> bool {
        let Heard { last, again } = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_none_or(|last| last.elapsed() <= SILENCE) && again.is_none_or(|again| again.elapsed() > RETURN)
    }

    /// Returns whether a worker is there.
    pub fn is_present(&self, name: &str) -> bool {
        let peers = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        peers.get(name).is_some_and(|(_, seen)| seen.elapsed() < FORGOTTEN)
    }

    /// Returns the workers that are there, by name.
    pub fn present(&self) -> Vec<WorkerStatus> {
        let peers = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let present = peers.values().filter(|(_, seen)| seen.elapsed() < FORGOTTEN);
        let mut present: Vec<WorkerStatus> = present.map(|(status, _)| status.clone()).collect();
        present.sort_by(|a, b| a.name.cmp(&b.name));
        present
    }
}
