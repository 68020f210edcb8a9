//! Has a camera watched in a process of its own, which is a worker like others: it is offered the camera, and takes it over.
//!
//! Several workers ended while they had the camera, so it may crash the program. If the process ends with a signal, the camera waits, longer
//! each time, before it is tried again.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep};

use crate::cluster::cameras::camera::CameraSettings;
use crate::cluster::cameras::held::{Held, Order};
use crate::cluster::cameras::hold::Hold;
use crate::cluster::cameras::isolation::{MAX_LOST, OwnProcess, SUSPECTED};
use crate::cluster::cameras::offer::{self, Handed, Offer};
use crate::cluster::cameras::state::{self, CameraState};
use crate::cluster::claim::{self, Claim};
use crate::cluster::connection::{Connection, answer};
use crate::cluster::names::{OFFER, WORKER};
use crate::cluster::worker_state::WorkerState;
use crate::system::utc;
use crate::system::words::count;
use crate::telemetry::status::StreamPhase;

/// Cameras of a worker that have a process of their own at the same time.
pub const MAX_ISOLATED: usize = 4;
/// How long a process may take until it has the camera, and how long it may take to stop.
const START: Duration = Duration::from_secs(40);
const STOP: Duration = Duration::from_secs(6);
const POLL: Duration = Duration::from_millis(100);
/// How long a camera waits whose process did not get as far as to take it.
const RECOVERY: Duration = Duration::from_secs(10);
/// How long a camera waits after a crash: this for the first one, twice as long for each further one.
const FIRST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Bytes of the worker's name in that of the process.
const NAME: usize = 40;

/// A camera that gets a process of its own.
pub struct Isolated {
    pub worker: Arc<WorkerState>,
    pub connection: Connection,
    pub claim: Arc<Claim>,
    pub camera: CameraSettings,
    pub held: Arc<Held>,
    /// Workers in a row that ended while they had the camera.
    pub lost: u32,
}

/// What came of the offer to the process.
enum Offered {
    Taken,
    /// The process has ended.
    Ended(ExitStatus),
    Removed,
    GiveBack(Duration),
    /// The camera may be another worker's.
    Lost,
}

impl Isolated {
    /// Has the camera watched until its process has ended.
    pub async fn run(self, arguments: &[OsString], mut orders: Receiver<Order>) {
        self.held.set_isolated(true);
        let able = match Process::start(&self.worker.name, &self.camera, arguments) {
            Ok(process) => self.watch(process, &mut orders).await,
            Err(cause) => {
                tracing::error!("{}: its own process cannot be started: {cause}", self.held.camera);
                false
            }
        };
        if able {
            return self.worker.cameras.remove(&self.held);
        }
        self.held.set_isolated(false);
        let Self { worker, connection, claim, camera, held, lost } = self;
        Hold { worker, connection, claim, camera, held, lost }.run(None, orders).await;
    }

    /// Has the camera watched by a process. Returns whether it can.
    async fn watch(&self, mut process: Process, orders: &mut Receiver<Order>) -> bool {
        let workers = count(u64::from(self.lost), "worker");
        tracing::warn!("{}: gets a process of its own, because {workers} ended with it", self.held.camera);
        let offered = {
            let offering = self.offer(&mut process, orders);
            tokio::pin!(offering);
            tokio::select! { offered = &mut offering => offered, () = self.claim.extend() => Offered::Lost }
        };
        match offered {
            Offered::Taken => {
                let ended = self.follow(&mut process, orders).await;
                if let Some(signal) = ended.and_then(|status| status.signal()) {
                    self.forget(&process.name).await;
                    self.tell_crash(signal, Some(&process.name)).await;
                }
            }
            Offered::Ended(status) => {
                let Some(signal) = status.signal() else {
                    tracing::error!("{}: its own process ended without it: {status}", self.held.camera);
                    return false;
                };
                self.forget(&process.name).await;
                self.tell_crash(signal, None).await;
            }
            Offered::GiveBack(delay) => self.claim.give_back(delay).await,
            Offered::Removed => self.claim.acknowledge().await,
            Offered::Lost => {}
        }
        process.stop().await;
        true
    }

