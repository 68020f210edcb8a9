//! The last minutes of a stream: confidences, intervals, gaps. Each change has a revision number, so that a reader can
//! request only what is new.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::labels::decision::Decision;
use crate::labels::intervals::Interval;
use crate::report::{milliseconds, rounded};

/// How long confidences are kept, in nanoseconds, and the minimum time between two rows.
const RETENTION: u64 = 600_000_000_000;
const SPACING: u64 = 100_000_000;
/// Maximum number of confidences kept: with many labels, they cover less time.
const MAX_CONFIDENCES: usize = 600_000;
const MAX_INTERVALS: usize = 500;
const MAX_GAPS: usize = 500;

/// The confidences at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Time in milliseconds of the stream, like all times here.
    pub ms: f64,
    /// Index of the label that is shown.
    pub shown: Option<usize>,
    /// The confidence of every label.
    pub smoothed: Arc<[f32]>,
}

/// An interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Its number in the stream.
    pub id: u64,
    /// Index of the label.
    pub label: usize,
    pub start: f64,
    pub end: f64,
    pub mean: f64,
    pub peak: f64,
    /// Whether it has not ended yet.
    pub open: bool,
}

/// A gap; `end` is `None` while it lasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    pub start: f64,
    pub end: Option<f64>,
    pub reason: Option<Cow<'static, str>>,
}

/// The changes since a revision.
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
    /// The tenth of a second of the last row.
    tenth: Option<u64>,
    intervals: VecDeque<(u64, Span)>,
    open: Option<(u64, Span)>,
    /// Number of the next new interval.
    next_id: u64,
    gaps: VecDeque<(u64, Gap)>,
}

impl History {
    /// Adds a labelled frame and its open interval.
    pub fn frame(&mut self, pts: u64, decision: Decision, smoothed: &[f64], open: Option<Interval>) {
        self.revision += 1;
        self.open = open.map(|interval| (self.revision, self.span(&interval, true)));
        let tenth = pts / SPACING;
        if self.tenth == Some(tenth) {
            return;
        }
        self.tenth = Some(tenth);
        let smoothed: Arc<[f32]> = smoothed.iter().map(|&confidence| rounded(confidence) as f32).collect();
        self.add_row(Row { ms: milliseconds(pts), shown: decision.shown.then_some(decision.label), smoothed });
    }

    /// Adds a closed interval.
    pub fn interval(&mut self, closed: &Interval) {
        self.revision += 1;
        let closed = self.span(closed, false);
        self.open = None;
        push(&mut self.intervals, MAX_INTERVALS, (self.revision, closed));
    }

    /// Returns the number of the open interval.
    pub fn open_interval(&self) -> Option<u64> {
        self.open.as_ref().map(|(_, span)| span.id)
    }

    /// Returns the interval with the number of the open one, if it is the same one, or with a new number.
    fn span(&mut self, interval: &Interval, open: bool) -> Span {
        let mut span = Span {
            id: self.next_id,
            label: interval.label,
            start: milliseconds(interval.start),
            end: milliseconds(interval.end),
            mean: rounded(interval.mean),
            peak: rounded(interval.peak),
            open,
        };
        // The start may be set more precisely later, so equal starts are not asked for.
        let same =
            |(_, last): &&(u64, Span)| last.label == span.label && last.start <= span.end && span.start <= last.end;
        match self.open.as_ref().filter(same) {
            Some((_, last)) => span.id = last.id,
            None => self.next_id += 1,
        }
        span
    }

    /// Opens a gap at `start`, when the camera was lost.
    pub fn lost(&mut self, start: u64, reason: &'static str) {
        self.revision += 1;
        push(&mut self.gaps, MAX_GAPS, (self.revision, Gap::open(milliseconds(start), reason)));
    }

    /// Adds a gap that has ended, or closes the open one.
    pub fn gap(&mut self, start: u64, end: u64, reason: Option<&'static str>) {
        self.revision += 1;
        if self.gaps.back().is_some_and(|(_, gap)| gap.end.is_none()) {
            self.gaps.pop_back();
        }
        let reason = reason.map(Cow::Borrowed);
        let gap = Gap { start: milliseconds(start), end: Some(milliseconds(end)), reason };
        push(&mut self.gaps, MAX_GAPS, (self.revision, gap));
    }

