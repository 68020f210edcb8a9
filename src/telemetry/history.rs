//! The last minutes of a stream: confidences, intervals, gaps. What changes is numbered, so that a reader can ask for what
//! is new to it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::labels::decision::Decision;
use crate::labels::intervals::Interval;
use crate::report::{milliseconds, rounded};

/// What is remembered of confidences, in nanoseconds, and how far apart they are at least.
const MEMORY: u64 = 600_000_000_000;
const SPACING: u64 = 100_000_000;
/// Numbers that are remembered at most: of networks with many labels less time is.
const MOST_NUMBERS: usize = 600_000;
const MOST_INTERVALS: usize = 500;
const MOST_GAPS: usize = 500;

/// A moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// In milliseconds of the stream, as all times here.
    pub ms: f64,
    /// The label that is shown, by its place.
    pub shown: Option<usize>,
    /// The smoothed confidence of every label.
    pub smoothed: Arc<[f32]>,
}

/// A stretch with one label.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub class: usize,
    pub start: f64,
    pub end: f64,
    pub mean: f64,
    pub peak: f64,
    /// Whether it still goes on.
    pub open: bool,
}

/// A stretch without pictures; without an end while it lasts.
#[derive(Clone, Debug, PartialEq)]
pub struct Gap {
    pub start: f64,
    pub end: Option<f64>,
    pub reason: Option<&'static str>,
}

/// What has come since a revision.
#[derive(Clone, Debug, Default)]
pub struct Update {
    pub revision: u64,
    pub rows: Vec<Row>,
    pub intervals: Vec<Span>,
    pub gaps: Vec<Gap>,
}

impl Update {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.intervals.is_empty() && self.gaps.is_empty()
    }
}

#[derive(Default)]
pub(super) struct History {
    revision: u64,
    rows: VecDeque<(u64, Row)>,
    /// Which tenth of a second the last row stands for.
    tenth: Option<u64>,
    intervals: VecDeque<(u64, Span)>,
    open: Option<(u64, Span)>,
    gaps: VecDeque<(u64, Gap)>,
}

impl History {
    /// Takes a labelled frame, and the interval that is open with it.
    pub fn frame(&mut self, pts: u64, decision: Decision, smoothed: &[f64], open: Option<Interval>) {
        self.revision += 1;
        self.open = open.map(|interval| (self.revision, span(&interval, true)));
        let tenth = pts / SPACING;
        if self.tenth == Some(tenth) {
            return;
        }
        self.tenth = Some(tenth);
        let smoothed: Arc<[f32]> = smoothed.iter().map(|&confidence| rounded(confidence) as f32).collect();
        let most = MOST_NUMBERS / smoothed.len().max(1);
        let row = Row { ms: milliseconds(pts), shown: decision.shown.then_some(decision.class), smoothed };
        self.rows.push_back((self.revision, row));
        let now = milliseconds(pts);
        let outlived = |row: &Row| row.ms + milliseconds(MEMORY) <= now;
        while self.rows.front().is_some_and(|(_, row)| outlived(row) || self.rows.len() > most) {
            self.rows.pop_front();
        }
    }

    /// Takes an interval that was closed.
    pub fn interval(&mut self, closed: &Interval) {
        self.revision += 1;
        self.open = None;
        push(&mut self.intervals, MOST_INTERVALS, (self.revision, span(closed, false)));
    }

    /// The stream was lost at `start`.
    pub fn lost(&mut self, start: u64, reason: &'static str) {
        self.revision += 1;
        let gap = Gap { start: milliseconds(start), end: None, reason: Some(reason) };
        push(&mut self.gaps, MOST_GAPS, (self.revision, gap));
    }

    /// A stretch without pictures is over.
    pub fn gap(&mut self, start: u64, end: u64, reason: Option<&'static str>) {
        self.revision += 1;
        if self.gaps.back().is_some_and(|(_, gap)| gap.end.is_none()) {
            self.gaps.pop_back();
        }
        let gap = Gap { start: milliseconds(start), end: Some(milliseconds(end)), reason };
        push(&mut self.gaps, MOST_GAPS, (self.revision, gap));
    }

