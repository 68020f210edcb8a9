//! What the cluster does: workers, jobs that wait, and those that ended; and the commands to change it.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::cluster::cameras::camera::CameraName;
use crate::cluster::cameras::state::CameraState;
use crate::cluster::command::{self, Command};
use crate::cluster::connection::{Connection, block_on};
use crate::cluster::job::{ClipJob, JobId};
use crate::cluster::names::{CLIP, FAILED, RESULT, STATE, WATCH};
use crate::cluster::presence::{WorkerStatus, workers};
use crate::cluster::record::{self, JobRecord, JobState, subjects, values};
use crate::cluster::streams;
use crate::config::nats::NatsConfig;
use crate::error::{Error, Result};
use crate::telemetry::status::StreamPhase;

/// How long a request may take.
const LIMIT: Duration = Duration::from_secs(120);
/// How long a worker may take to say that it drains, and how often that is looked at.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(200);
/// How long a camera may take to be moved: to be connected, closed, and told.
const MOVE_TIMEOUT: Duration = Duration::from_secs(25);

/// The state of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClusterStatus {
    pub workers: Vec<WorkerStatus>,
    /// Clips that wait, that workers have, and that were handed out more than once.
    pub waiting: u64,
    pub claimed: u64,
    pub redelivered: u64,
    /// Clips whose end is remembered, and those of them that failed.
    pub ended: u64,
    pub failed: u64,
    pub cameras: CameraTotals,
}

/// How many cameras there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CameraTotals {
    /// Cameras that wait for a worker, that workers have, and that had another worker before.
    pub waiting: u64,
    pub watched: u64,
    pub redelivered: u64,
}

/// The jobs of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobList {
    /// The cameras, with the worker that has them.
    pub cameras: Vec<OpenCamera>,
    /// Those that have not ended, with the worker that has them.
    pub open: Vec<OpenJob>,
    pub failed: Vec<JobRecord>,
}

/// A camera.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenCamera {
    pub camera: CameraName,
    /// Who has it.
    pub worker: Option<String>,
    /// Why it sends no frames, or waits.
    pub reason: Option<String>,
}

/// A job that has not ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenJob {
    pub id: JobId,
    /// Who has it.
    pub worker: Option<String>,
}

/// Runs a request to the cluster. Blocks.
///
/// # Errors
/// Those of the connection and of the request.
pub fn request<T>(nats: &NatsConfig, ask: impl AsyncFnOnce(&Connection) -> Result<T>) -> Result<T> {
    block_on(async {
        let asked = async { ask(&Connection::open(nats, "cluster").await?).await };
        tokio::time::timeout(LIMIT, asked)
            .await
            .unwrap_or_else(|_| Err(Error::unavailable(format!("{nats}: no answer within {} s", LIMIT.as_secs()))))
    })
}

/// Returns the state of the cluster.
///
/// # Errors
/// `Unavailable` if the server does not answer.
pub async fn status(connection: &Connection) -> Result<ClusterStatus> {
    // Both were asked for just now.
    let (clips, cameras) = (streams::clips(&connection.streams).await?, streams::cameras(&connection.streams).await?);
    let (queue, redelivered) = (clips.cached_info(), cameras.cached_info().num_redelivered as u64);
    let live = connection.streams.live.get_info().await.map_err(|cause| record::unanswered(&cause))?;
    let workers = workers(connection).await?;
    // A camera that was given back counts as claimed on the server, until another worker takes it.
    let watched = workers.iter().map(|worker| worker.cameras.len() as u64).sum();
    let records = &connection.streams.records;
    Ok(ClusterStatus {
        cameras: CameraTotals { waiting: live.state.messages.saturating_sub(watched), watched, redelivered },
        workers,
        waiting: queue.num_pending,
        claimed: queue.num_ack_pending as u64,
        redelivered: queue.num_redelivered as u64,
        ended: subjects(records, RESULT).await?.len() as u64,
        failed: subjects(records, FAILED).await?.len() as u64,
    })
}

/// Returns the jobs that have not ended, and those that failed.
///
/// # Errors
/// `Unavailable` if the server does not answer.
pub async fn list(connection: &Connection) -> Result<JobList> {
    let workers = workers(connection).await?;
    let holder = |id: &JobId| {
        let found = workers.iter().find(|worker| worker.clips.iter().any(|clip| clip.id == *id));
        found.map(|worker| worker.name.clone())
    };
    let ids = subjects(&connection.streams.clips, CLIP).await?;
    let mut open: Vec<_> = ids.iter().filter_map(|id| id.parse().ok()).map(|id| (holder(&id), id)).collect();
    open.sort_by(|(a, first), (b, second)| b.is_some().cmp(&a.is_some()).then(first.cmp(second)));
    let mut failed: Vec<JobRecord> = values(&connection.streams.records, FAILED).await?;
    failed.sort_by(|a, b| a.ended.cmp(&b.ended));
    let names = subjects(&connection.streams.live, WATCH).await?;
    let mut cameras: Vec<_> =
        names.iter().filter_map(|name| name.parse().ok()).map(|camera| open_camera(camera, &workers)).collect();
    if cameras.iter().any(|camera| camera.worker.is_none()) {
        let states: Vec<CameraState> = values(&connection.streams.states, STATE).await?;
        for camera in cameras.iter_mut().filter(|camera| camera.worker.is_none()) {
            let mut states = states.iter().filter(|state| state.released && state.state == StreamPhase::Failed);
            camera.reason = states.find(|state| state.camera == camera.camera).and_then(|state| state.reason.clone());
        }
    }
    cameras.sort_by(|a, b| a.worker.is_some().cmp(&b.worker.is_some()).then(a.camera.cmp(&b.camera)));
    Ok(JobList { cameras, open: open.into_iter().map(|(worker, id)| OpenJob { id, worker }).collect(), failed })
}

