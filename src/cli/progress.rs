//! Progress of a run on stderr: a bar for each stream, or plain lines if stderr is not a terminal.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::Error;
use crate::frame_counters::Counts;
use crate::telemetry::Progress;
use crate::telemetry::status::Status;
use crate::{logging, printable};

const REFRESH: Duration = Duration::from_millis(200);
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows progress and prints results without mixing them up.
pub struct Display {
    quiet: bool,
    /// Whether results go to stderr, because stdout is for events.
    results_to_stderr: bool,
    bars: Option<MultiProgress>,
}

impl Display {
    /// `results_to_stderr` keeps stdout for events.
    pub fn new(quiet: bool, results_to_stderr: bool) -> Self {
        let bars = (!quiet && std::io::stderr().is_terminal())
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(5)));
        Self { quiet, results_to_stderr, bars }
    }

    /// Runs `work` and shows the `progress` of a clip.
    pub fn watch<T: Send>(&self, name: &str, progress: &Progress, work: impl FnOnce() -> T + Send) -> T {
        if self.quiet {
            return work();
        }
        let bar = self.bars.as_ref().map(|bars| bars.add(bar(name)));
        let (began, mut reported) = (Instant::now(), Instant::now());
        let result = self.run_beside(work, || {
            let state = State::of(progress, began.elapsed());
            if let Some(bar) = &bar {
                bar.set_position((state.share.unwrap_or(0.0) * 1000.0) as u64);
                bar.set_message(state.text());
            } else if reported.elapsed() >= LINE_INTERVAL {
                reported = Instant::now();
                let percent = state.share.map_or(String::new(), |share| format!("{:.0} %, ", 100.0 * share));
                tracing::info!("{name}: {percent}{}", state.text());
            }
        });
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        result
    }

    /// Runs `work`, and meanwhile `show` at every refresh.
    fn run_beside<T: Send>(&self, work: impl FnOnce() -> T + Send, mut show: impl FnMut() + Send) -> T {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::thread::park_timeout(REFRESH);
                    show();
                }
            });
            // Even a panic must end the watcher, or the scope would wait for it forever.
            let _end = OnDrop(|| {
                done.store(true, Ordering::Relaxed);
                watcher.thread().unpark();
            });
            work()
        })
    }

    /// Runs `work` and shows the status of a live stream: one line that is rewritten on a terminal, else a log message
    /// every `interval`.
    pub fn follow<T: Send>(
        &self,
        name: &str,
        progress: &Progress,
        interval: Duration,
        work: impl FnOnce() -> T + Send,
    ) -> T {
        if self.quiet {
            return work();
        }
        let line = self.bars.as_ref().map(|bars| bars.add(status_line(name)));
        let mut reported = Instant::now();
        let result = self.run_beside(work, || match &line {
            Some(line) => {
                line.set_message(printable::lines(&live_text(&progress.status(), &progress.counters.counts())))
            }
            None if reported.elapsed() >= interval => {
                reported = Instant::now();
                log_status(name, &progress.status(), &progress.counters.counts());
            }
            None => {}
        });
        if let Some(line) = line {
            line.finish_and_clear();
        }
        result
    }

    /// Prints a result, to stdout unless that is for events.
    pub fn print(&self, text: &str) {
        if self.quiet {
            return;
        }
        let text = printable::visible(text);
        self.suspend_bars(|| {
            // A closed pipe is not an error.
            let _ = if self.results_to_stderr {
                writeln!(std::io::stderr(), "{text}")
            } else {
                writeln!(std::io::stdout(), "{text}")
            };
        });
    }

    /// Logs an error.
    pub fn error(&self, error: &Error) {
        self.suspend_bars(|| tracing::error!("{error}"));
    }

    fn suspend_bars(&self, write: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }
}

/// Calls its function when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn bar(name: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {bar:30} {percent:>3} %  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(1000).with_style(style).with_prefix(printable::visible(name).into_owned())
}

fn status_line(name: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix}: {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new_spinner().with_style(style).with_prefix(printable::visible(name).into_owned())
}

/// Formats the status of a live stream.
fn live_text(status: &Status, counts: &Counts) -> String {
    let state = status.state.name();
    let label =
        status.label.as_ref().map_or("computing...".into(), |label| format!("{label} {:.2}", status.confidence));
    let stride = if status.stride > 1 { format!(", every {}th analysed", status.stride) } else { String::new() };
    format!(
        "{state}, {label}, {:.1} frames/s{stride}, {:.0} ms, {} dropped, {} reconnects",
        status.rate,
        status.latency.p95,
        counts.dropped_total(),
        status.reconnects
    )
}

/// Logs the status of a live stream; as JSON, each number is a field.
fn log_status(name: &str, status: &Status, counts: &Counts) {
    if !logging::is_json() {
        return tracing::info!("{name}: {}", live_text(status, counts));
    }
    tracing::info!(
        stream = name,
        state = status.state.name(),
        label = status.label.as_deref(),
        confidence = status.confidence,
        stride = status.stride,
        frames_per_second = status.rate,
        latency_p50_ms = status.latency.p50,
        latency_p95_ms = status.latency.p95,
        latency_p99_ms = status.latency.p99,
        decoded = counts.decoded,
        analysed = counts.analysed,
        held = counts.held,
        dropped = counts.dropped_total(),
        in_flight = counts.in_flight,
        reconnects = status.reconnects,
        stalls = status.stalls,
        gaps = status.gaps,
        "status"
    );
}

/// Progress of a clip.
struct State {
    frames: u64,
    rate: f64,
    /// Part of the clip that is done, 0 to 1, if its duration is known.
    share: Option<f64>,
    remaining: Option<Duration>,
}

impl State {
    fn of(progress: &Progress, elapsed: Duration) -> Self {
        let frames = progress.counters.counts().labelled();
        let (position, duration) = (progress.position.get() as f64, progress.duration.get() as f64);
        let share = (duration > 0.0).then(|| (position / duration).min(1.0));
        let remaining = share.filter(|&share| share > 0.0).map(|share| elapsed.mul_f64((1.0 - share) / share));
        Self { frames, rate: frames as f64 / elapsed.as_secs_f64().max(1e-9), share, remaining }
    }

    fn text(&self) -> String {
        let remaining = match self.remaining {
            Some(remaining) => format!(", {}:{:02} left", remaining.as_secs() / 60, remaining.as_secs() % 60),
            None => String::new(),
        };
        format!("{} frames, {:.1} frames/s{remaining}", self.frames, self.rate)
    }
}