    /// The confidences of the last row.
    pub fn smoothed(&self) -> Option<Arc<[f32]>> {
        self.rows.back().map(|(_, row)| Arc::clone(&row.smoothed))
    }

    /// What has changed after `revision`; 0 asks for all.
    pub fn since(&self, revision: u64) -> Update {
        let mut intervals = newer(&self.intervals, revision);
        intervals.extend(self.open.iter().filter(|(at, _)| *at > revision).map(|(_, span)| span.clone()));
        Update {
            revision: self.revision,
            rows: newer(&self.rows, revision),
            intervals,
            gaps: newer(&self.gaps, revision),
        }
    }
}

fn span(interval: &Interval, open: bool) -> Span {
    Span {
        class: interval.class,
        start: milliseconds(interval.start),
        end: milliseconds(interval.end),
        mean: rounded(interval.mean),
        peak: rounded(interval.peak),
        open,
    }
}

fn push<T>(items: &mut VecDeque<T>, most: usize, item: T) {
    if items.len() == most {
        items.pop_front();
    }
    items.push_back(item);
}

/// Revisions only rise, so the new ones stand together at the end.
fn newer<T: Clone>(items: &VecDeque<(u64, T)>, revision: u64) -> Vec<T> {
    let first = items.partition_point(|(at, _)| *at <= revision);
    items.range(first..).map(|(_, item)| item.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn shown(class: usize) -> Decision {
        Decision { class, confidence: 0.9, shown: true }
    }

    fn interval(class: usize, start: u64, end: u64) -> Interval {
        Interval { class, start, end, mean: 0.9, peak: 0.9 }
    }

    #[test]
    fn ten_rows_a_second_for_ten_minutes_are_kept() {
        let mut history = History::default();
        for frame in 0..25 * 1200 {
            history.frame(40 * MS * frame, shown(0), &[0.9, 0.1], None);
        }
        let rows = history.since(0).rows;
        assert_eq!(rows.len(), 6000);
        assert_eq!(rows[0].ms, 600_000.0);
        assert!(rows.windows(2).all(|pair| pair[1].ms - pair[0].ms > 50.0));
    }

    #[test]
    fn many_labels_do_not_fill_the_memory() {
        let mut history = History::default();
        for frame in 0..2000 {
            history.frame(100 * MS * frame, shown(0), &[0.001; 1000], None);
        }
        assert_eq!(history.since(0).rows.len(), 600);
    }

    #[test]
    fn a_reader_gets_what_is_new_to_it() {
        let mut history = History::default();
        history.frame(0, shown(0), &[0.9], Some(interval(0, 0, 100 * MS)));
        let first = history.since(0);
        assert_eq!((first.rows.len(), first.intervals.len(), first.intervals[0].open), (1, 1, true));
        assert!(history.since(first.revision).is_empty());
        history.frame(50 * MS, shown(0), &[0.9], Some(interval(0, 0, 150 * MS)));
        let second = history.since(first.revision);
        assert_eq!((second.rows.len(), second.intervals[0].end), (0, 150.0));
        history.interval(&interval(0, 0, 150 * MS));
        history.lost(150 * MS, "stalled");
        let third = history.since(second.revision);
        assert_eq!((third.intervals.len(), third.intervals[0].open, third.gaps[0].end), (1, false, None));
        history.gap(150 * MS, 250 * MS, Some("stalled"));
        let all = history.since(0);
        assert_eq!(all.gaps, [Gap { start: 150.0, end: Some(250.0), reason: Some("stalled") }]);
    }

    #[test]
    fn intervals_and_gaps_have_a_bound() {
        let mut history = History::default();
        for second in 0..1000 {
            history.interval(&interval(0, second, second + 1));
            history.gap(second, second + 1, None);
        }
        let all = history.since(0);
        assert_eq!((all.intervals.len(), all.gaps.len()), (MOST_INTERVALS, MOST_GAPS));
    }
}
