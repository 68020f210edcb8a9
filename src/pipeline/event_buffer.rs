//! Which pictures of a stream are kept where only its intervals shall be: those of an interval, and of a few seconds
//! before and after it.

use std::collections::VecDeque;

const SECOND: u64 = 1_000_000_000;
/// What is kept before and after an interval, in nanoseconds; before it one picture more.
pub const BEFORE: u64 = 5 * SECOND;
pub const AFTER: u64 = 5 * SECOND;
/// Most that is held back, in bytes, whatever the size of the pictures.
const MOST: usize = 64 << 20;

/// Holds pictures back until it is known whether they are kept.
pub struct EventBuffer<T> {
    held: VecDeque<Held<T>>,
    bytes: usize,
    /// End of what is kept.
    until: Option<u64>,
}

struct Held<T> {
    pts: u64,
    bytes: usize,
    item: T,
}

impl<T> Default for EventBuffer<T> {
    fn default() -> Self {
        Self { held: VecDeque::new(), bytes: 0, until: None }
    }
}

impl<T> EventBuffer<T> {
    /// Notes whether the frame at `pts` belongs to an interval.
    pub fn see(&mut self, pts: u64, active: bool) {
        if active {
            self.until = Some(pts + AFTER);
        }
    }

    /// Whether a picture at `pts` is kept by what is known.
    pub fn keeps(&self, pts: u64) -> bool {
        self.until.is_some_and(|until| pts <= until)
    }

    /// Takes a picture of `bytes`. What is too old to come before an interval goes.
    pub fn hold(&mut self, pts: u64, bytes: usize, item: T) {
        self.held.push_back(Held { pts, bytes, item });
        self.bytes += bytes;
        while self.held.front().is_some_and(|first| first.pts + BEFORE < pts || self.bytes > MOST)
            && !self.held.front().is_some_and(|first| self.keeps(first.pts))
        {
            self.bytes -= self.held.pop_front().map_or(0, |first| first.bytes);
        }
    }

    /// The next picture that is to be written.
    pub fn next(&mut self) -> Option<T> {
        let keeps = self.held.front().is_some_and(|first| self.keeps(first.pts));
        let first = if keeps { self.held.pop_front() } else { None }?;
        self.bytes -= first.bytes;
        Some(first.item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten pictures a second; those of `intervals` (in seconds) are active. Returns the kept ones' times in tenths.
    fn kept(seconds: u64, intervals: &[(u64, u64)]) -> Vec<u64> {
        let mut buffer = EventBuffer::default();
        let mut kept = Vec::new();
        for tenth in 0..10 * seconds {
            let pts = tenth * SECOND / 10;
            buffer.see(pts, intervals.iter().any(|&(start, end)| (10 * start..10 * end).contains(&tenth)));
            buffer.hold(pts, 1000, tenth);
            kept.extend(std::iter::from_fn(|| buffer.next()));
            assert!(buffer.held.len() <= 52, "{}", buffer.held.len());
        }
        kept
    }

    #[test]
    fn an_interval_is_kept_with_what_surrounds_it() {
        assert_eq!(kept(60, &[(20, 30)]), (149..=349).collect::<Vec<_>>());
    }

    #[test]
    fn neighbours_share_what_lies_between() {
        assert_eq!(kept(60, &[(20, 21), (28, 29)]), (149..=339).collect::<Vec<_>>());
    }

    #[test]
    fn without_an_interval_nothing_is_kept_and_little_held() {
        assert_eq!(kept(600, &[]), Vec::<u64>::new());
    }

    #[test]
    fn large_pictures_are_held_back_for_a_shorter_time() {
        let mut buffer = EventBuffer::default();
        for second in 0..4 {
            buffer.hold(second * SECOND, MOST / 2, second);
        }
        buffer.see(4 * SECOND, true);
        assert_eq!(std::iter::from_fn(|| buffer.next()).collect::<Vec<_>>(), [2, 3]);
    }
}
