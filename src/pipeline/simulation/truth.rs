//! What the simulated streams reported while they ran.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::pipeline::observer::{LabeledInterval, Observer};
use crate::report::milliseconds;
use crate::telemetry::StreamInfo;

/// An interval that has ended. Times in milliseconds of the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Reported {
    pub stream: String,
    pub start: f64,
    pub end: f64,
    /// Whether nothing could be written then.
    pub unwritable: bool,
}

/// Observes the intervals.
#[derive(Default)]
pub struct Truth {
    reported: Mutex<Vec<Reported>>,
    unwritable: AtomicBool,
}

impl Truth {
    /// Returns the intervals since the last call.
    pub fn take(&self) -> Vec<Reported> {
        std::mem::take(&mut self.reported.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn set_unwritable(&self, unwritable: bool) {
        self.unwritable.store(unwritable, Ordering::Relaxed);
    }
}

impl Observer for Truth {
    fn interval(&self, stream: &StreamInfo, interval: LabeledInterval) {
        let ms = |time: std::time::Duration| milliseconds(time.as_nanos() as u64);
        let (start, end) = (ms(interval.start), ms(interval.end));
        let unwritable = self.unwritable.load(Ordering::Relaxed);
        let reported = Reported { stream: stream.name.clone(), start, end, unwritable };
        self.reported.lock().unwrap_or_else(PoisonError::into_inner).push(reported);
    }
}
