//! Event metrics: how many events in labelled clips a model finds, and how many false alarms it raises.
//!
//! An event is a stretch of time with one label, such as a sip. It counts as found if an interval of its label overlaps
//! it. An interval that overlaps no event of its label is a false alarm.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::train::clip_predictions::ClipPredictions;

/// The window lengths to try, in seconds; 0 is a single frame.
const WINDOWS: [f64; 8] = [0.0, 0.4, 0.8, 1.2, 2.0, 3.0, 5.0, 8.0];
/// The hystereses to try: how far below the threshold an interval continues.
const HYSTERESES: [f64; 3] = [0.0, 0.1, 0.2];
/// The thresholds to try, in steps of [`THRESHOLD_STEP`]: 0.30 to 0.98.
const THRESHOLDS: std::ops::RangeInclusive<usize> = 15..=49;
const THRESHOLD_STEP: f64 = 0.02;
/// Maximum number of false alarms an hour.
const MAX_ALARMS: f64 = 6.0;

/// The ground truth: the events of each clip.
#[derive(Debug, Default)]
pub struct Truth {
    /// Label, start and end in nanoseconds, by file name without folders.
    events: HashMap<String, Vec<(String, u64, u64)>>,
}

#[derive(Deserialize)]
struct Row {
    path: String,
    label: String,
    start: f64,
    end: f64,
}

impl Truth {
    /// Reads a table with the columns `path`, `label`, `start` and `end` (seconds). A clip in the table shows its label
    /// at these times only. Any other clip shows its class all the time.
    ///
    /// # Errors
    /// `Input` if it is not such a table.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |cause: csv::Error| {
            Error::input(format!("{}: not a table of events", path.display()))
                .because(cause)
                .remedy("write one row for each event, tab-separated: path, label, start, end (seconds)")
        };
        let mut events: HashMap<String, Vec<(String, u64, u64)>> = HashMap::new();
        let mut table = csv::ReaderBuilder::new().delimiter(b'\t').quoting(false).from_path(path).map_err(wrong)?;
        for row in table.deserialize() {
            let Row { path, label, start, end } = row.map_err(wrong)?;
            let nanoseconds = |seconds: f64| (seconds.max(0.0) * 1e9) as u64;
            events.entry(file_name(&path)).or_default().push((label, nanoseconds(start), nanoseconds(end)));
        }
        Ok(Self { events })
    }

    /// Returns whether there are events of `label`.
    pub fn has(&self, label: &str) -> bool {
        self.events.values().flatten().any(|(known, ..)| known == label)
    }

    /// Returns the events of `label` in a clip.
    pub fn of(&self, clip: &ClipPredictions, label: &str) -> Vec<(u64, u64)> {
        match self.events.get(&file_name(&clip.name)) {
            Some(events) => {
                events.iter().filter(|(known, ..)| known == label).map(|(_, from, to)| (*from, *to)).collect()
            }
            None if clip.class == label => vec![(0, u64::MAX)],
            None => Vec::new(),
        }
    }
}

fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_string()
}

/// The result of one setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Length of the centred window in seconds.
    pub window: f64,
    pub threshold: f64,
    pub hysteresis: f64,
    pub found: usize,
    pub events: usize,
    pub alarms: usize,
    /// Total time without an event, in hours.
    pub hours: f64,
}

impl Score {
    fn alarms_an_hour(&self) -> f64 {
        self.alarms as f64 / self.hours.max(f64::MIN_POSITIVE)
    }
}

/// Returns, for each window and hysteresis, the threshold that finds most events of a label with at most six false
/// alarms an hour; of equal ones the one with fewest alarms. `None` if every threshold has more.
pub fn best(
    clips: &[ClipPredictions],
    labels: &[String],
    label: usize,
    truth: &Truth,
) -> Vec<(f64, f64, Option<Score>)> {
    let mut scores = Vec::new();
    for window in WINDOWS {
        let smoothed: Vec<Vec<f64>> = clips.iter().map(|clip| centred(clip, label, window)).collect();
        for hysteresis in HYSTERESES {
            let score = |step: usize| {
                let threshold = step as f64 * THRESHOLD_STEP;
                score(clips, &smoothed, &labels[label], truth, Score::new(window, threshold, hysteresis))
            };
            let better = |a: &Score, b: &Score| a.found.cmp(&b.found).then(b.alarms.cmp(&a.alarms));
            let found = THRESHOLDS.map(score).filter(|score| score.alarms_an_hour() <= MAX_ALARMS).max_by(better);
            scores.push((window, hysteresis, found));
        }
    }
    scores
}

