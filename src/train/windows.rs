//! Compares the settings that turn predictions into labels, on clips whose events are known: windows centred and
//! trailing, hystereses and minimum lengths. The labels are made as the program makes them.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use crate::labels::REST;
use crate::labels::intervals::Interval;
use crate::labels::rule::LabelRule;
use crate::labels::window::{SmoothingWindow, WindowAlign};
use crate::train::clip_predictions::ClipPredictions;
use crate::train::events::{Truth, overlap, tally};

const WINDOWS: [f64; 10] = [0.3, 0.5, 0.8, 1.0, 1.2, 1.6, 2.0, 3.0, 4.0, 6.0];
const HYSTERESES: [f64; 5] = [0.0, 0.05, 0.1, 0.15, 0.2];
/// Seconds below which an interval does not count.
const MIN_LENGTHS: [f64; 4] = [0.0, 0.3, 0.5, 1.0];
/// An event that begins or ends this close to the clip's edge, in seconds, says nothing about edges.
const CUT: f64 = 0.05;

/// A setting and its result.
#[derive(Clone, Debug, Serialize)]
pub struct WindowScore {
    pub align: WindowAlign,
    pub window: SmoothingWindow,
    pub hysteresis: f64,
    /// In seconds.
    pub min_length: f64,
    /// For each label that has events.
    pub labels: Vec<EventScore>,
    /// Mean distance in seconds from the edges of the found events to those of the label, and to onset and offset.
    pub edge_error: Option<[f64; 2]>,
}

/// The result for a label.
#[derive(Clone, Debug, Serialize)]
pub struct EventScore {
    pub label: String,
    pub found: usize,
    pub events: usize,
    pub alarms: usize,
    /// Time without an event.
    pub hours: f64,
}

impl EventScore {
    fn alarms_an_hour(&self) -> f64 {
        self.alarms as f64 / self.hours.max(f64::MIN_POSITIVE)
    }
}

impl WindowScore {
    fn found(&self) -> usize {
        self.labels.iter().map(|score| score.found).sum()
    }

    fn alarms(&self) -> usize {
        self.labels.iter().map(|score| score.alarms).sum()
    }

    /// Returns whether no label has more false alarms than with `other`.
    fn no_more_alarms(&self, other: &Self) -> bool {
        self.labels.iter().zip(&other.labels).all(|(mine, theirs)| mine.alarms <= theirs.alarms)
    }
}

/// The original's setting, and all others.
pub struct Comparison {
    pub original: WindowScore,
    pub others: Vec<WindowScore>,
}

/// Scores every setting at a threshold of 0. The labels are those that events have, all but [`REST`].
pub fn compare(clips: &[ClipPredictions], labels: &[String], truth: &Truth) -> Comparison {
    let original = rule(SmoothingWindow::Predictions(128), WindowAlign::Trailing, 0.0);
    let original = scores(clips, labels, truth, &original).swap_remove(0);
    let mut others = Vec::new();
    for align in [WindowAlign::Centred, WindowAlign::Trailing] {
        for window in WINDOWS {
            for hysteresis in HYSTERESES {
                let window = SmoothingWindow::Time(Duration::from_secs_f64(window));
                others.extend(scores(clips, labels, truth, &rule(window, align, hysteresis)));
            }
        }
    }
    Comparison { original, others }
}

fn rule(window: SmoothingWindow, align: WindowAlign, hysteresis: f64) -> LabelRule {
    LabelRule { action: None, window, align, threshold: 0.0, hysteresis }
}

