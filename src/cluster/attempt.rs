//! One time that a worker has a job: from the message to the record of how it ended.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::cluster::claim::{Claim, spread};
use crate::cluster::clip::{Ended, Labelled, Process, ResultsPlace};
use crate::cluster::connection::{Connection, stopped};
use crate::cluster::job::{ClipJob, JobId, Unusable};
use crate::cluster::names::CLIP;
use crate::cluster::objects;
use crate::cluster::part::{self, Part};
use crate::cluster::presence;
use crate::cluster::record::{self, JobRecord, JobState};
use crate::cluster::worker_state::{Clip, WorkerState};
use crate::error::{Error, Result};

/// Times that a job may be handed out and not heard of again. After that it is labelled in a process of its own, whose crash does not
/// end the worker.
const MAX_LOST: u64 = 2;
/// Workers that may be unable to do a job before it counts as failed.
const MAX_UNABLE: usize = 3;
/// How long a job waits for another worker, about.
const NAK_DELAY: Duration = Duration::from_secs(2);
/// How long a job waits before it is tried again after a server did not answer.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// How long a worker takes no other job in place of one that its machine could not do: its disk may be full.
const RECOVERY: Duration = Duration::from_secs(10);
/// How long giving a job back may take: somebody may wait for the worker to end.
const GIVE_BACK_TIMEOUT: Duration = Duration::from_secs(4);

/// A job that this worker has.
pub struct Attempt {
    pub worker: Arc<WorkerState>,
    pub connection: Connection,
    pub claim: Claim,
}

impl Attempt {
    /// Does the job, and says how it ended. Returns when the worker has nothing to do with it any more.
    pub async fn run(self) {
        let clip = Arc::new(Clip::new(self.id(), &self.worker));
        self.worker.add(&clip);
        {
            let work = self.work(&clip);
            tokio::pin!(work);
            tokio::select! {
                () = &mut work => {}
                () = self.claim.extend() => {
                    // The clip is given up, and nothing more is said of it.
                    clip.shutdown.request();
                    work.await;
                }
            }
        }
        self.worker.remove(&clip);
    }

    /// The identifier in the subject; empty if that has none.
    fn id(&self) -> Option<JobId> {
        self.claim.subject().strip_prefix(CLIP)?.parse().ok()
    }

    async fn work(&self, clip: &Arc<Clip>) {
        let done = match ClipJob::read(self.claim.payload()) {
            Ok(job) if self.claim.subject() == job.subject() => self.label_once(&job, clip).await,
            Ok(_) => self.refuse("it has the subject of another job").await,
            Err(Unusable::Garbage(why)) => self.refuse(&why).await,
            Err(Unusable::Newer(why)) => match self.id() {
                Some(id) => self.leave(&id, "", format!("{id}: a worker of this version cannot do it ({why})")).await,
                None => self.refuse(&why).await,
            },
        };
        if let Err(error) = done {
            // It is handed out again.
            tracing::warn!("{}: {error}", self.claim.subject());
            if let Some(id) = self.id() {
                self.give_back(&id, RETRY_DELAY).await;
            }
        }
    }