impl Score {
    fn new(window: f64, threshold: f64, hysteresis: f64) -> Self {
        Self { window, threshold, hysteresis, found: 0, events: 0, alarms: 0, hours: 0.0 }
    }
}

/// What one clip adds to a score.
pub struct Tally {
    pub found: usize,
    pub events: usize,
    pub alarms: usize,
    /// Time without an event.
    pub hours: f64,
}

/// Returns whether two stretches of time overlap.
pub fn overlap(a: &(u64, u64), b: &(u64, u64)) -> bool {
    a.0 < b.1 && b.0 < a.1
}

/// Compares the events of a label in a clip with the intervals that were found.
pub fn tally(clip: &ClipPredictions, events: &[(u64, u64)], intervals: &[(u64, u64)]) -> Tally {
    let end = clip.frames.last().map_or(0, |frame| frame.to);
    let busy: u64 = events.iter().map(|(from, to)| to.min(&end).saturating_sub(*from)).sum();
    Tally {
        found: events.iter().filter(|event| intervals.iter().any(|found| overlap(event, found))).count(),
        events: events.len(),
        alarms: intervals.iter().filter(|found| !events.iter().any(|event| overlap(event, found))).count(),
        hours: (clip.seconds() - busy as f64 / 1e9).max(0.0) / 3600.0,
    }
}

fn score(clips: &[ClipPredictions], smoothed: &[Vec<f64>], label: &str, truth: &Truth, mut score: Score) -> Score {
    for (clip, smoothed) in clips.iter().zip(smoothed) {
        let events = truth.of(clip, label);
        let intervals = intervals(clip, smoothed, score.threshold, score.hysteresis);
        let Tally { found, events, alarms, hours } = tally(clip, &events, &intervals);
        score.found += found;
        score.events += events;
        score.alarms += alarms;
        score.hours += hours;
    }
    score
}

/// Returns for each frame the mean over all frames that start within half a window of it.
fn centred(clip: &ClipPredictions, label: usize, window: f64) -> Vec<f64> {
    let half = (window * 5e8) as u64;
    let frames = &clip.frames;
    let value = |frame: usize| f64::from(frames[frame].probabilities[label]);
    let (mut first, mut last, mut sum) = (0, 0, 0.0);
    let mut means = Vec::with_capacity(frames.len());
    for middle in frames {
        while last < frames.len() && frames[last].from <= middle.from + half {
            sum += value(last);
            last += 1;
        }
        while frames[first].from + half < middle.from {
            sum -= value(first);
            first += 1;
        }
        means.push(sum / (last - first) as f64);
    }
    means
}

/// Returns the intervals that start at `threshold` and last until the value falls below `threshold − hysteresis`.
fn intervals(clip: &ClipPredictions, smoothed: &[f64], threshold: f64, hysteresis: f64) -> Vec<(u64, u64)> {
    let mut found: Vec<(u64, u64)> = Vec::new();
    let mut open = false;
    for (frame, &value) in clip.frames.iter().zip(smoothed) {
        let continues = open && value >= threshold - hysteresis;
        match found.last_mut() {
            Some(last) if continues => last.1 = frame.to,
            _ if value >= threshold => found.push((frame.from, frame.to)),
            _ => {}
        }
        open = continues || value >= threshold;
    }
    found
}

