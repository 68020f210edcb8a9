//! Interrupts runs of a model that do not end: a model may contain an endless loop.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// A run that takes longer than this, and than [`MEDIAN_FACTOR`] times the median, is interrupted.
const MIN_LIMIT: Duration = Duration::from_secs(60);
const MEDIAN_FACTOR: u32 = 100;
/// How long a run may continue after the request to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);
/// Runs of which the median is taken.
const HISTORY: usize = 100;

/// Returns whether a stop was requested.
pub type Stopping = Arc<dyn Fn() -> bool + Send + Sync>;
/// Interrupts a run from another thread.
pub type Interrupt = Box<dyn Fn() + Send>;

/// Why a run was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interruption {
    TooLong { elapsed: Duration, median: Option<Duration> },
    Stopped,
}

impl Interruption {
    fn error(self) -> Error {
        match self {
            Interruption::TooLong { elapsed, median } => {
                let error = Error::failed(format!("the model did not finish a batch within {} s", elapsed.as_secs()));
                let error = match median {
                    Some(median) => error.because(format!("it usually takes {} ms", median.as_millis())),
                    None => error,
                };
                error.remedy("use another model; this one may contain an endless loop")
            }
            Interruption::Stopped => Error::failed("the model did not finish its batch before the run was stopped")
                .remedy("use another model if this happens again"),
        }
    }
}

/// The time limit of a run, derived from the last runs.
#[derive(Default)]
struct TimeLimit {
    times: VecDeque<Duration>,
}

impl TimeLimit {
    fn record(&mut self, elapsed: Duration) {
        if self.times.len() == HISTORY {
            self.times.pop_front();
        }
        self.times.push_back(elapsed);
    }

    fn median(&self) -> Option<Duration> {
        let mut times: Vec<Duration> = self.times.iter().copied().collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }

    /// Returns why to interrupt a run that has taken `elapsed`; `stopping` is the time since the request to stop.
    fn interruption(&self, elapsed: Duration, stopping: Option<Duration>) -> Option<Interruption> {
        if stopping.is_some_and(|stopping| stopping.min(elapsed) > STOP_TIMEOUT) {
            return Some(Interruption::Stopped);
        }
        if elapsed <= MIN_LIMIT {
            return None;
        }
        let median = self.median();
        (elapsed > median.unwrap_or_default() * MEDIAN_FACTOR).then_some(Interruption::TooLong { elapsed, median })
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
    limit: TimeLimit,
    active: Vec<Run>,
    next: u64,
}

struct Run {
    number: u64,
    began: Instant,
    interrupt: Interrupt,
    interruption: Option<Interruption>,
}

impl Watchdog {
    /// Starts the watchdog's thread.
    ///
    /// # Errors
    /// Unavailable if the thread cannot be started.
    pub fn start(stopping: Stopping) -> Result<Self> {
        let shared = Arc::new(Shared { runs: Mutex::default(), stopping, ended: AtomicBool::new(false) });
        let watched = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("watchdog".into())
            .spawn(move || watched.watch())
            .map_err(|cause| Error::unavailable("a thread cannot be started").because(cause))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Starts a watchdog without requests to stop, for commands that a signal ends at once.
    ///
    /// # Errors
    /// Those of [`Watchdog::start`].
    pub fn unstopped() -> Result<Self> {
        Self::start(Arc::new(|| false))
    }

    /// Returns whether a stop was requested.
    pub fn stopping(&self) -> bool {
        (self.shared.stopping)()
    }

    /// Calls `run`, and calls `interrupt` if it takes too long.
    ///
    /// # Errors
    /// Those of `run`; failed if it was interrupted.
    pub fn watch<T>(&self, interrupt: Interrupt, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let began = Instant::now();
        let number = {
            let mut runs = self.shared.lock();
            runs.next += 1;
            let number = runs.next;
            runs.active.push(Run { number, began, interrupt, interruption: None });
            number
        };
        let result = run();
        let mut runs = self.shared.lock();
        let index = runs.active.iter().position(|run| run.number == number);
        if let Some(interruption) = index.and_then(|index| runs.active.swap_remove(index).interruption) {
            return Err(interruption.error());
        }
        runs.limit.record(began.elapsed());
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
        let mut stop_requested: Option<Instant> = None;
        while !self.ended.load(Ordering::Relaxed) {
            std::thread::park_timeout(POLL);
            if stop_requested.is_none() && (self.stopping)() {
                stop_requested = Some(Instant::now());
            }
            let Runs { limit, active, .. } = &mut *self.lock();
            for run in active {
                let interruption = limit.interruption(run.began.elapsed(), stop_requested.map(|time| time.elapsed()));
                run.interruption = run.interruption.or(interruption);
                // Repeated, since an interrupt before the library has started the run has no effect.
                if run.interruption.is_some() {
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

    fn limit(times: &[Duration]) -> TimeLimit {
        let mut limit = TimeLimit::default();
        times.iter().for_each(|&elapsed| limit.record(elapsed));
        limit
    }

    #[test]
    fn a_run_is_interrupted_beyond_a_minute_and_a_hundred_times_the_median() {
        let first = limit(&[]);
        assert_eq!(first.interruption(60 * S, None), None);
        assert_eq!(first.interruption(61 * S, None), Some(Interruption::TooLong { elapsed: 61 * S, median: None }));
        let fast = limit(&[S / 100, S / 10, S / 50]);
        assert_eq!(fast.interruption(60 * S, None), None);
        assert_eq!(
            fast.interruption(61 * S, None),
            Some(Interruption::TooLong { elapsed: 61 * S, median: Some(S / 50) })
        );
        let slow = limit(&[2 * S; 3]);
        assert_eq!(slow.interruption(200 * S, None), None);
        assert!(slow.interruption(201 * S, None).is_some());
    }

    #[test]
    fn the_median_follows_the_last_runs() {
        let mut limit = limit(&[10 * S; HISTORY]);
        (0..HISTORY).for_each(|_| limit.record(S / 100));
        assert_eq!((limit.median(), limit.times.len()), (Some(S / 100), HISTORY));
    }

    #[test]
    fn a_run_has_a_few_seconds_after_the_request_to_stop() {
        let limit = limit(&[S; 3]);
        assert_eq!(limit.interruption(30 * S, Some(5 * S)), None);
        assert_eq!(limit.interruption(30 * S, Some(6 * S)), Some(Interruption::Stopped));
        // A run that began after the request has them too.
        assert_eq!(limit.interruption(4 * S, Some(30 * S)), None);
    }

    #[test]
    fn a_hanging_run_is_interrupted_and_reported() {
        let watchdog = Watchdog::start(Arc::new(|| true)).unwrap();
        let (sender, ended) = crossbeam_channel::bounded(1);
        let interrupt = Box::new(move || {
            let _ = sender.try_send(());
        });
        let hung = watchdog.watch(interrupt, || {
            ended.recv().unwrap();
            Ok(())
        });
        assert!(hung.unwrap_err().to_string().contains("did not finish its batch before the run was stopped"));
        assert_eq!(watchdog.watch(Box::new(|| ()), || Ok(7)).unwrap(), 7);
    }
}
