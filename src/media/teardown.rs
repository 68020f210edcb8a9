//! Closes a camera's connections in the background, since a dead network may block that.

use std::fmt::Display;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::system::memory;

/// How long a reconnect waits for the last connection to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections of one camera that may still be closing while it reconnects, besides the last.
const ABANDONED: usize = 2;
const POLL: Duration = Duration::from_millis(10);

/// The connections of one camera that are closing.
#[derive(Default)]
pub(super) struct Teardowns {
    /// The last connection's thread and when it started.
    last: Option<(JoinHandle<()>, Instant)>,
    abandoned: Vec<JoinHandle<()>>,
    /// Whether the warning about too many of them was logged.
    warned: bool,
}

impl Teardowns {
    /// Runs `close` in a thread, and then gives its memory back: a connection leaves much free. Call it only after [`Teardowns::ready`] returned true.
    pub fn begin(&mut self, close: impl FnOnce() + Send + 'static) {
        let close = || {
            close();
            memory::give_back();
        };
        let thread = std::thread::Builder::new().name("teardown".into()).spawn(close);
        // If no thread could be started, dropping `close` has closed the connection here.
        self.last = thread.ok().map(|thread| (thread, Instant::now()));
    }

    /// Returns whether the camera may reconnect: the last connection has closed, or its time is over.
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
        } else if now.saturating_duration_since(since) < CLOSE_TIMEOUT {
            self.last = Some((thread, since));
            return false;
        } else if self.abandoned.len() < ABANDONED {
            self.abandoned.push(thread);
        } else {
            self.last = Some((thread, since));
            if !std::mem::replace(&mut self.warned, true) {
                let count = ABANDONED + 1;
                tracing::warn!(
                    "{camera}: {count} connections are still closing; livelabel reconnects when one has closed; restart it if \
                     none does"
                );
            }
            return false;
        }
        self.warned = false;
        true
    }

    /// Waits up to `timeout` until all connections have closed; returns whether they have.
    pub fn finish(&mut self, timeout: Duration) -> bool {
        let began = Instant::now();
        let mut threads: Vec<_> = self.abandoned.drain(..).chain(self.last.take().map(|(thread, _)| thread)).collect();
        loop {
            for i in (0..threads.len()).rev() {
                if threads[i].is_finished() {
                    let _ = threads.swap_remove(i).join();
                }
            }
            if threads.is_empty() || began.elapsed() > timeout {
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

    /// Adds a connection that closes when the returned sender is dropped.
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
    fn a_limited_number_of_connections_may_still_be_closing() {
        let mut teardowns = Teardowns::default();
        assert!(teardowns.ready(&"camera"));
        let mut ends = Vec::new();
        for _ in 0..ABANDONED {
            ends.push(hanging(&mut teardowns));
            let now = Instant::now();
            assert!(!teardowns.ready_at(now, &"camera"));
            assert!(teardowns.ready_at(now + CLOSE_TIMEOUT, &"camera"));
        }
        ends.push(hanging(&mut teardowns));
        let late = Instant::now() + 100 * CLOSE_TIMEOUT;
        assert!(!teardowns.ready_at(late, &"camera") && teardowns.warned);
        // One of the abandoned connections closes.
        ends.remove(0);
        until_ready(&mut teardowns, late);
        assert_eq!(teardowns.abandoned.len(), ABANDONED);
        assert!(!teardowns.finish(Duration::ZERO));
    }

    #[test]
    fn a_reconnect_is_possible_as_soon_as_the_last_connection_has_closed() {
        let mut teardowns = Teardowns::default();
        let end = hanging(&mut teardowns);
        let now = Instant::now();
        assert!(!teardowns.ready_at(now, &"camera"));
        drop(end);
        until_ready(&mut teardowns, now);
        assert!(teardowns.finish(Duration::ZERO));
    }
}
