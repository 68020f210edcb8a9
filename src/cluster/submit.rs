//! Sends jobs, and waits for their end if asked to.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep, timeout};

use crate::cluster::cameras::{self, camera::CameraSettings};
use crate::cluster::claim::CLAIM;
use crate::cluster::connection::{Connection, block_on, stopped};
use crate::cluster::job::{ClipJob, JobId};
use crate::cluster::names::RESULT;
use crate::cluster::objects;
use crate::cluster::presence;
use crate::cluster::record::{self, JobRecord, JobState};
use crate::config::nats::NatsConfig;
use crate::error::{Error, Result};
use crate::shutdown::Shutdown;

/// Jobs that are on their way to the server at the same time.
const CONCURRENT: usize = 64;
const POLL: Duration = Duration::from_millis(50);
/// After this time without a record those of some jobs are looked up.
const QUIET: Duration = Duration::from_secs(15);
const LOOKED_UP: usize = 100;
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// How long it may take to delete a message that is handed out again.
const DELETION: Duration = Duration::from_secs(5);

/// What became of a job that was sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Submitted {
    /// It waits now.
    Queued,
    /// It waited before, or a worker has it.
    Known,
    /// It ended before.
    Ended(Box<JobRecord>),
}

/// Receives what happens to the jobs.
pub trait Progress {
    fn camera(&mut self, camera: &CameraSettings, submitted: cameras::submit::Submitted);
    fn submitted(&mut self, job: &ClipJob, submitted: &Submitted);
    fn ended(&mut self, record: &JobRecord);
}

/// Jobs to send.
pub struct Submission {
    pub clips: Vec<ClipJob>,
    pub cameras: Vec<CameraSettings>,
    /// Wait until all have ended.
    pub wait: bool,
}

/// How many jobs ended in which way; of those that were waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub done: u64,
    pub failed: u64,
    pub cancelled: u64,
}

impl Totals {
    fn add(&mut self, state: JobState) {
        *match state {
            JobState::Done => &mut self.done,
            JobState::Failed => &mut self.failed,
            JobState::Cancelled => &mut self.cancelled,
        } += 1;
    }
}

impl Submission {
    /// Sends the jobs. Blocks.
    ///
    /// # Errors
    /// Those of the connection, and of a server that does not confirm a job: those before it are sent.
    pub fn run(&self, nats: &NatsConfig, shutdown: &Shutdown, progress: &mut dyn Progress) -> Result<Totals> {
        block_on(async {
            tokio::select! {
                totals = self.send(nats, progress) => totals,
                () = stopped(shutdown) => Ok(Totals::default()),
            }
        })
    }

    async fn send(&self, nats: &NatsConfig, progress: &mut dyn Progress) -> Result<Totals> {
        let connection = Connection::open(nats, "submit").await?;
        // What ends from now on.
        let since = connection.streams.records.get_info().await.map_err(|cause| record::unanswered(&cause))?;
        let since = since.state.last_sequence + 1;
        let connection = &connection;
        for camera in &self.cameras {
            progress.camera(camera, cameras::submit::submit(connection, camera).await?);
        }
        let mut sent = stream::iter(&self.clips)
            .map(|job| async move { submit(connection, job).await.map(|submitted| (job, submitted)) })
            .buffered(CONCURRENT);
        let (mut open, mut totals) = (HashSet::new(), Totals::default());
        while let Some(submitted) = sent.next().await {
            let (job, submitted) = submitted?;
            progress.submitted(job, &submitted);
            match submitted {
                Submitted::Ended(record) => totals.add(record.state),
                Submitted::Queued | Submitted::Known => {
                    open.insert(job.id.clone());
                }
            }
        }
        if !self.cameras.is_empty()
            && !presence::workers(connection).await?.iter().any(|worker| worker.camera_capacity > 0)
        {
            tracing::warn!("no worker that takes cameras is there; the cameras wait for one (livelabel worker)");
        }
        if self.wait {
            if !open.is_empty() && presence::workers(connection).await?.is_empty() {
                tracing::warn!("no worker is there; the clips wait for one (livelabel worker)");
            }
            wait(connection, open, since, progress, &mut totals).await;
        }
        Ok(totals)
    }
}

/// Sends a job, unless it has ended or waits already.
async fn submit(connection: &Connection, job: &ClipJob) -> Result<Submitted> {
    if let Some(ended) = record::read(connection, &job.id).await? {
        if !job.again && ended.state == JobState::Done {
            return Ok(Submitted::Ended(Box::new(ended)));
        }
        until_deleted(connection, job).await?;
        record::forget(connection, &job.id).await?;
        objects::forget(connection, &ended).await;
    }
    // A subject has one message, as long as the job has not ended.
    match record::create(&connection.jetstream, job.subject(), job).await? {
        true => Ok(Submitted::Queued),
        false => Ok(Submitted::Known),
    }
}

/// Waits until the message of a job that has ended is deleted: by who recorded it, or at the next time that it is handed out.
async fn until_deleted(connection: &Connection, job: &ClipJob) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < CLAIM + DELETION {
        if !record::has_message(&connection.streams.clips, job.subject()).await? {
            return Ok(());
        }
        sleep(POLL).await;
    }
    Err(Error::unavailable(format!("{}: has ended, and its message is still there", job.id))
        .remedy("start a worker, which deletes it, and submit the clip again"))
}

/// Waits until all jobs have ended.
async fn wait(
    connection: &Connection,
    mut open: HashSet<JobId>,
    since: u64,
    progress: &mut dyn Progress,
    totals: &mut Totals,
) {
    let mut next = since;
    while !open.is_empty() {
        let config = pull::OrderedConfig {
            filter_subject: format!("{RESULT}*"),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: next },
            ..pull::OrderedConfig::default()
        };
        let messages = async { connection.streams.records.create_consumer(config).await.ok()?.messages().await.ok() };
        let Some(mut messages) = messages.await else {
            sleep(RETRY_DELAY).await;
            continue;
        };
        loop {
            let message = match timeout(QUIET, messages.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(_) => break,
                // What the consumer may have missed.
                Err(_) => {
                    for id in open.iter().take(LOOKED_UP).cloned().collect::<Vec<_>>() {
                        if let Ok(Some(ended)) = record::read(connection, &id).await {
                            open.remove(&id);
                            totals.add(ended.state);
                            progress.ended(&ended);
                        }
                    }
                    if open.is_empty() {
                        return;
                    }
                    continue;
                }
            };
            if let Ok(info) = message.info() {
                next = info.stream_sequence + 1;
            }
            let Ok(ended) = serde_json::from_slice::<JobRecord>(&message.payload) else { continue };
            if open.remove(&ended.id) {
                totals.add(ended.state);
                progress.ended(&ended);
            }
            if open.is_empty() {
                return;
            }
        }
    }
}
