//! How far a stream is, in numbers that cost nothing to raise.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::frame_counters::FrameCounters;
use crate::telemetry::status::Status;

/// A number that one thread raises and others look at.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How far a stream is.
#[derive(Default)]
pub struct Progress {
    pub counters: Arc<FrameCounters>,
    /// End of the last labelled frame, and of the clip where it is known, in nanoseconds.
    pub position: Counter,
    pub duration: Counter,
    /// Bytes of video written.
    pub written: Counter,
    status: Mutex<Status>,
}

impl Progress {
    /// How the stream is now.
    pub fn status(&self) -> Status {
        self.status_mut().clone()
    }

    /// To change how it is; not to be held for long.
    pub fn status_mut(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