/// Formats the results of [`best`] as a table.
pub fn report(label: &str, scores: &[(f64, f64, Option<Score>)]) -> String {
    let mut text = format!(
        "events of {label}: most found with at most {MAX_ALARMS} false alarms an hour\n{:>9} {:>11} {:>10}   {:<12} {:>13}\n",
        "window s", "hysteresis", "threshold", "found", "alarms/hour"
    );
    for (window, hysteresis, score) in scores {
        let _ = match score {
            Some(score) => writeln!(
                text,
                "{window:>9} {hysteresis:>11} {:>10.2}   {:<12} {:>13.1}",
                score.threshold,
                format!("{} of {}", score.found, score.events),
                score.alarms_an_hour()
            ),
            None => writeln!(text, "{window:>9} {hysteresis:>11}   more false alarms at every threshold"),
        };
    }
    text.trim_end().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::clip_predictions::FramePrediction;

    /// A clip of frames of 0.1 s.
    fn clip(name: &str, class: &str, probabilities: &[f32]) -> ClipPredictions {
        let tenth = 100_000_000;
        let frames = probabilities.iter().zip(0..);
        let frames = frames.map(|(&p, i)| FramePrediction {
            from: i * tenth,
            to: (i + 1) * tenth,
            probabilities: vec![p, 1.0 - p],
        });
        ClipPredictions { name: name.into(), group: name.into(), class: class.into(), frames: frames.collect() }
    }

    fn truth(name: &str, events: &[(u64, u64)]) -> Truth {
        let tenth = 100_000_000;
        let events = events.iter().map(|(from, to)| ("sip".to_string(), from * tenth, to * tenth)).collect();
        Truth { events: HashMap::from([(name.to_string(), events)]) }
    }

    #[test]
    fn an_overlapping_interval_finds_an_event_and_any_other_is_a_false_alarm() {
        let clips = [
            clip("a/x.mp4", "sip", &[0.1, 0.9, 0.9, 0.1, 0.1, 0.8, 0.1, 0.1, 0.1, 0.1]),
            clip("y", "rest", &[0.2; 10]),
        ];
        let truth = truth("x.mp4", &[(1, 3), (8, 9)]);
        let smoothed: Vec<_> = clips.iter().map(|clip| centred(clip, 0, 0.0)).collect();
        let found = score(&clips, &smoothed, "sip", &truth, Score::new(0.0, 0.5, 0.0));
        assert_eq!((found.found, found.events, found.alarms), (1, 2, 1));
        // Two seconds minus 0.3 s of events.
        assert!((found.hours * 3600.0 - 1.7).abs() < 1e-9, "{}", found.hours);
        let stricter = score(&clips, &smoothed, "sip", &truth, Score::new(0.0, 0.85, 0.0));
        assert_eq!((stricter.found, stricter.alarms), (1, 0));
    }

    #[test]
    fn a_clip_outside_the_table_shows_its_class_all_the_time() {
        let clips = [clip("x", "sip", &[0.9; 5]), clip("y", "rest", &[0.9; 5])];
        let smoothed: Vec<_> = clips.iter().map(|clip| centred(clip, 0, 0.0)).collect();
        let found = score(&clips, &smoothed, "sip", &Truth::default(), Score::new(0.0, 0.5, 0.0));
        assert_eq!((found.found, found.events, found.alarms), (1, 1, 1));
    }

    #[test]
    fn the_window_is_centred_and_hysteresis_bridges_a_dip() {
        let clip = clip("x", "sip", &[0.0, 0.0, 0.9, 0.0, 0.0]);
        let means = centred(&clip, 0, 0.2);
        for (found, expected) in means.iter().zip([0.0, 0.3, 0.3, 0.3, 0.0]) {
            assert!((found - expected).abs() < 1e-6, "{means:?}");
        }
        let values = [0.6, 0.45, 0.6, 0.3, 0.6];
        let seconds = |hysteresis| intervals(&clip, &values, 0.5, hysteresis).len();
        assert_eq!((seconds(0.0), seconds(0.1), seconds(0.25)), (3, 2, 1));
    }

    #[test]
    fn the_best_threshold_has_few_false_alarms() {
        // An hour without events allows six false alarms, one second none.
        let clips = [clip("x", "sip", &[0.8; 5]), clip("y", "rest", &[0.6, 0.1, 0.6, 0.1, 0.6])];
        let labels = ["sip".to_string(), "rest".to_string()];
        let all = best(&clips, &labels, 0, &Truth::default());
        let (_, _, score) = &all[0];
        let score = score.as_ref().unwrap();
        assert!(score.found == 1 && score.alarms == 0 && score.threshold > 0.6, "{score:?}");
        assert!(report("sip", &all).contains("1 of 1"), "{}", report("sip", &all));
    }
}
