//! Progress of a run on stderr: a bar for each clip and a line for each camera, with the current label, or plain lines if
//! stderr is not a terminal.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use console::{Alignment, Term, measure_text_width, pad_str};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::progress_text::{self, Position, fitting, label_width};
use crate::error::{Error, Result};
use crate::logging;
use crate::media::frame_counters::Counts;
use crate::system::printable;
use crate::telemetry::Progress;
use crate::telemetry::status::Status;

const REFRESH: Duration = Duration::from_millis(200);
/// Time between lines about a clip where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Columns of a terminal on which a line has its full width.
const WIDE: usize = 100;
/// Columns of a name, of which a longer one is cut, and of the bar: on a wide terminal, and on a narrow one.
const NAME_WIDTH: [usize; 2] = [30, 22];
const BAR_WIDTH: [usize; 2] = [20, 10];

/// Shows progress and prints results without mixing them up.
pub struct Display {
    quiet: bool,
    /// Whether results go to stderr, because stdout is for events.
    results_to_stderr: bool,
    bars: Option<MultiProgress>,
    streams: Arc<Mutex<Vec<Shown>>>,
    /// Dropping the sender ends the thread.
    refresher: Option<(Sender<()>, JoinHandle<()>)>,
}

/// An input whose progress is shown.
struct Shown {
    name: String,
    live: bool,
    /// The labels that its status may have, for their colours.
    labels: Vec<String>,
    progress: Arc<Progress>,
    /// On a terminal.
    bar: Option<ProgressBar>,
    started: Instant,
    /// When its last line was logged.
    logged: Instant,
}