/// Scores one setting with each minimum length.
fn scores(clips: &[ClipPredictions], labels: &[String], truth: &Truth, rule: &LabelRule) -> Vec<WindowScore> {
    let known: Vec<usize> = (0..labels.len()).filter(|&label| labels[label] != REST).collect();
    let mut scores = MIN_LENGTHS.map(|min_length| WindowScore {
        align: rule.align,
        window: rule.window,
        hysteresis: rule.hysteresis,
        min_length,
        labels: known
            .iter()
            .map(|&label| EventScore { label: labels[label].clone(), found: 0, events: 0, alarms: 0, hours: 0.0 })
            .collect(),
        edge_error: None,
    });
    let mut edges = MIN_LENGTHS.map(|_| Edges::default());
    for clip in clips {
        let intervals = intervals(clip, labels.len(), rule);
        for (score, edges) in scores.iter_mut().zip(&mut edges) {
            for (score_of, &label) in score.labels.iter_mut().zip(&known) {
                let long = |found: &&Interval| (found.end - found.start) as f64 >= score.min_length * 1e9;
                let found: Vec<&Interval> =
                    intervals.iter().filter(|found| found.label == label).filter(long).collect();
                add(clip, &truth.of(clip, &labels[label]), &found, score_of, edges);
            }
        }
    }
    for (score, edges) in scores.iter_mut().zip(edges) {
        score.edge_error = edges.mean();
    }
    scores.into()
}

fn intervals(clip: &ClipPredictions, labels: usize, rule: &LabelRule) -> Vec<Interval> {
    let mut labeler = rule.labeler(labels, usize::MAX);
    let mut intervals = Vec::new();
    for frame in &clip.frames {
        labeler.push(Some(frame.probabilities.clone()), frame.from, frame.to);
    }
    while let Some(output) = labeler.next(true) {
        intervals.extend(output.closed);
    }
    intervals.extend(labeler.close(u64::MAX));
    intervals
}

/// Adds one clip's events of a label, and the intervals that were found.
fn add(clip: &ClipPredictions, events: &[(u64, u64)], found: &[&Interval], score: &mut EventScore, edges: &mut Edges) {
    let span = |found: &Interval| (found.start, found.end);
    let intervals: Vec<(u64, u64)> = found.iter().map(|found| span(found)).collect();
    let tally = tally(clip, events, &intervals);
    score.found += tally.found;
    score.events += tally.events;
    score.alarms += tally.alarms;
    score.hours += tally.hours;
    let end = clip.frames.last().map_or(0, |frame| frame.to);
    for event in events {
        let hits: Vec<&&Interval> = found.iter().filter(|found| overlap(event, &span(found))).collect();
        let nearest = |edge: u64, of: &dyn Fn(&Interval) -> u64| {
            hits.iter().map(|hit| of(hit).abs_diff(edge) as f64 / 1e9).min_by(f64::total_cmp)
        };
        if event.0 as f64 > CUT * 1e9 {
            edges.add(nearest(event.0, &|hit| hit.start), nearest(event.0, &|hit| hit.onset));
        }
        if (event.1 as f64) < end as f64 - CUT * 1e9 {
            edges.add(nearest(event.1, &|hit| hit.end), nearest(event.1, &|hit| hit.offset));
        }
    }
}

/// Sums of the distances between edges.
#[derive(Default)]
struct Edges {
    shown: f64,
    single: f64,
    count: usize,
}

impl Edges {
    fn add(&mut self, shown: Option<f64>, single: Option<f64>) {
        if let (Some(shown), Some(single)) = (shown, single) {
            self.shown += shown;
            self.single += single;
            self.count += 1;
        }
    }

    fn mean(&self) -> Option<[f64; 2]> {
        (self.count > 0).then(|| [self.shown, self.single].map(|sum| sum / self.count as f64))
    }
}

impl Comparison {
    /// Returns the setting that finds most events with no more false alarms of any label than the original's; of equal
    /// ones that with the fewest false alarms, then that with the smallest edge error.
    pub fn best(&self) -> Option<&WindowScore> {
        let error = |score: &WindowScore| score.edge_error.map_or(f64::INFINITY, |[shown, _]| shown);
        self.others.iter().filter(|score| score.no_more_alarms(&self.original)).min_by(|a, b| {
            let most = b.found().cmp(&a.found());
            most.then(a.alarms().cmp(&b.alarms())).then(error(a).total_cmp(&error(b)))
        })
    }

