//! Has a camera watched in a process of its own, which is a worker like others: it is offered the camera, and takes it over.
//!
//! Several workers ended while they had the camera, so it may crash the program. If the process ends with a signal, the camera waits, longer
//! each time, before it is tried again.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep};

use crate::cluster::cameras::camera::CameraSettings;
use crate::cluster::cameras::held::Order;
use crate::cluster::cameras::hold::Hold;
use crate::cluster::cameras::isolation::{CameraProcess, Lost, MAX_LOST, SUSPECTED};
use crate::cluster::cameras::state::{self, CameraState};
use crate::cluster::claim::{self, Claim};
use crate::cluster::names::WORKER;
use crate::system::utc;
use crate::system::words::count;
use crate::telemetry::status::StreamPhase;

/// How long a process may take until it has the camera, to connect it, to give it back, and to stop.
const START: Duration = Duration::from_secs(40);
const CONNECT: Duration = Duration::from_secs(15);
const GIVE_BACK: Duration = Duration::from_secs(15);
const STOP: Duration = Duration::from_secs(6);
/// How long a process may be unheard of.
const UNHEARD: Duration = Duration::from_secs(20);
/// How old the claim of a process may be that ends.
const CLAIM_AGE: Duration = Duration::from_secs(4);
/// How long a process that was killed may take to end.
const KILLED: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(100);
/// How long a camera waits whose process did not get as far as to take it.
const RECOVERY: Duration = Duration::from_secs(10);
/// How long a camera waits after a crash: this for the first one, twice as long for each further one.
const FIRST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Bytes of the worker's name in that of the process.
const NAME: usize = 40;

