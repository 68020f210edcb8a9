//! Has the disk keep what a camera's sinks write, on a thread of its own, so that no frame waits for the disk.
//!
//! What may have been reported is synced at once; everything that is being written, every ten seconds.

use std::collections::{HashSet, VecDeque};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::events::Durable;
use crate::pipeline::sinks::open_files::OpenFiles;
use crate::system::durable;

/// How often all open files are synced.
const INTERVAL: Duration = Duration::from_secs(10);
/// Files that wait to be synced at once. Beyond it, all open files are.
const MAX_WAITING: usize = 64;

/// The thread. Dropping it syncs what waits, and joins the thread.
pub struct Flusher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// The number of the last request that is done.
    done: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<PathBuf>,
    /// The number of the last request.
    requested: u64,
    /// Whether more files were named than may wait.
    all: bool,
    stop: bool,
}

impl Flusher {
    /// Starts the thread, for the files of `open`.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be started.
    pub fn start(stream: &str, open: &OpenFiles) -> Result<Self> {
        let shared = Shared { state: Mutex::default(), changed: Condvar::new(), done: watch::Sender::new(0) };
        let shared = Arc::new(shared);
        let mut work = Work {
            shared: Arc::clone(&shared),
            stream: stream.into(),
            open: open.clone(),
            named: HashSet::new(),
            failed: false,
        };
        let thread = std::thread::Builder::new()
            .name("flush".into())
            .spawn(move || work.run())
            .map_err(|cause| Error::unavailable("a thread cannot be started").because(cause))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Has files synced, in this order. Does not wait. A file that is gone is left out.
    pub fn flush(&self, paths: impl IntoIterator<Item = PathBuf>) {
        let mut state = self.shared.lock();
        for path in paths {
            if state.waiting.len() >= MAX_WAITING {
                state.all = true;
            } else if !state.waiting.contains(&path) {
                state.waiting.push_back(path);
            }
        }
        state.requested += 1;
        self.shared.changed.notify_one();
    }

    /// Returns what says when the next request of this thread is done.
    pub fn next(&self) -> Durable {
        Durable::new(self.shared.done.subscribe(), self.shared.lock().requested + 1)
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a request, until `due`, or for the end. Returns what was requested.
    fn wait(&self, due: Instant) -> State {
        let left = due.saturating_duration_since(Instant::now());
        let idle = |state: &mut State| state.waiting.is_empty() && !state.all && !state.stop;
        let waited = self.changed.wait_timeout_while(self.lock(), left, idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let State { requested, stop, .. } = *state;
        State { waiting: std::mem::take(&mut state.waiting), all: std::mem::take(&mut state.all), requested, stop }
    }
}

struct Work {
    shared: Arc<Shared>,
    stream: String,
    open: OpenFiles,
    /// Files whose names the disk has.
    named: HashSet<PathBuf>,
    /// Whether a failure was logged that is not over.
    failed: bool,
}

impl Work {
    fn run(&mut self) {
        let mut due = Instant::now() + INTERVAL;
        loop {
            let State { waiting, requested, all, stop } = self.shared.wait(due);
            let mut synced = waiting.into_iter().map(|path| self.sync(path)).fold(Ok(()), Result::and);
            if all || stop || Instant::now() >= due {
                let open = self.open.paths();
                self.named.retain(|path| open.contains(path));
                synced = open.into_iter().map(|path| self.sync(path)).fold(synced, Result::and);
                due = Instant::now() + INTERVAL;
            }
            self.report(synced);
            // Those who wait go on after a failure, too.
            self.shared.done.send_replace(requested);
            if stop {
                return;
            }
        }
    }

    fn sync(&mut self, path: PathBuf) -> Result<()> {
        let synced = match self.named.contains(&path) {
            true => durable::sync_content(&path),
            false => durable::sync(&path),
        };
        match synced {
            Ok(()) => {
                self.named.insert(path);
                Ok(())
            }
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(Error::unwritable(&path, cause)),
        }
    }

    /// Logs a failure once, until the disk keeps files again.
    fn report(&mut self, synced: Result<()>) {
        match synced {
            Ok(()) => self.failed = false,
            Err(error) if !std::mem::replace(&mut self.failed, true) => {
                tracing::error!(
                    "{error}; the analysis of {} continues, but a loss of power may take what it writes",
                    self.stream
                );
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_done_although_files_are_gone_or_too_many() {
        let folder = tempfile::tempdir().unwrap();
        let open = OpenFiles::default();
        let path = folder.path().join("a");
        std::fs::write(&path, "a").unwrap();
        let _open = open.add(path.clone());
        let flusher = Flusher::start("door", &open).unwrap();
        let (mut first, second) = (flusher.next(), flusher.next());
        flusher.flush([path, folder.path().join("gone")]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        assert!(runtime.block_on(first.wait(Instant::now())));
        flusher.flush((0..2 * MAX_WAITING).map(|number| folder.path().join(number.to_string())));
        let mut third = second.clone();
        drop(flusher);
        assert!(runtime.block_on(third.wait(Instant::now())));
    }

    #[test]
    fn who_waits_goes_on_without_the_thread() {
        let flusher = Flusher::start("door", &OpenFiles::default()).unwrap();
        let mut never = flusher.next();
        drop(flusher);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        assert!(!runtime.block_on(never.wait(Instant::now())));
    }
}