    /// Offers the camera to the process until it has it.
    async fn offer(&self, process: &mut Process, orders: &mut Receiver<Order>) -> Offered {
        let Some(reply) = self.claim.reply() else { return Offered::Lost };
        let (camera, from) = (self.camera.clone(), self.worker.name.clone());
        let offer = Offer { camera, from, reply: reply.into(), reached: false, lost: self.lost };
        let (begun, mut accepted) = (Instant::now(), false);
        loop {
            if let Some(status) = process.ended() {
                return Offered::Ended(status);
            }
            if self.worker.shutdown.requested() || self.worker.draining.load(Ordering::Relaxed) {
                return Offered::GiveBack(Duration::ZERO);
            }
            if begun.elapsed() > START {
                return Offered::GiveBack(RECOVERY);
            }
            accepted = accepted || offer::offer(&self.connection, format!("{OFFER}{}", process.name), &offer).await;
            let order = tokio::select! { order = orders.recv() => order, () = sleep(POLL) => continue };
            match order {
                Some(Order::Ready(reply)) => {
                    let (yours, age_ms) = (self.claim.holds(), self.claim.age().as_millis() as u64);
                    answer(&self.connection, reply, &Handed { yours, age_ms }).await;
                    return if yours { Offered::Taken } else { Offered::Lost };
                }
                Some(Order::Remove) => return Offered::Removed,
                // Read again with the settings.
                Some(Order::Change(_)) => return Offered::GiveBack(Duration::ZERO),
                None | Some(Order::GiveBack | Order::Move(_)) => {}
            }
        }
    }

    /// Waits until the process ends. Returns how, unless that was asked of it.
    async fn follow(&self, process: &mut Process, orders: &mut Receiver<Order>) -> Option<ExitStatus> {
        let begun = Instant::now();
        let mut asked = false;
        loop {
            if let Some(status) = process.ended() {
                return (!asked).then_some(status);
            }
            while let Ok(order) = orders.try_recv() {
                if matches!(order, Order::GiveBack) {
                    return None;
                }
            }
            if self.worker.shutdown.requested() {
                return None;
            }
            let draining = self.worker.draining.load(Ordering::Relaxed);
            if !asked && (draining || begun.elapsed() > SUSPECTED) {
                if !draining {
                    // This worker may take the camera over.
                    self.worker.cameras.remove(&self.held);
                }
                process.drain();
                asked = true;
            }
            sleep(POLL).await;
        }
    }

    /// Says that a worker is not there any more.
    async fn forget(&self, process: &str) {
        // It is forgotten without that, later.
        let _ = self.connection.streams.workers.purge().filter(format!("{WORKER}{process}")).await;
    }

    /// Says that the process crashed, and has the camera wait, unless another worker has taken it. `process` is the worker that had it, if
    /// it is not this one's any more.
    async fn tell_crash(&self, signal: i32, process: Option<&str>) {
        let wait = FIRST_WAIT.saturating_mul(1 << self.lost.saturating_sub(MAX_LOST).min(16)).min(LONGEST_WAIT);
        let reason = format!("ends the program with signal {signal}; tried again after {} s", wait.as_secs());
        tracing::error!("{}: {reason}", self.held.camera);
        let Ok((Some(last), sequence)) = state::read(&self.connection, &self.held.camera).await else { return };
        if process.is_some_and(|process| last.worker != process || last.released) {
            return;
        }
        let state = CameraState {
            released: true,
            lost: self.lost + 1,
            state: StreamPhase::Failed,
            reason: Some(reason),
            label: None,
            frames_per_second: 0.0,
            time: utc::milliseconds(utc::now()),
            ..last
        };
        if let (Ok(Some(_)), Some(reply)) = (state::write(&self.connection, &state, sequence).await, self.claim.reply())
        {
            // The process had the claim.
            let (client, subject) = (self.connection.client.clone(), self.claim.subject().into());
            Claim::adopt(client, subject, reply.into(), claim::now(), Duration::ZERO).give_back(wait).await;
        }
    }
}

/// The process of a camera. Dropping it kills it.
struct Process {
    name: String,
    child: Child,
    /// It drains when this is closed, which it is too when this worker ends.
    input: Option<ChildStdin>,
}

impl Process {
    fn start(worker: &str, camera: &CameraSettings, arguments: &[OsString]) -> io::Result<Self> {
        let worker: String = worker.chars().take(NAME).collect();
        let name = format!("{worker}-own-{:04x}", fastrand::u16(..));
        let own = OwnProcess { worker: name.clone(), camera: camera.camera.clone() };
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).arg(format!("--own-process={own}")).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn()?;
        let input = child.stdin.take();
        Ok(Self { name, child, input })
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        // Fails only for a process that was waited for by others.
        self.child.try_wait().unwrap_or_default()
    }

    /// Has it hand the camera over, and end.
    fn drain(&mut self) {
        self.input = None;
    }

    /// Has it give the camera back, and waits until it has ended.
    async fn stop(&mut self) {
        let begun = Instant::now();
        if self.ended().is_none() {
            // It may have ended.
            let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        }
        while self.ended().is_none() && begun.elapsed() < STOP {
            sleep(POLL).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // It may have ended.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