fn open_camera(camera: CameraName, workers: &[WorkerStatus]) -> OpenCamera {
    let mut held = workers.iter().flat_map(|worker| worker.cameras.iter().map(move |held| (worker, held)));
    let (worker, reason) = match held.find(|(_, held)| held.camera == camera) {
        Some((worker, held)) => (Some(worker.name.clone()), held.reason.clone()),
        None => (None, None),
    };
    OpenCamera { camera, worker, reason }
}

/// Has another worker watch a camera, and waits until it does.
///
/// # Errors
/// Usage, if there is no such worker, or none watches the camera; `Unavailable` if the server does not answer, or the camera is not moved.
pub async fn move_camera(connection: &Connection, camera: &CameraName, worker: &str) -> Result<()> {
    check_present(&workers(connection).await?, worker)?;
    let begun = Instant::now();
    let mut sent = false;
    while begun.elapsed() < MOVE_TIMEOUT {
        let present = workers(connection).await?;
        match open_camera(camera.clone(), &present).worker {
            Some(holder) if holder == worker => return Ok(()),
            None if !sent => {
                return Err(Error::usage(format!("no worker watches {camera}"))
                    .remedy("the cameras are listed by livelabel cluster list"));
            }
            _ => {}
        }
        if !std::mem::replace(&mut sent, true) {
            command::send(connection, &Command::Move { camera: camera.clone(), worker: worker.into() }).await?;
        }
        sleep(POLL).await;
    }
    Err(Error::unavailable(format!("{camera} is not moved to {worker}"))
        .remedy("look at livelabel cluster status: the worker may be full or draining, or this NATS user may not publish livelabel.command"))
}

fn check_present(present: &[WorkerStatus], worker: &str) -> Result<()> {
    if present.iter().any(|status| status.name == worker) {
        return Ok(());
    }
    let names: Vec<&str> = present.iter().map(|status| status.name.as_str()).collect();
    let names =
        if names.is_empty() { "there is none".into() } else { format!("name one of these: {}", names.join(", ")) };
    Err(Error::usage(format!("there is no worker {worker}")).remedy(names))
}

/// Cancels a job. Returns false if it had ended, or there is none.
///
/// # Errors
/// `Unavailable` if the server does not answer, or this user may not.
pub async fn cancel(connection: &Connection, id: &JobId) -> Result<bool> {
    let clips = &connection.streams.clips;
    let subject = format!("{CLIP}{id}");
    let Some(message) = record::leader_last(clips, &subject).await? else { return Ok(false) };
    let input = ClipJob::read(&message.payload).map(|job| job.shown()).unwrap_or_default();
    // The record first: from then on nobody begins it. If it was cancelled before, the rest may not have been done.
    let first = record::write(connection, &JobRecord::new(id, &input, JobState::Cancelled)).await?;
    let cancelled =
        first || record::read(connection, id).await?.is_some_and(|record| record.state == JobState::Cancelled);
    if !cancelled {
        return Ok(false);
    }
    // One message: a purge of its subject would move the consumer of 2.9's servers past all others. It may be gone by now.
    let _ = clips.delete_message(message.sequence).await;
    command::send(connection, &Command::Cancel { id: id.clone() }).await?;
    Ok(true)
}

/// Has a worker end when it has done what it has.
///
/// # Errors
/// Usage, if there is no such worker; `Unavailable` if the server does not answer.
pub async fn drain(connection: &Connection, worker: &str) -> Result<()> {
    check_present(&workers(connection).await?, worker)?;
    command::send(connection, &Command::Drain { worker: worker.into() }).await?;
    // A user who may not send it is not told so.
    let begun = Instant::now();
    while begun.elapsed() < DRAIN_TIMEOUT {
        let present = workers(connection).await?;
        if present.iter().all(|status| status.name != worker || status.draining) {
            return Ok(());
        }
        sleep(POLL).await;
    }
    Err(Error::unavailable(format!("the worker {worker} does not drain"))
        .remedy("let this NATS user publish livelabel.command, and check that the worker is connected"))
}
