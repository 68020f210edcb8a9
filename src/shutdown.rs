//! The wish to stop, seen by every thread: by Ctrl-C, SIGTERM or a closed terminal. The first asks for a graceful end, the
//! second ends the program at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

/// What a shell expects of a program that a signal ended: 128 and the signal's number.
const BASE: i32 = 128;

/// What comes this soon after the first is still the first: coreutils' `timeout` signals the program and then its
/// process group, and so tells it twice.
const SAME: Duration = Duration::from_millis(500);

/// The user's wish to stop.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<AtomicBool>);

impl Shutdown {
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Watches for signals until the process ends.
pub struct Watch {
    pub shutdown: Shutdown,
    received: Arc<AtomicI32>,
}

impl Watch {
    /// The exit code, where a signal has come.
    pub fn exit_code(&self) -> Option<u8> {
        let signal = self.received.load(Ordering::SeqCst);
        (signal != 0).then(|| (BASE + signal) as u8)
    }
}

/// Starts watching.
///
/// # Errors
/// Where the system refuses the handlers.
pub fn watch() -> std::io::Result<Watch> {
    let shutdown = Shutdown::default();
    let received = Arc::new(AtomicI32::new(0));
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    // A file that may not grow any more is told by the write that fails, as a full disk is.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    let watch = Watch { shutdown: shutdown.clone(), received: Arc::clone(&received) };
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut first: Option<Instant> = None;
        for signal in signals.forever() {
            if first.is_some_and(|first| first.elapsed() < SAME) {
                continue;
            }
            // By a key of the window, too, an end may have been asked for.
            if shutdown.requested() {
                // The user does not want to wait: no file is closed, as after a kill.
                signal_hook::low_level::exit(BASE + signal);
            }
            first = Some(Instant::now());
            received.store(signal, Ordering::SeqCst);
            shutdown.request();
            tracing::info!("stopping: closing the files; once more to leave at once");
        }
    })?;
    Ok(watch)
}
