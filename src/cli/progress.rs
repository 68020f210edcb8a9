//! Progress of a run on stderr: a bar for each clip and a line for each camera, with the current label, or plain lines if
//! stderr is not a terminal.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use console::{Color, Style};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::{Error, Result};
use crate::labels::REST;
use crate::logging;
use crate::media::frame_counters::Counts;
use crate::system::printable;
use crate::system::words::{count, ordinal};
use crate::telemetry::Progress;
use crate::telemetry::status::Status;

const REFRESH: Duration = Duration::from_millis(200);
/// Time between lines about a clip where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Columns of a name on a terminal. A longer one is cut.
const NAME_WIDTH: usize = 30;
/// Colours of the labels, in their order: those of the terminal's theme, which can be read on its ground.
const COLOURS: [Color; 6] = [Color::Cyan, Color::Yellow, Color::Green, Color::Magenta, Color::Blue, Color::Red];

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
        let bar = self.bars.as_ref().map(|bars| bars.add(if live { status_line(name) } else { bar(name) }));
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
    let refresh = move || {
        while stopped.recv_timeout(REFRESH) == Err(RecvTimeoutError::Timeout) {
            lock(&streams).iter_mut().for_each(|shown| shown.refresh(status_interval));
        }
    };
    let thread = std::thread::Builder::new().name("display".into()).spawn(refresh);
    Ok((stop, thread.map_err(|cause| Error::unavailable("a thread cannot be started").because(cause))?))
}

