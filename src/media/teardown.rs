//! Ends a camera's connections without waiting for them, as a dead network may hold that up.

use std::fmt::Display;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the end of a connection holds up the next call.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections of one camera that may be left behind, not yet ended, while it reconnects.
const ABANDONED: usize = 2;
const POLL: Duration = Duration::from_millis(10);

#[derive(Default)]
pub(super) struct Teardowns {
    /// The last connection's, and since when it has been going on.
    last: Option<(JoinHandle<()>, Instant)>,
    abandoned: Vec<JoinHandle<()>>,
    told: bool,
}

impl Teardowns {
    /// Ends a connection by `end`, in a thread of its own. Only where [`Teardowns::ready`] says so.
    pub fn begin(&mut self, end: impl FnOnce() + Send + 'static) {
        let thread = std::thread::Builder::new().name("teardown".into()).spawn(end);
        // Without a thread the connection has ended here, as it was dropped.
        self.last = thread.ok().map(|thread| (thread, Instant::now()));
    }

    /// Whether to reconnect to the camera: the last connection has ended, or has had its time.
    pub fn ready(&mut self, camera: &dyn Display) -> bool {
        self.ready_at(Instant::now(), camera)
    }

    fn ready_at(&mut self, now: Instant, camera: &dyn Display) -> bool {
        for i in (0..self.abandoned.len()).rev() {
            if self.abandoned[i].is_finished() {
                let _ = self.abandoned.swap_remove(i).join();
            }
        }
        let Some((thread, since)) = self.last.take() else { return true };
        if thread.is_finished() {
            let _ = thread.join();
        } else if now.saturating_duration_since(since) < PATIENCE {
            self.last = Some((thread, since));
            return false;
        } else if self.abandoned.len() < ABANDONED {
            self.abandoned.push(thread);
        } else {
            self.last = Some((thread, since));
            if !std::mem::replace(&mut self.told, true) {
                let count = ABANDONED + 1;
                tracing::warn!(
                    "{camera}: {count} connections do not end; it is called again when one has, or start anew"
                );
            }
            return false;
        }
        self.told = false;
        true
    }

    /// Waits for all of them, for `patience` at most; false where some go on.
    pub fn finish(&mut self, patience: Duration) -> bool {
        let began = Instant::now();
        let mut threads: Vec<_> = self.abandoned.drain(..).chain(self.last.take().map(|(thread, _)| thread)).collect();
        loop {
            for i in (0..threads.len()).rev() {
                if threads[i].is_finished() {
                    let _ = threads.swap_remove(i).join();
                }
            }
            if threads.is_empty() || began.elapsed() > patience {
                return threads.is_empty();
            }
            std::thread::sleep(POLL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// A connection that ends when what is returned is dropped.
    fn hanging(teardowns: &mut Teardowns) -> Sender<()> {
        let (end, ended) = channel();
        teardowns.begin(move || {
            let _ = ended.recv();
        });
        end
    }

    fn until_ready(teardowns: &mut Teardowns, now: Instant) {
        while !teardowns.ready_at(now, &"camera") {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_connection_that_does_not_end_is_left_behind_but_not_any_number_of_them() {
        let mut teardowns = Teardowns::default();
        assert!(teardowns.ready(&"camera"));
        let mut ends = Vec::new();
        for _ in 0..ABANDONED {
            ends.push(hanging(&mut teardowns));
            let now = Instant::now();
            assert!(!teardowns.ready_at(now, &"camera"));
            assert!(teardowns.ready_at(now + PATIENCE, &"camera"));
        }
        ends.push(hanging(&mut teardowns));
        let late = Instant::now() + 100 * PATIENCE;
        assert!(!teardowns.ready_at(late, &"camera") && teardowns.told);
        // One that was left behind ends after all.
        ends.remove(0);
        until_ready(&mut teardowns, late);
        assert_eq!(teardowns.abandoned.len(), ABANDONED);
        assert!(!teardowns.finish(Duration::ZERO));
    }

    #[test]
    fn the_next_call_comes_as_soon_as_the_last_connection_has_ended() {
        let mut teardowns = Teardowns::default();
        let end = hanging(&mut teardowns);
        let now = Instant::now();
        assert!(!teardowns.ready_at(now, &"camera"));
        drop(end);
        until_ready(&mut teardowns, now);
        assert!(teardowns.finish(Duration::ZERO));
    }
}
