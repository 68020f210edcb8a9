//! What was found in each clip, for the lines that end a run.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::labels::REST;
use crate::pipeline::observer::LabeledInterval;
use crate::system::words::{clock, count, stretch};

/// Intervals of a label that a line shows.
const SHOWN: usize = 6;

/// Collects the intervals of the running clips, and the totals of the finished ones.
pub struct Findings {
    labels: Vec<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: HashMap<String, Vec<Found>>,
    /// Of each label in all finished clips.
    totals: Vec<Total>,
}

/// What was found of a label in a clip.
#[derive(Clone, Default)]
struct Found {
    /// The first [`SHOWN`] intervals: onset, offset and peak confidence.
    first: Vec<(Duration, Duration, f64)>,
    intervals: u64,
    time: Duration,
}

#[derive(Clone, Default)]
struct Total {
    clips: u64,
    intervals: u64,
    time: Duration,
}

impl Findings {
    /// `labels` are those of the model.
    pub fn new(labels: &[String]) -> Self {
        let state = State { running: HashMap::new(), totals: vec![Total::default(); labels.len()] };
        Self { labels: labels.to_vec(), state: Mutex::new(state) }
    }

    /// Adds an interval of a running clip.
    pub fn add(&self, clip: &str, interval: &LabeledInterval) {
        let Some(label) = self.labels.iter().position(|label| label == interval.label) else { return };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let count = self.labels.len();
        let found = state.running.entry(clip.to_string()).or_insert_with(|| vec![Found::default(); count]);
        let found = &mut found[label];
        if found.first.len() < SHOWN {
            found.first.push((interval.onset, interval.offset, interval.peak));
        }
        found.intervals += 1;
        found.time += interval.offset.saturating_sub(interval.onset);
    }

    /// Adds a clip that has ended to the totals. Returns its findings in one line, like
    /// `drinking 0:16–0:18 (99 %), 2:40–2:47 (91 %)`.
    pub fn finish(&self, clip: &str) -> String {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let found = state.running.remove(clip).unwrap_or_default();
        for (total, found) in state.totals.iter_mut().zip(&found) {
            total.clips += u64::from(found.intervals > 0);
            total.intervals += found.intervals;
            total.time += found.time;
        }
        let of = |(label, found): (&String, &Found)| (label != REST && found.intervals > 0).then(|| found.text(label));
        let texts: Vec<String> = self.labels.iter().zip(&found).filter_map(of).collect();
        if !texts.is_empty() {
            return texts.join("; ");
        }
        let rest = self.labels.iter().zip(&found).any(|(label, found)| label == REST && found.intervals > 0);
        if rest { format!("only {REST}") } else { "nothing found".into() }
    }

    /// Returns a line for each label that was found in a finished clip; `other` comes last.
    pub fn totals(&self) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let width = self.labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
        let line = |(label, total): (&String, &Total)| {
            (total.intervals > 0).then(|| {
                let (intervals, clips) = (count(total.intervals, "interval"), count(total.clips, "clip"));
                format!("  {label:width$}  {intervals} in {clips}, {} in all", clock(total.time))
            })
        };
        let all = self.labels.iter().zip(&state.totals);
        let (rest, found): (Vec<_>, Vec<_>) = all.partition(|(label, _)| label.as_str() == REST);
        found.into_iter().chain(rest).filter_map(line).collect()
    }
}

impl Found {
    fn text(&self, label: &str) -> String {
        let span = |&(start, end, peak): &(Duration, Duration, f64)| {
            format!("{} ({:.0} %)", stretch(start, end), 100.0 * peak)
        };
        let spans: Vec<String> = self.first.iter().map(span).collect();
        let more = match self.intervals - self.first.len() as u64 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{label} {}{more}", spans.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Findings {
        Findings::new(&["cooking".into(), "drinking".into(), "other".into()])
    }

    fn add(findings: &Findings, clip: &str, label: &str, start: f64, end: f64, peak: f64) {
        let (start, end) = (Duration::from_secs_f64(start), Duration::from_secs_f64(end));
        // The activity began and ended 0.1 s before the label.
        let late = Duration::from_millis(100);
        let (mean, onset, offset) = (peak / 2.0, start, end);
        let (start, end) = (start + late, end + late);
        findings.add(clip, &LabeledInterval { label, start, end, mean, peak, onset, offset });
    }

    #[test]
    fn a_line_says_what_was_found_and_when() {
        let findings = findings();
        add(&findings, "a", "other", 0.0, 16.2, 0.9);
        add(&findings, "a", "drinking", 16.2, 18.68, 0.99);
        add(&findings, "b", "cooking", 0.2, 0.9, 0.8);
        add(&findings, "a", "drinking", 3600.0, 3661.0, 0.914);
        add(&findings, "a", "cooking", 4000.0, 4001.0, 0.5);
        assert_eq!(
            findings.finish("a"),
            "cooking 1:06:40–1:06:41 (50 %); drinking 0:16–0:18 (99 %), 1:00:00–1:01:01 (91 %)"
        );
        assert_eq!(findings.finish("b"), "cooking 0:00 (80 %)");
        add(&findings, "c", "other", 0.0, 9.0, 0.9);
        assert_eq!((findings.finish("c"), findings.finish("d")), ("only other".into(), "nothing found".into()));
        assert_eq!(
            findings.totals(),
            [
                "  cooking   2 intervals in 2 clips, 0:01 in all",
                "  drinking  2 intervals in 1 clip, 1:03 in all",
                "  other     2 intervals in 2 clips, 0:25 in all",
            ]
        );
    }

    #[test]
    fn other_is_the_last_of_the_totals() {
        let findings = Findings::new(&[REST, "typing"].map(String::from));
        add(&findings, "a", REST, 0.0, 2.0, 0.9);
        add(&findings, "a", "typing", 2.0, 3.0, 0.9);
        findings.finish("a");
        let lines = ["  typing  1 interval in 1 clip, 0:01 in all", "  other   1 interval in 1 clip, 0:02 in all"];
        assert_eq!(findings.totals(), lines);
    }

    #[test]
    fn many_intervals_are_counted() {
        let findings = findings();
        for i in 0..8 {
            add(&findings, "a", "drinking", f64::from(10 * i), f64::from(10 * i + 2), 0.9);
        }
        let line = findings.finish("a");
        assert!(
            line.starts_with("drinking 0:00–0:02 (90 %), 0:10–0:12") && line.ends_with("0:50–0:52 (90 %) and 2 more"),
            "{line}"
        );
    }
}
