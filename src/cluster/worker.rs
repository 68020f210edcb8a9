//! A worker: takes jobs as it has room for them, and says every few seconds what it has.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::Message;
use async_nats::jetstream::consumer::PullConsumer;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::cluster::attempt::Attempt;
use crate::cluster::cameras::Taker;
use crate::cluster::cameras::isolation::{Isolation, unwanted};
use crate::cluster::claim::Claim;
use crate::cluster::clock_check::COMPARED;
use crate::cluster::connection::{Connection, block_on, listen, retried, stopped};
use crate::cluster::names::{COMMAND, WORKER};
use crate::cluster::page::answers::Answers;
use crate::cluster::presence::{self, ANNOUNCED};
use crate::cluster::worker_state::WorkerState;
use crate::cluster::{clock_check, part, queue_metrics, record, streams};
use crate::config::nats::NatsConfig;
use crate::error::Result;
use crate::net::backoff::Backoff;
use crate::system::words::count;

/// How long giving back all clips may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A worker.
pub struct Worker(Arc<WorkerState>);

impl Worker {
    pub fn new(state: WorkerState) -> Self {
        Self(Arc::new(state))
    }

    /// Works until the shutdown is requested or the worker is drained. Blocks.
    ///
    /// # Errors
    /// Usage, if the server refuses this user or has other streams; a server that cannot be reached is waited for.
    pub fn run(self, nats: &NatsConfig) -> Result<()> {
        block_on(self.serve(nats))
    }

    async fn serve(&self, nats: &NatsConfig) -> Result<()> {
        let Some((connection, clips, cameras)) = self.connect(nats).await? else { return Ok(()) };
        if presence::workers(&connection).await.is_ok_and(|workers| workers.iter().any(|one| one.name == self.0.name)) {
            let name = &self.0.name;
            tracing::warn!("a worker {name} was there seconds ago; if it still runs, give this one another --name");
        }
        let output = self.0.labelling.output.clone();
        tokio::task::spawn_blocking(move || part::sweep(&output));
        let own = self.0.isolation.is_process();
        let room = [count(self.0.capacity as u64, "clip"), count(self.0.camera_capacity as u64, "camera")];
        match &self.0.isolation {
            Isolation::Of(camera) => tracing::info!("{}: the process of {camera}", self.0.name),
            Isolation::None | Isolation::Starts(_) => {
                tracing::info!("{} takes up to {} from {nats}", self.0.name, room.join(" and "));
            }
        }
        let (free, mut jobs) = (Arc::new(Semaphore::new(self.0.capacity)), JoinSet::new());
        let (taker, answers) = (Taker::new(&self.0, &connection), Answers::new(&self.0, &connection));
        let take = async {
            let jobs = async {
                if !own {
                    self.take_jobs(&connection, &clips, &free, &mut jobs).await
                }
            };
            tokio::join!(jobs, taker.run(&cameras))
        };
        tokio::select! {
            _ = take => {}
            () = self.announce(&connection, nats) => {}
            () = listen(&connection, COMMAND.into(), async |message| self.obey(&message)) => {}
            () = answers.run() => {}
            () = queue_metrics::run(&connection), if self.0.cameras.is_shown() => {}
            () = stopped(&self.0.shutdown) => {}
        }
        let leave = async {
            // What is left gives its claim back.
            while jobs.join_next().await.is_some() {}
            taker.leave().await;
            let _ = connection.streams.workers.purge().filter(format!("{WORKER}{}", self.0.name)).await;
            let _ = connection.client.flush().await;
        };
        if timeout(LEAVE_TIMEOUT, leave).await.is_err() {
            tracing::warn!("NATS does not answer, so what this worker has is handed out again without it");
        }
        let (done, failed) = (self.0.done.load(Ordering::Relaxed), self.0.failed.load(Ordering::Relaxed));
        tracing::info!("{}: {} done, {failed} failed", self.0.name, count(done, "clip"));
        Ok(())
    }

    /// Connects, as often as it takes. Returns nothing if the shutdown is requested before.
    async fn connect(&self, nats: &NatsConfig) -> Result<Option<(Connection, PullConsumer, PullConsumer)>> {
        let open = async || {
            let connection = Connection::open(nats, &self.0.name).await?;
            let clips = streams::clips(&connection.streams).await?;
            let cameras = streams::cameras(&connection.streams).await?;
            Ok((connection, clips, cameras))
        };
        tokio::select! {
            opened = retried(open) => opened.map(Some),
            () = stopped(&self.0.shutdown) => Ok(None),
            () = unwanted(), if self.0.isolation.is_process() => Ok(None),
        }
    }

    /// Takes a job whenever there is room for one. Returns when the worker is drained.
    async fn take_jobs(
        &self,
        connection: &Connection,
        consumer: &PullConsumer,
        free: &Arc<Semaphore>,
        jobs: &mut JoinSet<()>,
    ) {
        let mut backoff = Backoff::default();
        loop {
            // Only closed at the end.
            let Ok(room) = Arc::clone(free).acquire_owned().await else { return };
            while jobs.try_join_next().is_some() {}
            let next = tokio::select! {
                next = Claim::next(consumer) => next,
                () = self.0.drained() => {
                    while jobs.join_next().await.is_some() {}
                    return;
                }
            };
            match next {
                Ok(Some(claim)) => {
                    backoff.reset();
                    let attempt = Attempt { worker: Arc::clone(&self.0), connection: connection.clone(), claim };
                    jobs.spawn(async move {
                        attempt.run().await;
                        drop(room);
                    });
                }
                Ok(None) => backoff.reset(),
                Err(cause) => {
                    tracing::debug!("no job: {cause}");
                    sleep(backoff.wait()).await;
                }
            }
        }
    }

    /// Says what this worker has, again and again. Servers that have lost the streams, as with a new disk, get them again.
    async fn announce(&self, connection: &Connection, nats: &NatsConfig) {
        let mut ticks = interval(ANNOUNCED);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut compared: Option<Instant> = None;
        loop {
            ticks.tick().await;
            if compared.is_none_or(|compared| compared.elapsed() > COMPARED) {
                let warning = clock_check::check(connection, &self.0.status(), &self.0.labelling.clock).await;
                compared = Some(Instant::now());
                if let Ok(warning) = warning {
                    warning.iter().for_each(|warning| tracing::warn!("{warning}"));
                    continue;
                }
            }
            let subject = format!("{WORKER}{}", self.0.name);
            if let Err(error) = record::publish(&connection.jetstream, subject, &self.0.status()).await {
                tracing::debug!("{error}");
                if let Ok(streams) = streams::open(&connection.jetstream, nats).await {
                    let _ = streams::clips(&streams).await;
                    let _ = streams::cameras(&streams).await;
                }
            }
        }
    }

    /// Does what a command says.
    fn obey(&self, message: &Message) {
        // Others may send what they like.
        if let Ok(command) = serde_json::from_slice(&message.payload) {
            self.0.execute(command);
        }
    }
}