    /// Labels the clip, unless the job has ended, and says how that ended.
    async fn label_once(&self, job: &ClipJob, clip: &Arc<Clip>) -> Result<()> {
        let _ = clip.input.set(job.shown());
        if let Some(record) = record::read(&self.connection, &job.id).await? {
            // It has ended, or was cancelled, before this message was deleted.
            record::list_failed(&self.connection, &record).await?;
            self.claim.acknowledge().await;
            return Ok(());
        }
        let deliveries = self.claim.deliveries();
        let attempts = match deliveries {
            1 => record::Attempts::default(),
            _ => record::attempts(&self.connection, &job.id).await?,
        };
        let lost = (deliveries - 1).saturating_sub(attempts.given_back);
        let process = if lost < MAX_LOST { Process::This } else { Process::Own };
        let ended = self.label(job, clip, process).await;
        if clip.cancelled.load(Ordering::Relaxed) {
            self.claim.acknowledge().await;
            return Ok(());
        }
        if !self.claim.holds() {
            tracing::warn!("{}: given up, because NATS did not confirm that it is still this worker's", job.id);
            return Ok(());
        }
        match ended {
            Ended::Complete(part, labelled) => self.complete(job, clip, part, labelled).await,
            Ended::Before(labelled) => self.end(&self.done(job, labelled)).await.map(drop),
            Ended::Interrupted => {
                self.give_back(&job.id, Duration::ZERO).await;
                Ok(())
            }
            Ended::Unreadable(error) => self.leave(&job.id, &job.shown(), error.to_string()).await,
            Ended::Unable(error) => self.recover(job, &error).await,
            Ended::Failed(error) => {
                let error = Some(error.to_string());
                self.end(&JobRecord { error, ..self.record(job, JobState::Failed) }).await.map(drop)
            }
        }
    }

    /// Labels the clip on a thread of its own.
    async fn label(&self, job: &ClipJob, clip: &Arc<Clip>, process: Process) -> Ended {
        let (sender, ended) = oneshot::channel();
        let (worker, job, clip) = (Arc::clone(&self.worker), job.clone(), Arc::clone(clip));
        let work = move || {
            let _ = sender.send(worker.labelling.label(&job, process, &clip.state, &clip.shutdown));
        };
        match std::thread::Builder::new().name("clip".into()).spawn(work) {
            Ok(_) => ended.await.unwrap_or_else(|_| Ended::Failed(Error::internal("a thread panicked"))),
            Err(cause) => Ended::Unable(Error::unavailable("a thread for a clip cannot be started").because(cause)),
        }
    }

    /// Gives the results their place, unless the job was cancelled, and records it.
    async fn complete(&self, job: &ClipJob, clip: &Clip, part: Part, labelled: Labelled) -> Result<()> {
        if record::read(&self.connection, &job.id).await?.is_some() {
            self.claim.acknowledge().await;
            return Ok(());
        }
        match self.worker.labelling.results {
            ResultsPlace::Folder => self.place(job, part, labelled).await,
            ResultsPlace::Nats => tokio::select! {
                stored = self.store(job, &part, labelled) => stored,
                () = stopped(&clip.shutdown) => {
                    self.give_back(&job.id, Duration::ZERO).await;
                    Ok(())
                }
            },
        }
    }

    /// Stores the results in the object store, and records it.
    async fn store(&self, job: &ClipJob, part: &Part, labelled: Labelled) -> Result<()> {
        let store = match objects::open(&self.connection).await {
            Ok(store) => store,
            Err(error) => return self.recover(job, &error).await,
        };
        let (prefix, files) = (objects::prefix(&job.id), labelled.files.clone());
        if let Err(error) = objects::put(&store, &prefix, &part.folder, &files).await {
            objects::remove(&store, &prefix, &files).await;
            return self.recover(job, &error).await;
        }
        self.worker.set_problem(None);
        let record = JobRecord { folder: None, objects: Some(prefix.clone()), ..self.done(job, labelled) };
        if !self.end(&record).await? {
            objects::remove(&store, &prefix, &files).await;
        }
        Ok(())
    }

    /// Gives a job back that this machine cannot do now, and takes no other for a while.
    async fn recover(&self, job: &ClipJob, error: &Error) -> Result<()> {
        tracing::warn!("{}: left to other workers, because {error}", job.id);
        self.worker.set_problem(Some(error.to_string()));
        self.give_back(&job.id, RECOVERY).await;
        tokio::select! { () = sleep(RECOVERY) => {}, () = stopped(&self.worker.shutdown) => {} }
        Ok(())
    }

