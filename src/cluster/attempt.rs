//! One time that a worker has a job: from the message to the record of how it ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::cluster::claim::Claim;
use crate::cluster::clip::{Ended, Labelled, Process};
use crate::cluster::connection::Connection;
use crate::cluster::job::{ClipJob, JobId, Unusable};
use crate::cluster::names::CLIP;
use crate::cluster::presence;
use crate::cluster::record::{self, JobRecord, JobState};
use crate::cluster::worker_state::{Clip, WorkerState};
use crate::error::{Error, ErrorKind, Result};

/// Times that a job may be handed out without a word of how it ended. After that it is done in a process of its own, which cannot take the
/// worker with it.
const LOST: u64 = 2;
/// Workers that may be unable to do a job before it counts as failed, and how long it waits for another one.
const UNABLE: usize = 3;
const ANOTHER: Duration = Duration::from_secs(2);
/// How long a worker takes no other job in place of one that its machine could not do: its disk may be full.
const RECOVERY: Duration = Duration::from_secs(10);
/// The wait before something is tried again that a server did not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// A job in a worker's hands.
pub struct Attempt {
    pub worker: Arc<WorkerState>,
    pub connection: Connection,
    pub claim: Claim,
}

impl Attempt {
    /// Does the job, and says how it ended. Returns when the worker has nothing to do with it any more.
    pub async fn run(self) {
        let job = match ClipJob::read(self.claim.payload()) {
            Ok(job) if self.claim.subject() == job.subject() => job,
            Ok(_) => return self.refuse("has the subject of another job").await,
            Err(Unusable::Garbage(why)) => return self.refuse(&why).await,
            Err(Unusable::Newer(why)) => return self.leave(self.id(), "", format!("a job {why}")).await,
        };
        if let Err(error) = self.attend(&job).await {
            // It is handed out again.
            tracing::warn!("{}: {error}", job.id);
            self.claim.give_back(AGAIN).await;
        }
    }

    /// The identifier in the subject.
    fn id(&self) -> Option<JobId> {
        self.claim.subject().strip_prefix(CLIP)?.parse().ok()
    }

    async fn attend(&self, job: &ClipJob) -> Result<()> {
        let Self { worker, connection, claim } = self;
        if record::read(connection, &job.id).await?.is_some() {
            // It was done, or cancelled, before this message was deleted.
            claim.acknowledge().await;
            return Ok(());
        }
        if let Some(labelled) = worker.labelling.earlier(&job.id).filter(|_| !job.again) {
            return self.end(&self.done(job, labelled)).await;
        }
        if let Some(error) = worker.labelling.unreadable(job) {
            self.leave(Some(job.id.clone()), &job.input, error.to_string()).await;
            return Ok(());
        }
        let deliveries = claim.deliveries();
        let attempts = if deliveries > 1 { record::attempts(connection, &job.id).await? } else { Default::default() };
        let lost = (deliveries - 1).saturating_sub(attempts.given_back);
        let process = if lost < LOST { Process::This } else { Process::Own };
        self.label(job, process).await
    }

    async fn label(&self, job: &ClipJob, process: Process) -> Result<()> {
        let Self { worker, claim, .. } = self;
        let work = match worker.labelling.begin(job) {
            Ok(work) => work,
            Err(error) => return self.end_with(job, error).await,
        };
        let (shutdown, cancelled) = (worker.shutdown.child(), Arc::new(AtomicBool::new(false)));
        let clip = Clip { state: Arc::clone(&work.1), shutdown: shutdown.clone(), cancelled: Arc::clone(&cancelled) };
        worker.clips().insert(job.id.clone(), clip);
        let (sender, mut ended) = oneshot::channel();
        let thread = {
            let (worker, job, shutdown) = (Arc::clone(worker), job.clone(), shutdown.clone());
            let work = move || {
                let _ = sender.send(worker.labelling.label(&job, work, process, &shutdown));
            };
            std::thread::Builder::new().name("clip".into()).spawn(work)
        };
        let ended = match thread {
            Ok(_) => tokio::select! {
                ended = &mut ended => ended,
                () = claim.extend() => {
                    shutdown.request();
                    ended.await
                }
            },
            Err(cause) => Ok(Ended::Unable(Error::unavailable("a thread for a clip cannot be started").because(cause))),
        };
        worker.clips().remove(&job.id);
        match ended.unwrap_or_else(|_| Ended::Failed(Error::internal("a thread panicked"))) {
            _ if cancelled.load(Ordering::Relaxed) => {
                claim.acknowledge().await;
                Ok(())
            }
            // Another worker has it by now, or will have. Results that are complete are as good as its own, if it has none.
            Ended::Complete(part, _) if !claim.holds() => {
                part.complete(&worker.labelling.place(&job.id), false).map(drop)
            }
            _ if !claim.holds() => {
                tracing::warn!(
                    "{}: given up, because NATS did not confirm in time that it is still this worker's",
                    job.id
                );
                Ok(())
            }
            Ended::Complete(part, labelled) => {
                let labelled = match part.complete(&worker.labelling.place(&job.id), job.again)? {
                    true => labelled,
                    false => worker.labelling.earlier(&job.id).unwrap_or_default(),
                };
                self.end(&self.done(job, labelled)).await
            }
            Ended::Interrupted => {
                self.give_back(&job.id, Duration::ZERO).await;
                Ok(())
            }
            Ended::Unable(error) => self.wait(&job.id, &error).await,
            Ended::Failed(error) => self.fail(job, &error).await,
        }
    }

