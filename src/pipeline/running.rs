//! Counts the threads of a run that still work.

use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

/// The threads that run.
pub struct Running {
    count: AtomicUsize,
    ended: Sender<()>,
    receiver: Receiver<()>,
}

impl Default for Running {
    fn default() -> Self {
        let (ended, receiver) = bounded(1);
        Self { count: AtomicUsize::new(0), ended, receiver }
    }
}

impl Running {
    /// Counts a thread until the guard is dropped.
    pub fn begin(&self) -> RunningThread<'_> {
        self.count.fetch_add(1, Ordering::SeqCst);
        RunningThread(self)
    }

    pub fn any(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    /// Gets a message after threads have ended.
    pub fn ended(&self) -> &Receiver<()> {
        &self.receiver
    }
}

/// A thread that counts as running.
pub struct RunningThread<'a>(&'a Running);

impl Drop for RunningThread<'_> {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
        // If it is full, the waiting thread is woken already.
        let _ = self.0.ended.try_send(());
    }
}
