//! The labels of the last seconds: what the ribbon shows. Times are pts, so a changing frame rate does not matter.

use std::collections::VecDeque;

/// Time that the ribbon spans, in nanoseconds.
pub const SPAN: u64 = 10_000_000_000;
/// Time without a frame, after the end of the last one, that the ribbon shows as a gap.
const GAP: u64 = 500_000_000;
/// Maximum number of runs. If labels change faster than 50 times a second, the oldest part of the ribbon is empty.
const MAX_RUNS: usize = 512;

/// Runs of equal labels, oldest first. `T` is what a run shows.
pub struct Ribbon<T> {
    /// Pts at which a run starts, and what it shows; `None` where nothing was shown.
    runs: VecDeque<(u64, Option<T>)>,
    /// Pts and end of the last frame.
    last: (u64, u64),
}

impl<T: Copy + PartialEq> Default for Ribbon<T> {
    fn default() -> Self {
        Self { runs: VecDeque::new(), last: (0, 0) }
    }
}

impl<T: Copy + PartialEq> Ribbon<T> {
    /// Adds a frame that is shown from `pts` to `end`, in nanoseconds. A pts before the last one starts a new ribbon.
    pub fn push(&mut self, pts: u64, end: u64, shown: Option<T>) {
        let (last_pts, last_end) = self.last;
        if pts < last_pts {
            self.runs.clear();
        } else if !self.runs.is_empty() && pts > last_end.saturating_add(GAP) {
            self.append(last_end, None);
        }
        self.append(pts, shown);
        self.last = (pts, end.max(pts));
        let start = self.last.1.saturating_sub(SPAN);
        while self.runs.len() > MAX_RUNS || self.runs.get(1).is_some_and(|&(next, _)| next <= start) {
            self.runs.pop_front();
        }
    }

    fn append(&mut self, pts: u64, shown: Option<T>) {
        if self.runs.back().is_none_or(|&(_, last)| last != shown) {
            self.runs.push_back((pts, shown));
        }
    }

    /// Calls `fill` with the columns of each run, from the left, on a ribbon of `width` columns that ends with the last
    /// frame.
    pub fn columns(&self, width: usize, mut fill: impl FnMut(std::ops::Range<usize>, Option<T>)) {
        let end = self.last.1;
        let column = |pts: u64| {
            let age = u128::from(end.saturating_sub(pts).min(SPAN));
            width - ((age * width as u128 + u128::from(SPAN) / 2) / u128::from(SPAN)) as usize
        };
        let mut from = self.runs.front().map_or(width, |&(pts, _)| column(pts));
        fill(0..from, None);
        for (index, &(_, shown)) in self.runs.iter().enumerate() {
            let to = self.runs.get(index + 1).map_or(width, |&(next, _)| column(next));
            fill(from..to, shown);
            from = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Shows `label` from one second to another, in frames of `step` nanoseconds.
    fn show(ribbon: &mut Ribbon<u8>, seconds: std::ops::Range<u64>, step: u64, label: Option<u8>) {
        for pts in (seconds.start * SECOND..seconds.end * SECOND).step_by(step as usize) {
            ribbon.push(pts, pts + step, label);
        }
    }

    /// Returns the runs of a ribbon of ten columns a second that are not empty.
    fn columns(ribbon: &Ribbon<u8>) -> Vec<(usize, usize, Option<u8>)> {
        let mut columns = Vec::new();
        ribbon.columns(100, |run, label| columns.push((run.start, run.end, label)));
        assert!(columns.windows(2).all(|pair| pair[0].1 == pair[1].0), "{columns:?}");
        assert!(columns[0].0 == 0 && columns[columns.len() - 1].1 == 100, "{columns:?}");
        columns.into_iter().filter(|&(start, end, _)| start < end).collect()
    }

    #[test]
    fn time_counts_and_not_frames() {
        for step in [SECOND / 50, SECOND / 25, SECOND] {
            let mut ribbon = Ribbon::default();
            show(&mut ribbon, 0..4, step, Some(1));
            show(&mut ribbon, 4..6, step, None);
            show(&mut ribbon, 6..7, step, Some(2));
            assert_eq!(columns(&ribbon), [(0, 30, None), (30, 70, Some(1)), (70, 90, None), (90, 100, Some(2))]);
        }
    }

    #[test]
    fn what_is_older_than_ten_seconds_leaves() {
        let mut ribbon = Ribbon::default();
        show(&mut ribbon, 0..20, SECOND / 25, Some(1));
        show(&mut ribbon, 20..24, SECOND / 25, Some(2));
        assert_eq!(columns(&ribbon), [(0, 60, Some(1)), (60, 100, Some(2))]);
        assert_eq!(ribbon.runs.len(), 2);
    }

    #[test]
    fn a_gap_is_empty_and_a_late_frame_is_not_a_gap() {
        let mut ribbon = Ribbon::default();
        show(&mut ribbon, 0..4, SECOND / 25, Some(1));
        show(&mut ribbon, 6..8, SECOND / 25, Some(1));
        assert_eq!(columns(&ribbon), [(0, 20, None), (20, 60, Some(1)), (60, 80, None), (80, 100, Some(1))]);
        ribbon.push(8 * SECOND + GAP, 9 * SECOND, Some(1));
        assert_eq!(columns(&ribbon), [(0, 10, None), (10, 50, Some(1)), (50, 70, None), (70, 100, Some(1))]);
        // After a gap longer than the ribbon, nothing before it is left.
        show(&mut ribbon, 100..101, SECOND / 25, Some(2));
        assert_eq!(columns(&ribbon), [(0, 90, None), (90, 100, Some(2))]);
    }

    #[test]
    fn a_pts_before_the_last_one_starts_again() {
        let mut ribbon = Ribbon::default();
        show(&mut ribbon, 50..60, SECOND / 25, Some(1));
        show(&mut ribbon, 3..4, SECOND / 25, Some(2));
        assert_eq!(columns(&ribbon), [(0, 90, None), (90, 100, Some(2))]);
    }

    #[test]
    fn labels_that_change_with_every_frame_do_not_fill_the_memory() {
        let mut ribbon = Ribbon::default();
        for frame in 0..10_000 {
            let pts = frame * SECOND / 1000;
            ribbon.push(pts, pts + SECOND / 1000, Some((frame % 2) as u8));
        }
        assert_eq!(ribbon.runs.len(), MAX_RUNS);
        columns(&ribbon);
    }
}