    /// Ends a job that could not be begun, or leaves it if that is this machine's fault.
    async fn end_with(&self, job: &ClipJob, error: Error) -> Result<()> {
        match error.kind() {
            ErrorKind::Usage | ErrorKind::Input => self.fail(job, &error).await,
            _ => self.wait(&job.id, &error).await,
        }
    }

    /// Gives a job back that this machine cannot do for now, and waits for a while before it takes another.
    async fn wait(&self, id: &JobId, error: &Error) -> Result<()> {
        tracing::warn!("{id}: left to other workers, because {error}");
        self.give_back(id, RECOVERY).await;
        sleep(RECOVERY).await;
        Ok(())
    }

    fn done(&self, job: &ClipJob, labelled: Labelled) -> JobRecord {
        JobRecord {
            worker: Some(self.worker.name.clone()),
            folder: Some(self.worker.labelling.place(&job.id).display().to_string()),
            files: labelled.files,
            intervals: labelled.intervals,
            duration_ms: labelled.duration_ms,
            ..JobRecord::new(&job.id, &job.input, JobState::Done)
        }
    }

    async fn fail(&self, job: &ClipJob, error: &Error) -> Result<()> {
        let record = JobRecord {
            worker: Some(self.worker.name.clone()),
            error: Some(error.to_string()),
            ..JobRecord::new(&job.id, &job.input, JobState::Failed)
        };
        self.end(&record).await
    }

    /// Records how the job ended, and deletes its message.
    async fn end(&self, record: &JobRecord) -> Result<()> {
        let first = record::write(&self.connection, record).await?;
        let counter = if record.state == JobState::Done { &self.worker.done } else { &self.worker.failed };
        counter.fetch_add(first.into(), Ordering::Relaxed);
        match &record.error {
            Some(error) => tracing::error!("{error}"),
            None => tracing::info!("{}: done", record.input),
        }
        // If this is not heard, the job is handed out again, and the record says that it has ended.
        self.claim.acknowledge().await;
        Ok(())
    }

    /// Ends what is no job.
    async fn refuse(&self, why: &str) {
        let error = format!("a message {why}; send jobs with livelabel submit");
        let Some(id) = self.id() else {
            tracing::error!("{error}");
            self.claim.acknowledge().await;
            return;
        };
        let record = JobRecord { error: Some(error), ..JobRecord::new(&id, "", JobState::Failed) };
        if let Err(error) = self.end(&record).await {
            tracing::warn!("{id}: {error}");
            self.claim.give_back(AGAIN).await;
        }
    }

    /// Leaves a job to other workers, or ends it if too many are unable to do it.
    async fn leave(&self, id: Option<JobId>, input: &str, why: String) {
        let Some(id) = id else { return self.refuse("has no identifier").await };
        let left = async {
            let mut attempts = record::attempts(&self.connection, &id).await?;
            attempts.given_back += 1;
            attempts.add_unable(&self.worker.name, &why);
            let workers = presence::workers(&self.connection).await?;
            let others = workers.iter().any(|worker| attempts.unable.iter().all(|(name, _)| *name != worker.name));
            if others && attempts.unable.len() < UNABLE {
                record::note(&self.connection, &id, &attempts).await?;
                self.claim.give_back(ANOTHER).await;
                return Ok(());
            }
            let workers: Vec<&str> = attempts.unable.iter().map(|(worker, _)| worker.as_str()).collect();
            let error = format!("{why}; tried by {}", workers.join(", "));
            self.end(&JobRecord { error: Some(error), ..JobRecord::new(&id, input, JobState::Failed) }).await
        };
        let left: Result<()> = left.await;
        if let Err(error) = left {
            tracing::warn!("{id}: {error}");
            sleep(AGAIN).await;
        }
    }

    /// Gives the job back, and notes it, so that this time does not count as lost.
    async fn give_back(&self, id: &JobId, delay: Duration) {
        let noted = async {
            let mut attempts = record::attempts(&self.connection, id).await?;
            attempts.given_back += 1;
            record::note(&self.connection, id, &attempts).await
        };
        if let Err(error) = noted.await {
            tracing::debug!("{id}: {error}");
        }
        self.claim.give_back(delay).await;
    }
}