fn lock(streams: &Mutex<Vec<Shown>>) -> MutexGuard<'_, Vec<Shown>> {
    streams.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shown {
    fn refresh(&mut self, status_interval: Duration) {
        let Self { name, live, labels, progress, bar, started, logged } = self;
        let status = progress.status();
        if *live {
            let counts = progress.counters.counts();
            if let Some(bar) = bar {
                let label = coloured(&label_text(&status), status.label.as_deref(), labels);
                bar.set_message(live_text(&status, &label, &counts));
            } else if is_due(logged, status_interval) {
                log_status(name, &status, &counts);
            }
            return;
        }
        let position = Position::of(progress, started.elapsed());
        if let Some(bar) = bar {
            bar.set_position((position.share.unwrap_or(0.0) * 1000.0) as u64);
            let label = coloured(&label_text(&status), status.label.as_deref(), labels);
            bar.set_message(joined(&label, &position.text()));
        } else if is_due(logged, LINE_INTERVAL) {
            let percent = position.share.map_or(String::new(), |share| format!("{:.0} %, ", 100.0 * share));
            tracing::info!("{name}: {percent}{}", joined(&label_text(&status), &position.text()));
        }
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

fn bar(name: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {bar:20} {percent:>3} %  {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(1000).with_style(style).with_prefix(short_name(name))
}

fn status_line(name: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix}: {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new_spinner().with_style(style).with_prefix(short_name(name))
}

/// Returns a name that is safe on a terminal and leaves room for the rest of its line.
fn short_name(name: &str) -> String {
    console::truncate_str(&printable::line(name), NAME_WIDTH, "…").into_owned()
}

/// Formats the current label and its confidence; empty while nothing is known, as before the first frame.
fn label_text(status: &Status) -> String {
    match &status.label {
        Some(label) => format!("{} {:.0} %", printable::line(label), 100.0 * status.confidence),
        None if status.confidence > 0.0 => "not sure".into(),
        None => String::new(),
    }
}

/// Adds the label's colour to its text, if stderr is a terminal with colours and NO_COLOR is unset.
fn coloured(text: &str, label: Option<&str>, labels: &[String]) -> String {
    let plain = Style::new().for_stderr();
    let index = labels.iter().position(|known| Some(known.as_str()) == label);
    let style = match index {
        Some(index) if labels[index] != REST => plain.fg(COLOURS[index % COLOURS.len()]).bold(),
        _ => plain.dim(),
    };
    if text.is_empty() { String::new() } else { style.apply_to(text).to_string() }
}

/// Joins two parts of a line, of which the first may be empty.
fn joined(first: &str, second: &str) -> String {
    if first.is_empty() { second.into() } else { format!("{first}, {second}") }
}

/// Formats the status of a live stream, with its `label`.
fn live_text(status: &Status, label: &str, counts: &Counts) -> String {
    let state = joined(label, status.state.name());
    let stride = if status.stride > 1 { format!(", every {} analysed", ordinal(status.stride)) } else { String::new() };
    format!(
        "{state}, {:.1} frames/s{stride}, {:.0} ms, {} dropped, {}",
        status.rate,
        status.latency.p95,
        counts.dropped_total(),
        count(status.reconnects, "reconnect")
    )
}

/// Logs the status of a live stream; as JSON, each number is a field.
fn log_status(name: &str, status: &Status, counts: &Counts) {
    if !logging::is_json() {
        return tracing::info!("{name}: {}", live_text(status, &label_text(status), counts));
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
struct Position {
    frames: u64,
    rate: f64,
    /// Part of the clip that is done, 0 to 1, if its duration is known.
    share: Option<f64>,
    remaining: Option<Duration>,
}

impl Position {
    fn of(progress: &Progress, elapsed: Duration) -> Self {
        let frames = progress.counters.counts().labelled();
        let (position, duration) = (progress.position.get() as f64, progress.duration.get() as f64);
        let share = (duration > 0.0).then(|| (position / duration).min(1.0));
        let remaining = share.filter(|&share| share > 0.0).map(|share| elapsed.mul_f64((1.0 - share) / share));
        Self { frames, rate: frames as f64 / elapsed.as_secs_f64().max(1e-9), share, remaining }
    }

    fn text(&self) -> String {
        let remaining = match self.remaining {
            Some(remaining) => format!("{}:{:02} left, ", remaining.as_secs() / 60, remaining.as_secs() % 60),
            None => String::new(),
        };
        format!("{remaining}{}, {:.1} frames/s", count(self.frames, "frame"), self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::status::StreamPhase;

    fn status(label: Option<&str>) -> Status {
        Status { state: StreamPhase::Running, label: label.map(Into::into), confidence: 0.987, ..Status::default() }
    }

    #[test]
    fn a_label_has_its_confidence_and_no_control_characters() {
        assert_eq!(label_text(&status(Some("drinking"))), "drinking 99 %");
        assert_eq!(label_text(&status(Some("a\u{1b}[31m\u{7}b"))), "a\\u{1b}[31m\\u{7}b 99 %");
        assert_eq!([label_text(&status(None)), label_text(&Status::default())], ["not sure", ""]);
    }

    #[test]
    fn the_label_comes_first() {
        let counts = Counts::default();
        let text = live_text(&status(Some("drinking")), "drinking 99 %", &counts);
        assert_eq!(text, "drinking 99 %, running, 0.0 frames/s, 0 ms, 0 dropped, 0 reconnects");
        assert_eq!(live_text(&Status::default(), "", &counts), "waiting, 0.0 frames/s, 0 ms, 0 dropped, 0 reconnects");
    }

    #[test]
    fn a_label_has_a_colour_only_where_the_terminal_has() {
        let labels = ["cooking".to_string(), "drinking".into(), REST.into()];
        console::set_colors_enabled_stderr(true);
        assert_eq!(coloured("drinking 99 %", Some("drinking"), &labels), "\u{1b}[33m\u{1b}[1mdrinking 99 %\u{1b}[0m");
        assert_eq!(coloured("other 99 %", Some(REST), &labels), "\u{1b}[2mother 99 %\u{1b}[0m");
        assert_eq!(coloured("", None, &labels), "");
        console::set_colors_enabled_stderr(false);
        assert_eq!(coloured("drinking 99 %", Some("drinking"), &labels), "drinking 99 %");
    }

    #[test]
    fn a_long_name_leaves_room_for_the_rest() {
        let name = short_name(&"a-long-name-of-a-clip".repeat(9));
        assert_eq!((console::measure_text_width(&name), name.ends_with('…')), (NAME_WIDTH, true));
    }
}
