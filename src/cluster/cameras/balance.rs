//! Which camera a worker gives to which other one.

use crate::cluster::cameras::held::HeldCamera;
use crate::cluster::presence::WorkerStatus;

/// Cameras by which workers of the same size may differ. With one, a camera would go to and fro.
const UNEQUAL: f64 = 2.0;
/// A stride that is this many times that of another worker's shows that this one is too slow.
const SLOWER: u64 = 3;

/// What a worker can be compared by.
#[derive(Clone, Debug, PartialEq)]
pub struct Load<'a> {
    pub name: &'a str,
    pub cameras: usize,
    pub capacity: usize,
    /// The largest stride of its cameras; 1 without cameras.
    pub stride: u64,
    /// Whether it takes cameras.
    pub takes: bool,
}

impl<'a> Load<'a> {
    pub fn of(status: &'a WorkerStatus) -> Self {
        Self {
            name: &status.name,
            cameras: status.cameras.len(),
            capacity: status.camera_capacity,
            stride: status.cameras.iter().map(HeldCamera::load).max().unwrap_or(1),
            takes: !status.draining && status.problem.is_none() && status.camera_capacity > 0,
        }
    }

    pub fn has_room(&self) -> bool {
        self.takes && self.cameras < self.capacity
    }

    /// Returns how full it would be with so many cameras more, from 0 to 1.
    fn share(&self, more: f64) -> f64 {
        (self.cameras as f64 + more) / self.capacity.max(1) as f64
    }
}

/// Returns the worker that one with cameras to give away gives one to: the emptiest that takes it.
pub fn emptiest<'a>(own: &str, peers: &[Load<'a>]) -> Option<&'a str> {
    let others = peers.iter().filter(|peer| peer.name != own && peer.has_room());
    others.min_by(|a, b| a.share(0.0).total_cmp(&b.share(0.0)).then(a.name.cmp(b.name))).map(|peer| peer.name)
}

/// Returns the worker that `own` is to give a camera to because it has more. Only the fullest of all gives one.
pub fn fuller<'a>(own: &Load, peers: &[Load<'a>]) -> Option<&'a str> {
    let other = find(own, peers)?;
    // After the move, the other one must not have more.
    let unequal = own.cameras > 0 && own.share(1.0 - UNEQUAL) >= other.share(1.0);
    let fullest = peers.iter().filter(|peer| peer.name != own.name && peer.takes).all(|peer| {
        let (own_share, share) = (own.share(0.0), peer.share(0.0));
        share < own_share || (share == own_share && own.name < peer.name)
    });
    (unequal && fullest).then_some(other.name)
}

/// Returns the worker that `own` is to give a camera to because it is slower.
pub fn slower<'a>(own: &Load, peers: &[Load<'a>]) -> Option<&'a str> {
    let other = find(own, peers)?;
    let slower = own.cameras > 1 && own.stride >= SLOWER * other.stride.max(1) && other.share(1.0) <= own.share(0.0);
    slower.then_some(other.name)
}

fn find<'a, 'b>(own: &Load, peers: &'b [Load<'a>]) -> Option<&'b Load<'a>> {
    let name = emptiest(own.name, peers)?;
    peers.iter().find(|peer| peer.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, cameras: usize, capacity: usize) -> Load<'_> {
        Load { name, cameras, capacity, stride: 1, takes: true }
    }

    #[test]
    fn a_new_worker_gets_cameras_from_the_fullest_until_they_are_equal_and_none_wanders_then() {
        let names = ["a", "b", "c", "d"];
        let mut cameras = [6, 6, 0, 1];
        let mut moves = 0;
        loop {
            let loads: Vec<Load> = names.iter().zip(cameras).map(|(name, cameras)| load(name, cameras, 16)).collect();
            let moved: Vec<_> =
                loads.iter().enumerate().filter_map(|(own, load)| Some((own, fuller(load, &loads)?))).collect();
            // One at a time.
            assert!(moved.len() <= 1, "{moved:?}");
            let Some((from, to)) = moved.first() else { break };
            cameras[*from] -= 1;
            cameras[names.iter().position(|name| name == to).unwrap()] += 1;
            moves += 1;
        }
        assert_eq!((moves, cameras.iter().sum::<usize>()), (5, 13));
        assert!(cameras.iter().all(|&cameras| (3..=4).contains(&cameras)), "{cameras:?}");
    }

    #[test]
    fn a_larger_worker_gets_more_and_a_full_or_draining_one_none() {
        let (own, large) = (load("a", 4, 4), load("b", 4, 16));
        assert_eq!(fuller(&own, &[own.clone(), large.clone()]), Some("b"));
        assert_eq!(fuller(&large, &[own.clone(), large.clone()]), None);
        let draining = Load { takes: false, ..load("b", 0, 16) };
        assert_eq!(fuller(&own, &[own.clone(), draining.clone(), load("c", 4, 4)]), None);
        assert_eq!(emptiest("a", &[own.clone(), draining]), None);
    }

    #[test]
    fn a_worker_that_is_slower_than_another_gives_one_away() {
        let slow = Load { stride: 6, ..load("a", 4, 8) };
        assert_eq!(slower(&slow, &[slow.clone(), load("b", 3, 8)]), Some("b"));
        // The other one would be fuller.
        assert_eq!(slower(&slow, &[slow.clone(), load("b", 4, 8)]), None);
    }
}
