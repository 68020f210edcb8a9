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
