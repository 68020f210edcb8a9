//! Pictures of a stream's recent intervals, for the page: few and small, so that months of operation need no more memory.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::telemetry::pictures::Picture;

/// Maximum number of pictures of a stream, and of their bytes. The oldest are discarded.
const MAX_PICTURES: usize = 40;
const MAX_BYTES: usize = 2 << 20;

/// One picture each of the most recent intervals, by the interval's number.
#[derive(Default)]
pub struct KeptPictures(Mutex<VecDeque<(u64, Picture)>>);

impl KeptPictures {
    /// Keeps a picture of an interval instead of its last one.
    pub fn put(&self, interval: u64, picture: Picture) {
        let mut kept = self.lock();
        kept.retain(|(number, _)| *number != interval);
        kept.push_back((interval, picture));
        let mut bytes: usize = kept.iter().map(|(_, picture)| picture.jpeg.len()).sum();
        while kept.len() > MAX_PICTURES || bytes > MAX_BYTES {
            bytes -= kept.pop_front().map_or(bytes, |(_, picture)| picture.jpeg.len());
        }
    }

    pub fn clear(&self) {
        *self.lock() = VecDeque::new();
    }

    pub fn get(&self, interval: u64) -> Option<Picture> {
        self.lock().iter().find(|(number, _)| *number == interval).map(|(_, picture)| picture.clone())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, Picture)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn put(kept: &KeptPictures, interval: u64, ms: f64, size: usize) {
        kept.put(interval, Picture { jpeg: Bytes::from(vec![0; size]), ms });
    }

    #[test]
    fn the_oldest_pictures_are_discarded() {
        let kept = KeptPictures::default();
        (0..100).for_each(|interval| put(&kept, interval, interval as f64, 10));
        let there: Vec<u64> = (0..100).filter(|&interval| kept.get(interval).is_some()).collect();
        assert_eq!(there, (60..100).collect::<Vec<_>>());
        put(&kept, 99, 5000.0, 10);
        assert_eq!(kept.get(99).map(|picture| picture.ms), Some(5000.0));
        assert!(kept.get(60).is_some());
    }

    #[test]
    fn their_bytes_are_bounded() {
        let kept = KeptPictures::default();
        (0..10).for_each(|interval| put(&kept, interval, 0.0, MAX_BYTES / 4));
        let there: Vec<u64> = (0..10).filter(|&interval| kept.get(interval).is_some()).collect();
        assert_eq!(there, [6, 7, 8, 9]);
        put(&kept, 10, 0.0, MAX_BYTES + 1);
        assert!((0..=10).all(|interval| kept.get(interval).is_none()));
    }
}