impl Display {
    /// `results_to_stderr` keeps stdout for events. `status_interval` is the time between lines about a camera where there is no
    /// terminal.
    ///
    /// # Errors
    /// Unavailable, if the thread that refreshes the display cannot be started.
    pub fn new(quiet: bool, results_to_stderr: bool, status_interval: Duration) -> Result<Self> {
        // A dumb terminal cannot rewrite its lines.
        let rewrites = std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let bars = (!quiet && rewrites).then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(5)));
        let streams = Arc::new(Mutex::new(Vec::new()));
        let refresher = if quiet { None } else { Some(start_refresher(&streams, status_interval)?) };
        Ok(Self { quiet, results_to_stderr, bars, streams, refresher })
    }

    /// Shows an input's progress from now on. `labels` are those that its status may have.
    pub fn add(&self, name: &str, live: bool, labels: &[String], progress: &Arc<Progress>) {
        if self.quiet {
            return;
        }
        let bar = self.bars.as_ref().map(|bars| bars.add(line(name, live)));
        let (name, labels, progress, now) = (name.to_string(), labels.to_vec(), Arc::clone(progress), Instant::now());
        lock(&self.streams).push(Shown { name, live, labels, progress, bar, started: now, logged: now });
    }

    /// Stops showing it.
    pub fn remove(&self, progress: &Arc<Progress>) {
        lock(&self.streams).retain(|shown| {
            let keep = !Arc::ptr_eq(&shown.progress, progress);
            if let (false, Some(bar)) = (keep, &shown.bar) {
                bar.finish_and_clear();
            }
            keep
        });
    }

    /// Prints a result, to stdout unless that is for events.
    pub fn print(&self, text: &str) {
        if self.quiet {
            return;
        }
        let text = printable::visible(text);
        self.suspend_bars(|| {
            // A closed pipe is not an error.
            let line = format!("{text}\n");
            let _ = if self.results_to_stderr {
                logging::stderr().write_all(line.as_bytes())
            } else {
                std::io::stdout().write_all(line.as_bytes())
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

impl Drop for Display {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.refresher.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

/// Starts the thread that refreshes what is shown until the returned sender is dropped.
fn start_refresher(
    streams: &Arc<Mutex<Vec<Shown>>>,
    status_interval: Duration,
) -> Result<(Sender<()>, JoinHandle<()>)> {
    let streams = Arc::clone(streams);
    let (stop, stopped) = bounded(0);
    let mut widest = 0;
    let refresh = move || {
        while stopped.recv_timeout(REFRESH) == Err(RecvTimeoutError::Timeout) {
            let mut streams = lock(&streams);
            let columns = Columns::of(streams.iter().map(|shown| shown.name.as_str()), widest);
            // So lines do not move when the input with the longest name ends.
            widest = columns.name;
            streams.iter_mut().for_each(|shown| shown.refresh(status_interval, &columns));
        }
    };
    let thread = std::thread::Builder::new().name("display".into()).spawn(refresh);
    Ok((stop, thread.map_err(|cause| Error::unavailable("a thread cannot be started").because(cause))?))
}

fn lock(streams: &Mutex<Vec<Shown>>) -> MutexGuard<'_, Vec<Shown>> {
    streams.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shown {
    fn refresh(&mut self, status_interval: Duration, columns: &Columns) {
        let Self { name, live, labels, progress, bar, started, logged } = self;
        let status = progress.status();
        let label = progress_text::label(&status);
        if let Some(bar) = bar {
            let (parts, room) = if *live {
                let parts = progress_text::live(&status, "", &progress.counters.counts());
                (parts, columns.room(0))
            } else {
                let position = Position::of(progress, started.elapsed());
                bar.set_position((position.share.unwrap_or(0.0) * 1000.0) as u64);
                (position.parts().into(), columns.room(columns.bar()))
            };
            let label = progress_text::coloured(&label, status.label.as_deref(), labels);
            let label_width = label_width(labels);
            let label = pad_str(&label, label_width, Alignment::Left, Some("…"));
            let rest = fitting(&parts, room.saturating_sub(label_width + 2));
            bar.set_prefix(columns.padded(name));
            bar.set_message(format!("{label}  {rest}"));
        } else if *live && is_due(logged, status_interval) {
            log_status(name, &status, &progress.counters.counts());
        } else if !*live && is_due(logged, LINE_INTERVAL) {
            let position = Position::of(progress, started.elapsed());
            let percent = position.share.map_or(String::new(), |share| format!("{:.0} %", 100.0 * share));
            let parts: Vec<String> = [percent, label].into_iter().chain(position.parts()).collect();
            tracing::info!("{name}: {}", fitting(&parts, usize::MAX));
        }
    }
}

/// Where things stand on the terminal's lines, one below the other.
struct Columns {
    all: usize,
    name: usize,
}

impl Columns {
    /// Returns the columns for such names. `least` is the width that names had before.
    fn of<'a>(names: impl Iterator<Item = &'a str>, least: usize) -> Self {
        let all = usize::from(Term::stderr().size().1);
        let most = NAME_WIDTH[usize::from(all < WIDE)];
        let widest = names.map(|name| measure_text_width(&printable::line(name))).max().unwrap_or(0);
        Self { all, name: widest.max(least).min(most) }
    }

    /// Returns a name that is safe on a terminal, in the columns of the longest.
    fn padded(&self, name: &str) -> String {
        pad_str(&printable::line(name), self.name, Alignment::Left, Some("…")).into_owned()
    }

    /// Returns the columns of the bar, with percent.
    fn bar(&self) -> usize {
        BAR_WIDTH[usize::from(self.all < WIDE)] + " 100 %  ".len()
    }

    /// Returns what a name and so many columns more leave of a line.
    fn room(&self, taken: usize) -> usize {
        self.all.saturating_sub(self.name + 2 + taken)
    }
}

/// Returns whether `interval` has passed since `last`, and then starts it again.
fn is_due(last: &mut Instant, interval: Duration) -> bool {
    let due = last.elapsed() >= interval;
    if due {
        *last = Instant::now();
    }
    due
}

/// Returns the line of an input, with a bar for a clip.
fn line(name: &str, live: bool) -> ProgressBar {
    let columns = Columns::of([name].into_iter(), 0);
    let bar = BAR_WIDTH[usize::from(columns.all < WIDE)];
    let bar = if live { String::new() } else { format!("{{bar:{bar}}} {{percent:>3}} %  ") };
    let style = ProgressStyle::with_template(&format!("{{prefix}}  {bar}{{wide_msg}}"))
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(1000).with_style(style).with_prefix(columns.padded(name))
}

/// Logs the status of a live stream; as JSON, each number is a field.
fn log_status(name: &str, status: &Status, counts: &Counts) {
    if !logging::is_json() {
        return tracing::info!(
            "{name}: {}",
            fitting(&progress_text::live(status, &progress_text::label(status), counts), usize::MAX)
        );
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_below_the_other_and_leave_room_for_the_rest() {
        let columns = Columns { all: 80, name: NAME_WIDTH[1] };
        let long = columns.padded(&"a-long-name-of-a-clip".repeat(9));
        assert_eq!((measure_text_width(&long), long.ends_with('…')), (22, true));
        assert_eq!(columns.padded("a.mp4"), format!("a.mp4{}", " ".repeat(17)));
        // On a narrow terminal the rate is left out.
        let line = "drinking 100 %  0:11 left, 120.1 frames/s";
        assert!(columns.room(columns.bar()) >= "drinking 100 %  0:11 left".len());
        let wide = Columns { all: 120, name: NAME_WIDTH[0] };
        assert!(wide.room(wide.bar()) >= line.len());
    }
}