/// A camera that gets a process of its own.
pub struct Isolated(pub Hold);

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
        self.0.held.set_isolated(true);
        let able = match Process::start(&self.0.worker.name, &self.0.camera, arguments) {
            Ok(process) => self.watch(process, &mut orders).await,
            Err(cause) => {
                tracing::error!("{}: its own process cannot be started: {cause}", self.0.held.camera);
                false
            }
        };
        if able {
            return self.0.worker.cameras.remove(&self.0.held);
        }
        self.0.held.set_isolated(false);
        self.0.run(None, orders).await;
    }

    /// Returns how many workers ended with the camera, one after the other.
    fn workers(&self) -> u32 {
        Lost::count(self.0.lost.as_ref(), utc::now())
    }

    /// Has the camera watched by a process. Returns false if it cannot be, and this worker is to watch it.
    async fn watch(&self, mut process: Process, orders: &mut Receiver<Order>) -> bool {
        let workers = count(u64::from(self.workers()), "worker");
        tracing::warn!("{}: gets a process of its own, because {workers} ended with it", self.0.held.camera);
        let offered = {
            let offering = self.offer(&mut process, orders);
            tokio::pin!(offering);
            tokio::select! { offered = &mut offering => offered, () = self.0.claim.extend() => Offered::Lost }
        };
        match offered {
            Offered::Taken => {
                let ended = self.follow(&mut process, orders).await;
                if let Some(signal) = ended.and_then(|status| status.signal()) {
                    self.tell_crash(signal, &process, true).await;
                }
                process.stop().await;
            }
            Offered::Ended(status) => {
                let Some(signal) = status.signal() else {
                    tracing::error!("{}: its own process ended without it: {status}", self.0.held.camera);
                    return false;
                };
                self.tell_crash(signal, &process, false).await;
            }
            Offered::GiveBack(delay) => {
                self.stop(&mut process).await;
                self.0.claim.give_back(delay).await;
            }
            Offered::Removed => {
                self.stop(&mut process).await;
                self.0.claim.acknowledge().await;
            }
            Offered::Lost => process.stop().await,
        }
        true
    }

    /// Ends a process that does not have the camera. The claim is extended meanwhile.
    async fn stop(&self, process: &mut Process) {
        tokio::select! { () = process.stop() => {}, () = self.0.claim.extend() => {} }
    }

    /// Offers the camera to the process until it has it.
    async fn offer(&self, process: &mut Process, orders: &mut Receiver<Order>) -> Offered {
        let (begun, mut accepted) = (Instant::now(), None::<Instant>);
        loop {
            if let Some(status) = process.ended() {
                return Offered::Ended(status);
            }
            if self.0.worker.shutdown.requested() || self.0.worker.draining.load(Ordering::Relaxed) {
                return Offered::GiveBack(Duration::ZERO);
            }
            if begun.elapsed() > START {
                return Offered::GiveBack(RECOVERY);
            }
            if accepted.is_none_or(|accepted| accepted.elapsed() > CONNECT) {
                accepted = self.0.offer(&process.name, false).await.then(Instant::now);
            }
            let order = tokio::select! { order = orders.recv() => order, () = sleep(POLL) => continue };
            match order {
                Some(Order::Ready(reply)) => {
                    return if self.0.hand_over(reply).await { Offered::Taken } else { Offered::Lost };
                }
                Some(Order::Remove) => return Offered::Removed,
                // Read again with the settings.
                Some(Order::Change(_)) => return Offered::GiveBack(Duration::ZERO),
                None | Some(Order::GiveBack | Order::Move(_)) => {}
            }
        }
    }

    /// Waits until the process ends by itself, and returns how. Returns nothing if it is to end.
    async fn follow(&self, process: &mut Process, orders: &mut Receiver<Order>) -> Option<ExitStatus> {
        let (begun, mut heard, mut drained) = (Instant::now(), Instant::now(), None::<Instant>);
        loop {
            if let Some(status) = process.ended() {
                return drained.is_none().then_some(status);
            }
            while let Ok(order) = orders.try_recv() {
                if matches!(order, Order::GiveBack) {
                    return None;
                }
            }
            if self.0.worker.shutdown.requested() || drained.is_some_and(|drained| drained.elapsed() > GIVE_BACK) {
                return None;
            }
            let peers = &self.0.worker.peers;
            // Without NATS nobody is heard of.
            if peers.is_present(&process.name) || !peers.is_present(&self.0.worker.name) {
                heard = Instant::now();
            } else if heard.elapsed() > UNHEARD {
                tracing::error!("{}: its own process does not respond, and is ended", self.0.held.camera);
                return None;
            }
            let draining = self.0.worker.draining.load(Ordering::Relaxed);
            if drained.is_none() && (draining || begun.elapsed() > SUSPECTED) {
                if !draining {
                    // This worker may get it back.
                    self.0.worker.cameras.remove(&self.0.held);
                }
                process.drain();
                drained = Some(Instant::now());
            }
            sleep(POLL).await;
        }
    }

    /// Says that the process crashed, and has the camera wait, unless another worker has it. `taken` says whether the process had it.
    async fn tell_crash(&self, signal: i32, process: &Process, taken: bool) {
        let again = self.workers().saturating_sub(MAX_LOST).min(16);
        let wait = FIRST_WAIT.saturating_mul(1 << again).min(LONGEST_WAIT);
        let reason = format!("ends the program with signal {signal}; tried again after {} s", wait.as_secs());
        tracing::error!("{}: {reason}", self.0.held.camera);
        // It is not there any more. It is forgotten without this, later.
        let _ = self.0.connection.streams.workers.purge().filter(format!("{WORKER}{}", process.name)).await;
        let (client, subject) = (self.0.connection.client.clone(), self.0.claim.subject().into());
        let reply = self.0.claim.reply().unwrap_or_default().into();
        let adopted = Claim::adopt(client, subject, reply, process.alive, CLAIM_AGE);
        let claim = if taken { &adopted } else { &*self.0.claim };
        let Ok((Some(last), sequence)) = state::read(&self.0.connection, &self.0.held.camera).await else { return };
        if taken && (last.worker != process.name || last.released) || !claim.holds() {
            return;
        }
        let now = utc::now();
        let state = CameraState {
            released: true,
            lost: Some(Lost::another(self.0.lost.as_ref(), now)),
            state: StreamPhase::Failed,
            reason: Some(reason),
            label: None,
            frames_per_second: 0.0,
            // When an open interval was last heard of.
            time: if last.open.is_some() { last.time.clone() } else { utc::milliseconds(now) },
            ..last
        };
        if let Ok(Some(_)) = state::write(&self.0.connection, &state, sequence).await {
            claim.give_back(wait).await;
        }
    }
}

/// The process of a camera. Dropping it kills it.
struct Process {
    name: String,
    child: Child,
    /// When it ran still.
    alive: Duration,
    /// It ends when this is closed, which it is too when this worker ends.
    input: Option<ChildStdin>,
}

impl Process {
    fn start(worker: &str, camera: &CameraSettings, arguments: &[OsString]) -> io::Result<Self> {
        let worker: String = worker.chars().take(NAME).collect();
        let name = format!("{worker}-own-{:04x}", fastrand::u16(..));
        let own = CameraProcess { worker: name.clone(), camera: camera.camera.clone() };
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).arg(format!("--own-process={own}")).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn()?;
        let input = child.stdin.take();
        Ok(Self { name, child, alive: claim::now(), input })
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        // Fails only for a process that was waited for by others.
        let ended = self.child.try_wait().unwrap_or_default();
        if ended.is_none() {
            self.alive = claim::now();
        }
        ended
    }

    /// Has it give the camera back, and end.
    fn drain(&mut self) {
        self.input = None;
    }

    /// Has it give the camera back, and waits until it has ended, unless that takes too long.
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
            let begun = Instant::now();
            while self.ended().is_none() && begun.elapsed() < KILLED {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}
