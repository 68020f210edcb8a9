//! Ends runs of the network that do not end by themselves: a model may hold a loop without an end.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// A run that has taken longer than this, and than so many times the usual, is ended.
const LEAST: Duration = Duration::from_secs(60);
const TIMES: u32 = 100;
/// How long a run may go on after the user asked for the end.
const FAREWELL: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);
/// Runs by which the usual time is told.
const KEPT: usize = 100;

/// Whether the user has asked for the end.
pub type Stopping = Arc<dyn Fn() -> bool + Send + Sync>;
/// Ends a run from another thread.
pub type Interrupt = Box<dyn Fn() + Send>;

/// Why a run was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Excess {
    Long { took: Duration, usual: Option<Duration> },
    Stopped,
}

impl Excess {
    fn error(self) -> Error {
        match self {
            Excess::Long { took, usual } => {
                let error = Error::failed(format!("the network gave no answer for {} s", took.as_secs()));
                let error = match usual {
                    Some(usual) => error.because(format!("it usually takes {} ms", usual.as_millis())),
                    None => error,
                };
                error.remedy("take another model; this one may hold a loop that does not end")
            }
            Excess::Stopped => Error::failed("the network gave no answer until the run was stopped")
                .remedy("take another model, where that comes again"),
        }
    }
}

/// How long runs may take, by how long they took.
#[derive(Default)]
struct Bound {
    took: VecDeque<Duration>,
}

impl Bound {
    fn ran(&mut self, took: Duration) {
        if self.took.len() == KEPT {
            self.took.pop_front();
        }
        self.took.push_back(took);
    }

    fn usual(&self) -> Option<Duration> {
        let mut took: Vec<Duration> = self.took.iter().copied().collect();
        took.sort_unstable();
        took.get(took.len() / 2).copied()
    }

    /// Whether a run that has taken so long is to be ended; `asked` is the time since the user asked for it.
    fn excess(&self, took: Duration, asked: Option<Duration>) -> Option<Excess> {
        if asked.is_some_and(|asked| asked.min(took) > FAREWELL) {
            return Some(Excess::Stopped);
        }
        if took <= LEAST {
            return None;
        }
        let usual = self.usual();
        (took > usual.unwrap_or_default() * TIMES).then_some(Excess::Long { took, usual })
    }
}

/// Watches the runs of some sessions.
pub struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    runs: Mutex<Runs>,
    stopping: Stopping,
    ended: AtomicBool,
}

#[derive(Default)]
struct Runs {
    bound: Bound,
    going: Vec<Run>,
    next: u64,
}

struct Run {
    number: u64,
    began: Instant,
    interrupt: Interrupt,
    excess: Option<Excess>,
}

impl Watchdog {
    /// # Errors
    /// Unavailable, where its thread cannot be started.
    pub fn start(stopping: Stopping) -> Result<Self> {
        let shared = Arc::new(Shared { runs: Mutex::default(), stopping, ended: AtomicBool::new(false) });
        let watched = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("watchdog".into())
            .spawn(move || watched.watch())
            .map_err(|cause| Error::unavailable("a thread cannot be started").because(cause))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// For where a signal ends the program at once, or the user waits for one run only.
    ///
    /// # Errors
    /// Those of [`Watchdog::start`].
    pub fn unstopped() -> Result<Self> {
        Self::start(Arc::new(|| false))
    }

    /// Whether the user has asked for the end.
    pub fn stopping(&self) -> bool {
        (self.shared.stopping)()
    }

    /// Runs `run`, which `interrupt` makes return early.
    ///
    /// # Errors
    /// Those of `run`; failed, where it was ended.
    pub fn watch<T>(&self, interrupt: Interrupt, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let began = Instant::now();
        let number = {
            let mut runs = self.shared.lock();
            runs.next += 1;
            let number = runs.next;
            runs.going.push(Run { number, began, interrupt, excess: None });
            number
        };
        let result = run();
        let mut runs = self.shared.lock();
        let place = runs.going.iter().position(|run| run.number == number);
        if let Some(excess) = place.and_then(|place| runs.going.swap_remove(place).excess) {
            return Err(excess.error());
        }
        runs.bound.ran(began.elapsed());
        result
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) {
        let mut asked: Option<Instant> = None;
        while !self.ended.load(Ordering::Relaxed) {
            std::thread::park_timeout(POLL);
            if asked.is_none() && (self.stopping)() {
                asked = Some(Instant::now());
            }
            let Runs { bound, going, .. } = &mut *self.lock();
            for run in going {
                let excess = bound.excess(run.began.elapsed(), asked.map(|asked| asked.elapsed()));
                run.excess = run.excess.or(excess);
                // Again and again, as it may have been told before it began to listen.
                if run.excess.is_some() {
                    (run.interrupt)();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn bound(took: &[Duration]) -> Bound {
        let mut bound = Bound::default();
        took.iter().for_each(|&took| bound.ran(took));
        bound
    }

    #[test]
    fn a_run_is_ended_beyond_a_minute_and_a_hundred_times_the_usual() {
        let first = bound(&[]);
        assert_eq!(first.excess(60 * S, None), None);
        assert_eq!(first.excess(61 * S, None), Some(Excess::Long { took: 61 * S, usual: None }));
        let fast = bound(&[S / 100, S / 10, S / 50]);
        assert_eq!(fast.excess(60 * S, None), None);
        assert_eq!(fast.excess(61 * S, None), Some(Excess::Long { took: 61 * S, usual: Some(S / 50) }));
        let slow = bound(&[2 * S; 3]);
        assert_eq!(slow.excess(200 * S, None), None);
        assert!(slow.excess(201 * S, None).is_some());
    }

    #[test]
    fn the_usual_follows_the_last_runs() {
        let mut bound = bound(&[10 * S; KEPT]);
        (0..KEPT).for_each(|_| bound.ran(S / 100));
        assert_eq!((bound.usual(), bound.took.len()), (Some(S / 100), KEPT));
    }

    #[test]
    fn after_the_users_wish_a_run_has_a_few_seconds() {
        let bound = bound(&[S; 3]);
        assert_eq!(bound.excess(30 * S, Some(5 * S)), None);
        assert_eq!(bound.excess(30 * S, Some(6 * S)), Some(Excess::Stopped));
        // One that was begun after it has them, too.
        assert_eq!(bound.excess(4 * S, Some(30 * S)), None);
    }

    #[test]
    fn what_hangs_is_interrupted_and_told() {
        let watchdog = Watchdog::start(Arc::new(|| true)).unwrap();
        let (sender, ended) = crossbeam_channel::bounded(1);
        let interrupt = Box::new(move || {
            let _ = sender.try_send(());
        });
        let hung = watchdog.watch(interrupt, || {
            ended.recv().unwrap();
            Ok(())
        });
        assert!(hung.unwrap_err().to_string().contains("gave no answer until the run was stopped"));
        assert_eq!(watchdog.watch(Box::new(|| ()), || Ok(7)).unwrap(), 7);
    }
}
