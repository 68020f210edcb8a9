//! What a line of progress says, in parts: the most important first, since a narrow terminal leaves out the last.

use std::time::Duration;

use console::{Color, Style, measure_text_width};

use crate::labels::palette;
use crate::media::frame_counters::Counts;
use crate::system::printable;
use crate::system::words::{clock, count, ordinal};
use crate::telemetry::Progress;
use crate::telemetry::status::Status;

/// Time after which the time that is left can be estimated: the first frames wait for the decoder and the model.
const SETTLED: Duration = Duration::from_secs(3);
/// Colours of the labels, in their order: those of the terminal's theme, which can be read on its ground.
const COLOURS: [Color; palette::COUNT] =
    [Color::Cyan, Color::Yellow, Color::Green, Color::Magenta, Color::Blue, Color::Red];
/// Columns that labels may take, so that what comes after them does not move.
const LABEL_WIDTH: usize = 20;

/// Joins the first parts that fit into so many columns. A part is whole or left out; empty ones are.
pub fn fitting(parts: &[String], width: usize) -> String {
    let mut line = String::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let joined = if line.is_empty() { part.clone() } else { format!("{line}, {part}") };
        if measure_text_width(&joined) > width {
            break;
        }
        line = joined;
    }
    line
}

/// Formats the current label and its confidence; empty while nothing is known, as before the first frame.
pub fn label(status: &Status) -> String {
    match &status.label {
        Some(label) => format!("{} {:.0} %", printable::line(label), 100.0 * status.confidence),
        None if status.confidence > 0.0 => "not sure".into(),
        None => String::new(),
    }
}

/// Returns the columns of the longest label with its confidence, or fewer.
pub fn label_width(labels: &[String]) -> usize {
    let longest = labels.iter().map(|label| measure_text_width(&printable::line(label))).max().unwrap_or(0);
    longest.min(LABEL_WIDTH) + " 100 %".len()
}

/// Adds the label's colour to its text, if stderr is a terminal with colours and NO_COLOR is unset.
pub fn coloured(text: &str, label: Option<&str>, labels: &[String]) -> String {
    let plain = Style::new().for_stderr();
    let index = labels.iter().position(|known| Some(known.as_str()) == label);
    let style = match index.map(|index| palette::index(labels, index)) {
        Some(Some(colour)) => plain.fg(COLOURS[colour]).bold(),
        _ => plain.dim(),
    };
    if text.is_empty() { String::new() } else { style.apply_to(text).to_string() }
}

/// The status of a live stream, with its `label`.
pub fn live(status: &Status, label: &str, counts: &Counts) -> Vec<String> {
    let stride = if status.stride > 1 { format!("every {} analysed", ordinal(status.stride)) } else { String::new() };
    vec![
        label.into(),
        status.state.name().into(),
        format!("{:.1} frames/s", status.rate),
        format!("{:.0} ms", status.latency.p95),
        format!("{} dropped", counts.dropped_total()),
        count(status.reconnects, "reconnect"),
        stride,
    ]
}

/// Progress of a clip.
pub struct Position {
    frames: u64,
    rate: f64,
    /// Part of the clip that is done, 0 to 1, if its duration is known.
    pub share: Option<f64>,
    remaining: Option<Duration>,
}

impl Position {
    pub fn of(progress: &Progress, elapsed: Duration) -> Self {
        let frames = progress.counters.counts().labelled();
        let (position, duration) = (progress.position.get() as f64, progress.duration.get() as f64);
        let share = (duration > 0.0).then(|| (position / duration).min(1.0));
        let remaining = share.and_then(|share| remaining(share, elapsed));
        Self { frames, rate: frames as f64 / elapsed.as_secs_f64().max(1e-9), share, remaining }
    }

    /// Its parts, without the share.
    pub fn parts(&self) -> [String; 3] {
        let left = self.remaining.map_or(String::new(), |remaining| format!("{} left", clock(remaining)));
        [left, format!("{:.1} frames/s", self.rate), count(self.frames, "frame")]
    }
}

/// Estimates the time that is left, once it can be told.
fn remaining(share: f64, elapsed: Duration) -> Option<Duration> {
    (share > 0.0 && elapsed >= SETTLED).then(|| elapsed.mul_f64((1.0 - share) / share))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::REST;
    use crate::telemetry::status::StreamPhase;

    fn status(label: Option<&str>) -> Status {
        Status { state: StreamPhase::Running, label: label.map(Into::into), confidence: 0.987, ..Status::default() }
    }

    #[test]
    fn a_label_has_its_confidence_and_no_control_characters() {
        assert_eq!(label(&status(Some("drinking"))), "drinking 99 %");
        assert_eq!(label(&status(Some("a\u{1b}[31m\u{7}b"))), "a\\u{1b}[31m\\u{7}b 99 %");
        assert_eq!([label(&status(None)), label(&Status::default())], ["not sure", ""]);
        assert_eq!(label_width(&["drinking".into(), REST.into()]), 14);
        assert_eq!(label_width(&["x".repeat(99)]), 26);
    }

    #[test]
    fn the_label_comes_first() {
        let counts = Counts::default();
        let parts = live(&status(Some("drinking")), "drinking 99 %", &counts);
        let whole = "drinking 99 %, running, 0.0 frames/s, 0 ms, 0 dropped, 0 reconnects";
        assert_eq!(fitting(&parts, usize::MAX), whole);
        let waiting = live(&Status::default(), "", &counts);
        assert_eq!(fitting(&waiting, usize::MAX), "waiting, 0.0 frames/s, 0 ms, 0 dropped, 0 reconnects");
    }

    #[test]
    fn a_narrow_terminal_leaves_out_whole_parts() {
        let parts = ["drinking 99 %", "", "0:11 left", "12.1 frames/s"].map(String::from);
        let fits = |width| fitting(&parts, width);
        assert_eq!(fits(39), "drinking 99 %, 0:11 left, 12.1 frames/s");
        assert_eq!(fits(38), "drinking 99 %, 0:11 left");
        assert_eq!([fits(13), fits(12)], ["drinking 99 %", ""]);
        // A colour takes no columns.
        assert_eq!(fitting(&["\u{1b}[33mdrinking\u{1b}[0m".into()], 8), "\u{1b}[33mdrinking\u{1b}[0m");
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
    fn the_time_left_is_told_when_it_is_known() {
        let seconds = Duration::from_secs;
        assert_eq!(remaining(0.25, seconds(4)), Some(seconds(12)));
        assert_eq!([remaining(0.25, seconds(2)), remaining(0.0, seconds(60))], [None, None]);
        let position = Position { frames: 1, rate: 0.5, share: Some(0.1), remaining: Some(seconds(3725)) };
        assert_eq!(position.parts(), ["1:02:05 left", "0.5 frames/s", "1 frame"]);
    }
}
