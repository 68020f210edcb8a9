//! What the cluster does: workers, jobs that wait, and those that ended; and the commands to change it.

use std::time::Duration;

use async_nats::jetstream::stream::LastRawMessageErrorKind;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::cluster::command::Command;
use crate::cluster::connection::{Connection, block_on};
use crate::cluster::job::{ClipJob, JobId};
use crate::cluster::names::{CLIP, COMMAND, FAILED, RESULT};
use crate::cluster::presence::{WorkerStatus, workers};
use crate::cluster::record::{self, JobRecord, JobState, subjects, values};
use crate::cluster::streams;
use crate::config::nats::NatsConfig;
use crate::error::{Error, Result};

/// How long a request may take.
const LIMIT: Duration = Duration::from_secs(120);
/// How long a worker may take to say that it drains, and how often that is looked at.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(200);

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
}

/// The jobs of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobList {
    /// Those that have not ended, with the worker that has them.
    pub open: Vec<OpenJob>,
    pub failed: Vec<JobRecord>,
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
    let mut consumer = streams::clips(&connection.streams).await?;
    let queue = consumer.info().await.map_err(|cause| record::unanswered(&cause))?.clone();
    let records = &connection.streams.records;
    Ok(ClusterStatus {
        workers: workers(connection).await?,
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
    Ok(JobList { open: open.into_iter().map(|(worker, id)| OpenJob { id, worker }).collect(), failed })
}

/// Cancels a job. Returns false if it had ended, or there is none.
///
/// # Errors
/// `Unavailable` if the server does not answer, or this user may not.
pub async fn cancel(connection: &Connection, id: &JobId) -> Result<bool> {
    let clips = &connection.streams.clips;
    let subject = format!("{CLIP}{id}");
    let message = match clips.get_last_raw_message_by_subject(&subject).await {
        Ok(message) => message,
        Err(cause) if cause.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(false),
        Err(cause) => return Err(record::unanswered(&cause)),
    };
    let input = ClipJob::read(&message.payload).map(|job| job.input).unwrap_or_default();
    // The record first: from then on nobody begins it. If it was cancelled before, the rest may not have been done.
    let first = record::write(connection, &JobRecord::new(id, &input, JobState::Cancelled)).await?;
    let cancelled =
        first || record::read(connection, id).await?.is_some_and(|record| record.state == JobState::Cancelled);
    if !cancelled {
        return Ok(false);
    }
    // One message: a purge of its subject would move the consumer of 2.9's servers past all others. It may be gone by now.
    let _ = clips.delete_message(message.sequence).await;
    send(connection, &Command::Cancel { id: id.clone() }).await?;
    Ok(true)
}

/// Has a worker end when it has done what it has.
///
/// # Errors
/// Usage, if there is no such worker; `Unavailable` if the server does not answer.
pub async fn drain(connection: &Connection, worker: &str) -> Result<()> {
    let present = workers(connection).await?;
    if present.iter().all(|status| status.name != worker) {
        let names: Vec<&str> = present.iter().map(|status| status.name.as_str()).collect();
        let names =
            if names.is_empty() { "there is none".into() } else { format!("name one of these: {}", names.join(", ")) };
        return Err(Error::usage(format!("there is no worker {worker}")).remedy(names));
    }
    send(connection, &Command::Drain { worker: worker.into() }).await?;
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

async fn send(connection: &Connection, command: &Command) -> Result<()> {
    let bytes = serde_json::to_vec(command).map_err(|cause| Error::internal("a command").because(cause))?;
    connection.client.publish(COMMAND, bytes.into()).await.map_err(|cause| record::unanswered(&cause))?;
    connection.client.flush().await.map_err(|cause| record::unanswered(&cause))
}