    /// Formats the original's setting, each window with a hysteresis of 0 and with the best one, and the best setting.
    pub fn report(&self) -> String {
        let mut text = format!("{:>9} {:>8} {:>11} {:>11}", "window", "align", "hysteresis", "min length");
        for score in &self.original.labels {
            let _ = write!(text, "  {:>14} {:>9}", format!("{} found", score.label), "alarms/h");
        }
        let _ = writeln!(text, "  {:>11} {:>13}", "edges off s", "onset off s");
        let best = self.best();
        let hysteresis = best.map_or(0.0, |best| best.hysteresis);
        let shown = |score: &&WindowScore| {
            score.min_length == 0.0 && (score.hysteresis == 0.0 || score.hysteresis == hysteresis)
        };
        for score in std::iter::once(&self.original).chain(self.others.iter().filter(shown)) {
            text.push_str(&score.row());
        }
        if let Some(best) = best {
            let _ = write!(text, "best with no more false alarms than the first row:\n{}", best.row());
        }
        text.trim_end().into()
    }
}

impl WindowScore {
    fn row(&self) -> String {
        let align = match self.align {
            WindowAlign::Centred => "centred",
            WindowAlign::Trailing => "trailing",
        };
        let window = self.window.to_string();
        let mut text = format!("{window:>9} {align:>8} {:>11} {:>11}", self.hysteresis, self.min_length);
        for score in &self.labels {
            let found = format!("{} of {}", score.found, score.events);
            let _ = write!(text, "  {found:>14} {:>9.1}", score.alarms_an_hour());
        }
        if let Some([shown, single]) = self.edge_error {
            let _ = write!(text, "  {shown:>11.2} {single:>13.2}");
        }
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::clip_predictions::FramePrediction;

    /// A clip of frames of 0.1 s.
    fn clip(name: &str, class: &str, probabilities: impl Iterator<Item = f32>) -> ClipPredictions {
        let tenth = 100_000_000;
        let frames = probabilities.zip(0..).map(|(p, i)| FramePrediction {
            from: i * tenth,
            to: (i + 1) * tenth,
            probabilities: vec![p, 1.0 - p],
        });
        ClipPredictions { name: name.into(), group: name.into(), class: class.into(), frames: frames.collect() }
    }

    #[test]
    fn a_short_event_needs_a_short_window() {
        // Ten seconds with a sip of one second; ten seconds in which single frames look like one.
        let sip = clip("a.mp4", "sip", (0..100).map(|i| if (40..50).contains(&i) { 0.9 } else { 0.1 }));
        let rest = clip("b.mp4", "other", (0..100).map(|i| if i % 25 == 20 { 0.9 } else { 0.1 }));
        let table = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(table.path(), "path\tlabel\tstart\tend\na.mp4\tsip\t4\t5\n").unwrap();
        let truth = Truth::read(table.path()).unwrap();
        let labels = ["sip".to_string(), REST.to_string()];
        let comparison = compare(&[sip, rest], &labels, &truth);
        let original = &comparison.original.labels[0];
        assert_eq!((comparison.original.labels.len(), original.events, original.found, original.alarms), (1, 1, 0, 0));
        assert!((original.hours * 3600.0 - 19.0).abs() < 1e-9, "{}", original.hours);
        let at = |align, window: f64, min_length: f64| {
            let window = SmoothingWindow::Time(Duration::from_secs_f64(window));
            let same = |score: &&WindowScore| {
                (score.align, score.window, score.hysteresis, score.min_length) == (align, window, 0.0, min_length)
            };
            comparison.others.iter().find(same).unwrap()
        };
        // A frame and its two neighbours are smoothed away, in a window of 0.3 s.
        let centred = at(WindowAlign::Centred, 0.3, 0.0);
        assert_eq!((centred.labels[0].found, centred.labels[0].alarms), (1, 0));
        assert_eq!(centred.edge_error.map(|errors| errors.map(|e| e < 1e-9)), Some([true, true]));
        let trailing = at(WindowAlign::Trailing, 0.8, 0.0);
        let [shown, single] = trailing.edge_error.unwrap();
        assert!((shown - 0.35).abs() < 1e-9 && single < 1e-9, "{shown} {single}");
        assert_eq!(at(WindowAlign::Centred, 0.3, 1.0).labels[0].found, 1);
        assert_eq!(at(WindowAlign::Centred, 6.0, 0.0).labels[0].found, 0);
        let best = comparison.best().unwrap();
        assert_eq!((best.labels[0].found, best.labels[0].alarms), (1, 0));
        assert!(comparison.report().contains("best with no more false alarms"), "{}", comparison.report());
    }
}