    /// Adds what changed in the history of another process.
    pub fn mirror(&mut self, update: Update) {
        self.revision += 1;
        let at = self.revision;
        for row in update.rows {
            self.add_row(row);
        }
        for span in update.intervals {
            if self.open.as_ref().is_some_and(|(_, open)| open.id == span.id) || span.open {
                self.open = None;
            }
            match span.open {
                true => self.open = Some((at, span)),
                false => push(&mut self.intervals, MAX_INTERVALS, (at, span)),
            }
        }
        for gap in update.gaps {
            if self.gaps.back().is_some_and(|(_, last)| last.end.is_none()) {
                self.gaps.pop_back();
            }
            push(&mut self.gaps, MAX_GAPS, (at, gap));
        }
    }

    /// Adds confidences at the current revision, and forgets old ones.
    fn add_row(&mut self, row: Row) {
        let (now, max_rows) = (row.ms, MAX_CONFIDENCES / row.smoothed.len().max(1));
        self.rows.push_back((self.revision, row));
        let expired = |row: &Row| row.ms + milliseconds(RETENTION) <= now;
        while self.rows.front().is_some_and(|(_, row)| expired(row) || self.rows.len() > max_rows) {
            self.rows.pop_front();
        }
    }

    /// Forgets the confidences.
    pub fn clear_rows(&mut self) {
        self.rows = VecDeque::new();
        self.intervals.shrink_to_fit();
    }

    /// Returns the confidences of the last row.
    pub fn smoothed(&self) -> Option<Arc<[f32]>> {
        self.rows.back().map(|(_, row)| Arc::clone(&row.smoothed))
    }

    /// Returns the changes after `revision`; 0 for everything.
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

fn push<T>(items: &mut VecDeque<T>, max: usize, item: T) {
    if items.len() == max {
        items.pop_front();
    }
    items.push_back(item);
}

/// Returns the items after `revision`. Items are sorted by revision.
fn newer<T: Clone>(items: &VecDeque<(u64, T)>, revision: u64) -> Vec<T> {
    let first = items.partition_point(|(at, _)| *at <= revision);
    items.range(first..).map(|(_, item)| item.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn shown(label: usize) -> Decision {
        Decision { label, confidence: 0.9, shown: true }
    }

    fn interval(label: usize, start: u64, end: u64) -> Interval {
        Interval { label, start, end, mean: 0.9, peak: 0.9, onset: start, offset: end }
    }

    #[test]
    fn keeps_ten_rows_a_second_for_ten_minutes() {
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
    fn intervals_outlast_the_confidences() {
        let mut history = History::default();
        history.frame(100 * MS, shown(0), &[0.9], Some(interval(0, 100 * MS, 140 * MS)));
        history.interval(&interval(0, 100 * MS, 140 * MS));
        history.clear_rows();
        let Update { rows, intervals, .. } = history.since(0);
        assert_eq!((rows.len(), intervals.len(), history.smoothed()), (0, 1, None));
    }

    #[test]
    fn with_many_labels_fewer_rows_are_kept() {
        let mut history = History::default();
        for frame in 0..2000 {
            history.frame(100 * MS * frame, shown(0), &[0.001; 1000], None);
        }
        assert_eq!(history.since(0).rows.len(), 600);
    }

    #[test]
    fn an_interval_keeps_its_number_until_it_is_closed() {
        let mut history = History::default();
        history.frame(100 * MS, shown(0), &[0.9], Some(interval(0, 100 * MS, 140 * MS)));
        history.frame(140 * MS, shown(0), &[0.9], Some(interval(0, 100 * MS, 180 * MS)));
        assert_eq!(history.open_interval(), Some(0));
        // Its start is set more precisely.
        history.interval(&interval(0, 110 * MS, 180 * MS));
        assert_eq!(history.open_interval(), None);
        history.frame(180 * MS, shown(1), &[0.9], Some(interval(1, 180 * MS, 220 * MS)));
        history.interval(&interval(1, 180 * MS, 220 * MS));
        history.interval(&interval(0, 220 * MS, 260 * MS));
        let numbers: Vec<u64> = history.since(0).intervals.iter().map(|span| span.id).collect();
        assert_eq!(numbers, [0, 1, 2]);
    }

    #[test]
    fn a_reader_gets_only_changes() {
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
        assert_eq!(all.gaps, [Gap { start: 150.0, end: Some(250.0), reason: Some("stalled".into()) }]);
    }

    #[test]
    fn intervals_and_gaps_are_bounded() {
        let mut history = History::default();
        for second in 0..1000 {
            history.interval(&interval(0, second, second + 1));
            history.gap(second, second + 1, None);
        }
        let all = history.since(0);
        assert_eq!((all.intervals.len(), all.gaps.len()), (MAX_INTERVALS, MAX_GAPS));
    }
}
