//! Gives cameras to other workers: all of them when the worker drains, and one when it has more than others or is slower.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::cluster::cameras::balance::{Load, fuller, slower};
use crate::cluster::cameras::held::Order;
use crate::cluster::presence::ANNOUNCED;
use crate::cluster::worker_state::WorkerState;

/// How often it is looked which cameras are left.
const POLL: Duration = Duration::from_millis(500);
/// Time between two moves of a worker, because it has more than others or because it is slower.
const MOVE_GAP: Duration = Duration::from_secs(4);
const SLOW_MOVE_GAP: Duration = Duration::from_secs(60);
/// How long a worker that drains offers its cameras to others before it leaves them in the queue.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Cameras that a worker that drains hands over at the same time.
const MOVED_AT_ONCE: usize = 4;

/// Gives all cameras to other workers, or back.
pub async fn drain(worker: &WorkerState) {
    let begun = Instant::now();
    loop {
        let all = worker.cameras.all();
        if all.is_empty() {
            return;
        }
        let peers = worker.peers.present();
        let mut others: Vec<Load> =
            peers.iter().map(Load::of).filter(|peer| peer.name != worker.name && peer.has_room()).collect();
        others.sort_by_key(|peer| peer.cameras);
        if others.is_empty() || begun.elapsed() >= DRAIN_TIMEOUT {
            all.iter().for_each(|held| drop(held.orders.try_send(Order::GiveBack)));
        }
        for (held, other) in all.iter().take(MOVED_AT_ONCE).zip(others.iter().cycle()) {
            let _ = held.orders.try_send(Order::Move(other.name.into()));
        }
        sleep(POLL).await;
    }
}

/// Gives a camera away when this worker has more than others, or is slower.
pub async fn balance(worker: &WorkerState) {
    let mut ticks = interval(ANNOUNCED);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut moved: Option<Instant> = None;
    loop {
        ticks.tick().await;
        let since = moved.map_or(Duration::MAX, |moved| moved.elapsed());
        if worker.draining.load(Ordering::Relaxed) || since < MOVE_GAP {
            continue;
        }
        let (status, peers) = (worker.status(), worker.peers.present());
        let loads: Vec<Load> = peers.iter().map(Load::of).collect();
        let own = Load::of(&status);
        let too_slow = || slower(&own, &loads).filter(|_| since > SLOW_MOVE_GAP);
        let Some(target) = fuller(&own, &loads).or_else(too_slow) else { continue };
        let all = worker.cameras.all();
        // The one that it has had for the shortest time has the least to lose.
        let Some(held) = all.iter().filter(|held| !held.standby && !held.is_isolated()).max_by_key(|held| held.taken)
        else {
            continue;
        };
        moved = Some(Instant::now());
        let _ = held.orders.try_send(Order::Move(target.into()));
    }
}
