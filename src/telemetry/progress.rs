//! The progress of a stream, in counters that are cheap to update.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::media::frame_counters::FrameCounters;
use crate::telemetry::status::Status;

/// A number that one thread writes and others read.
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

/// The progress of a stream.
#[derive(Default)]
pub struct Progress {
    pub counters: Arc<FrameCounters>,
    /// End of the last labelled frame, and of the clip if known, in nanoseconds.
    pub position: Counter,
    pub duration: Counter,
    /// Bytes of video written.
    pub written: Counter,
    status: Mutex<Status>,
}

impl Progress {
    /// Returns the current status.
    pub fn status(&self) -> Status {
        self.status_mut().clone()
    }

    /// Locks the status for changes; do not hold the guard for long.
    pub fn status_mut(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
