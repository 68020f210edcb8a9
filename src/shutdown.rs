//! The request to stop: a flag that Ctrl-C, SIGTERM or a closed terminal sets and that every thread polls. The first
//! signal stops gracefully, the second exits at once. Where no terminal was closed, SIGHUP asks a run with a pipeline file to
//! reload it.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::control::{Action, Control};
use crate::system::utc;

/// Base of the exit code after a signal: shells expect 128 plus the signal's number.
const BASE: i32 = 128;

/// Signals this soon after the first count as the same: coreutils' `timeout` signals the program and then its process
/// group, so the program gets the signal twice.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// A shared flag: the user's request to stop.
#[derive(Clone, Default)]
pub struct Shutdown {
    requested: Arc<AtomicBool>,
    done: Arc<AtomicBool>,
    /// The request to stop the whole run, where this is the request to stop a part of it.
    whole: Option<Arc<AtomicBool>>,
    hangup: Arc<Mutex<Hangup>>,
}

/// What a SIGHUP does that does not come from a closed terminal.
#[derive(Default)]
enum Hangup {
    #[default]
    Stops,
    /// The run will be able to reload, and is not yet.
    Waits {
        received: bool,
    },
    Reloads(Control),
}

impl Shutdown {
    pub fn request(&self) {
        self.requested.store(true, Ordering::SeqCst);
    }

    pub fn requested(&self) -> bool {
        let set = |flag: &Arc<AtomicBool>| flag.load(Ordering::SeqCst);
        set(&self.requested) || self.whole.as_ref().is_some_and(set)
    }

    /// Returns a request to stop a part of the run, which stops with the whole too.
    pub(crate) fn child(&self) -> Self {
        Self { requested: Arc::default(), whole: Some(Arc::clone(&self.requested)), ..self.clone() }
    }

    /// From now on SIGHUP reloads the run, unless a terminal was closed. One that came before does so now.
    pub(crate) fn reload_on_hangup(&self, control: Control) {
        let mut hangup = self.hangup.lock().unwrap_or_else(PoisonError::into_inner);
        if let Hangup::Waits { received: true } = *hangup {
            reload(&control);
        }
        *hangup = Hangup::Reloads(control);
    }

    /// Returns whether SIGHUP is not a request to stop, and reloads the run or remembers to.
    fn reloads(&self) -> bool {
        match &mut *self.hangup.lock().unwrap_or_else(PoisonError::into_inner) {
            Hangup::Stops => return false,
            Hangup::Waits { received } => *received = true,
            Hangup::Reloads(control) => reload(control),
        }
        true
    }

    /// Says that the work is done and its files are closed. A later signal interrupts nothing, and leaves the exit code.
    pub fn set_done(&self) {
        self.done.store(true, Ordering::SeqCst);
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::SeqCst)
    }
}

/// The signal handlers, active until the process ends.
pub struct Watch {
    pub shutdown: Shutdown,
    received: Arc<AtomicI32>,
}

impl Watch {
    /// Returns the exit code if a signal was received before the work was done.
    pub fn exit_code(&self) -> Option<u8> {
        let signal = self.received.load(Ordering::SeqCst);
        (signal != 0).then(|| (BASE + signal) as u8)
    }
}

/// Installs the signal handlers.
///
/// # Errors
/// Returns an error if the system refuses the handlers.
pub fn watch() -> std::io::Result<Watch> {
    install(Hangup::Stops)
}

/// Installs the signal handlers of a run that will be able to reload: at SIGHUP it does so, as soon as it is ready.
///
/// # Errors
/// Those of [`watch`].
pub(crate) fn watch_and_reload() -> std::io::Result<Watch> {
    install(Hangup::Waits { received: false })
}

fn install(hangup: Hangup) -> std::io::Result<Watch> {
    let shutdown = Shutdown { hangup: Arc::new(Mutex::new(hangup)), ..Shutdown::default() };
    let received = Arc::new(AtomicI32::new(0));
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    // Ignore SIGXFSZ: the write beyond the file size limit then returns an error, as on a full disk.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    let watch = Watch { shutdown: shutdown.clone(), received: Arc::clone(&received) };
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut first: Option<Instant> = None;
        let terminal = has_terminal();
        for signal in signals.forever() {
            // A terminal that closes is gone when its signal arrives.
            let closed = terminal && !has_terminal();
            if signal == SIGHUP && !closed && !shutdown.requested() && shutdown.reloads() {
                continue;
            }
            if first.is_some_and(|first| first.elapsed() < DEBOUNCE) {
                continue;
            }
            // The window's `q` key may have requested the shutdown, too.
            if shutdown.requested() {
                // The user does not want to wait, so exit without closing files.
                signal_hook::low_level::exit(BASE + signal);
            }
            first = Some(Instant::now());
            if shutdown.is_done() {
                shutdown.request();
                continue;
            }
            received.store(signal, Ordering::SeqCst);
            shutdown.request();
            tracing::info!("stopping: closing the files; signal again to exit at once");
        }
    })?;
    Ok(watch)
}

/// Returns whether the process belongs to a terminal.
fn has_terminal() -> bool {
    OpenOptions::new().read(true).custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK).open("/dev/tty").is_ok()
}

/// Asks for a reload, and logs what came of it without waiting for it here.
fn reload(control: &Control) {
    let log = |result: Result<String, String>| {
        let time = utc::milliseconds(utc::now());
        match result {
            Ok(done) => tracing::info!("{time} SIGHUP: reload: {done}"),
            Err(why) => tracing::error!("{time} SIGHUP: reload: refused: {why}"),
        }
    };
    let answer = match control.request(Action::Reload) {
        Ok(answer) => answer,
        Err(error) => return log(Err(error.to_string())),
    };
    let wait = move || {
        if let Ok(answer) = answer.blocking_recv() {
            log(answer.map_err(|error| error.to_string()));
        }
    };
    if let Err(cause) = std::thread::Builder::new().name("reload".into()).spawn(wait) {
        tracing::warn!("what comes of the reload is not logged, because a thread cannot be started: {cause}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{self, Action};

    #[test]
    fn a_hangup_before_the_run_is_ready_is_remembered_once() {
        let hangup = Arc::new(Mutex::new(Hangup::Waits { received: false }));
        let shutdown = Shutdown { hangup, ..Shutdown::default() };
        assert!(shutdown.reloads() && shutdown.reloads());
        let (control, requests) = control::channel();
        shutdown.reload_on_hangup(control);
        assert_eq!(requests.next(Duration::ZERO).map(|request| request.action), Some(Action::Reload));
        assert!(requests.next(Duration::ZERO).is_none());
        assert!(shutdown.reloads());
        assert_eq!(requests.next(Duration::ZERO).map(|request| request.action), Some(Action::Reload));
        assert!(!Shutdown::default().reloads());
    }
}