    /// Gives the results their place in the folder, and records it.
    async fn place(&self, job: &ClipJob, part: Part, labelled: Labelled) -> Result<()> {
        let (output, id, again) = (self.worker.labelling.output.clone(), job.id.clone(), job.again);
        // Storage may be slow, and the claim is extended meanwhile.
        let placed = tokio::task::spawn_blocking(move || part.complete(&output, &id, again)).await;
        let labelled = match placed.map_err(|cause| Error::internal("a thread").because(cause))?? {
            true => labelled,
            false => self.worker.labelling.earlier(&job.id).unwrap_or_default(),
        };
        self.worker.set_problem(None);
        self.end(&self.done(job, labelled)).await.map(drop)
    }

    fn record(&self, job: &ClipJob, state: JobState) -> JobRecord {
        JobRecord { worker: Some(self.worker.name.clone()), ..JobRecord::new(&job.id, &job.shown(), state) }
    }

    fn done(&self, job: &ClipJob, labelled: Labelled) -> JobRecord {
        JobRecord {
            folder: Some(part::place(&self.worker.labelling.output, &job.id).display().to_string()),
            files: labelled.files,
            intervals: labelled.intervals,
            duration_ms: labelled.duration_ms,
            ..self.record(job, JobState::Done)
        }
    }

    /// Records how the job ended, and deletes its message. Returns whether this record is the one that counts, or may be.
    async fn end(&self, record: &JobRecord) -> Result<bool> {
        if !self.claim.connected().await {
            return Ok(false);
        }
        let first = record::write(&self.connection, record).await?;
        if first {
            let counter = if record.state == JobState::Done { &self.worker.done } else { &self.worker.failed };
            counter.fetch_add(1, Ordering::Relaxed);
            match &record.error {
                Some(error) => tracing::error!("{error}"),
                None => tracing::info!("{}: done", record.input),
            }
        }
        // If this is not heard, the job is handed out again, and the record says that it has ended.
        self.claim.acknowledge().await;
        Ok(first)
    }

    /// Ends what is no job.
    async fn refuse(&self, why: &str) -> Result<()> {
        let subject = self.claim.subject();
        let error = format!("the message {subject} is refused ({why}); send jobs with livelabel submit");
        let Some(id) = self.id() else {
            tracing::error!("{error}");
            self.claim.acknowledge().await;
            return Ok(());
        };
        self.end(&JobRecord { error: Some(error), ..JobRecord::new(&id, "", JobState::Failed) }).await.map(drop)
    }

    /// Leaves a job to other workers, or ends it if too many are unable to do it.
    async fn leave(&self, id: &JobId, input: &str, why: String) -> Result<()> {
        let mut attempts = record::attempts(&self.connection, id).await?;
        attempts.given_back += 1;
        attempts.add_unable(&self.worker.name, &why);
        let workers = presence::workers(&self.connection).await?;
        let others = workers.iter().any(|worker| attempts.unable.iter().all(|(name, _)| *name != worker.name));
        if others && attempts.unable.len() < MAX_UNABLE {
            if self.claim.connected().await {
                record::note(&self.connection, id, &attempts).await?;
                self.claim.give_back(spread(NAK_DELAY)).await;
            }
            return Ok(());
        }
        let workers: Vec<&str> = attempts.unable.iter().map(|(worker, _)| worker.as_str()).collect();
        let error = format!("{why}; tried by {}", workers.join(", "));
        self.end(&JobRecord { error: Some(error), ..JobRecord::new(id, input, JobState::Failed) }).await.map(drop)
    }

    /// Gives the job back, and notes it, so that this time does not count as lost.
    async fn give_back(&self, id: &JobId, delay: Duration) {
        let given_back = async {
            if !self.claim.connected().await {
                return Ok(());
            }
            let mut attempts = record::attempts(&self.connection, id).await?;
            attempts.given_back += 1;
            let noted = record::note(&self.connection, id, &attempts).await;
            self.claim.give_back(delay).await;
            noted
        };
        match timeout(GIVE_BACK_TIMEOUT, given_back).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("{id}: {error}"),
            Err(_) => tracing::debug!("{id}: not given back, because NATS does not answer; it is handed out again"),
        }
    }
}
