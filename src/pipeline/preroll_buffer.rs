//! The pre-roll buffer of `--only-active`: selects the frames of an interval and of a few seconds before and after it.

use std::collections::VecDeque;

const SECOND: u64 = 1_000_000_000;
/// Time kept before and after an interval, in nanoseconds; before it, one frame more.
pub const BEFORE: u64 = 5 * SECOND;
pub const AFTER: u64 = 5 * SECOND;
/// Maximum size of the buffer, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// Buffers encoded frames until it is known whether they are kept.
pub struct PrerollBuffer<T> {
    buffered: VecDeque<Buffered<T>>,
    bytes: usize,
    /// Frames up to this pts are kept.
    until: Option<u64>,
}

struct Buffered<T> {
    pts: u64,
    bytes: usize,
    item: T,
}

impl<T> Default for PrerollBuffer<T> {
    fn default() -> Self {
        Self { buffered: VecDeque::new(), bytes: 0, until: None }
    }
}

impl<T> PrerollBuffer<T> {
    /// Records whether the frame at `pts` belongs to an interval.
    pub fn mark(&mut self, pts: u64, active: bool) {
        if active {
            self.until = Some(pts + AFTER);
        }
    }

    /// Returns whether a frame at `pts` is kept, as far as is known.
    pub fn keeps(&self, pts: u64) -> bool {
        self.until.is_some_and(|until| pts <= until)
    }

    /// Adds a frame of `bytes`. Drops frames that are too old to precede an interval, or beyond the maximum size.
    pub fn push(&mut self, pts: u64, bytes: usize, item: T) {
        self.buffered.push_back(Buffered { pts, bytes, item });
        self.bytes += bytes;
        while self.buffered.front().is_some_and(|first| first.pts + BEFORE < pts || self.bytes > MAX_BYTES)
            && !self.buffered.front().is_some_and(|first| self.keeps(first.pts))
        {
            self.bytes -= self.buffered.pop_front().map_or(0, |first| first.bytes);
        }
    }

    /// Returns the next frame to write.
    pub fn next(&mut self) -> Option<T> {
        let keeps = self.buffered.front().is_some_and(|first| self.keeps(first.pts));
        let first = if keeps { self.buffered.pop_front() } else { None }?;
        self.bytes -= first.bytes;
        Some(first.item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes ten frames a second; those of `intervals` (in seconds) are active. Returns the pts of the kept ones in
    /// tenths.
    fn kept(seconds: u64, intervals: &[(u64, u64)]) -> Vec<u64> {
        let mut buffer = PrerollBuffer::default();
        let mut kept = Vec::new();
        for tenth in 0..10 * seconds {
            let pts = tenth * SECOND / 10;
            buffer.mark(pts, intervals.iter().any(|&(start, end)| (10 * start..10 * end).contains(&tenth)));
            buffer.push(pts, 1000, tenth);
            kept.extend(std::iter::from_fn(|| buffer.next()));
            assert!(buffer.buffered.len() <= 52, "{}", buffer.buffered.len());
        }
        kept
    }

    #[test]
    fn an_interval_is_kept_with_the_seconds_around_it() {
        assert_eq!(kept(60, &[(20, 30)]), (149..=349).collect::<Vec<_>>());
    }

    #[test]
    fn frames_between_close_intervals_are_kept_once() {
        assert_eq!(kept(60, &[(20, 21), (28, 29)]), (149..=339).collect::<Vec<_>>());
    }

    #[test]
    fn without_an_interval_nothing_is_kept_and_the_buffer_stays_small() {
        assert_eq!(kept(600, &[]), Vec::<u64>::new());
    }

    #[test]
    fn large_frames_are_buffered_for_a_shorter_time() {
        let mut buffer = PrerollBuffer::default();
        for second in 0..4 {
            buffer.push(second * SECOND, MAX_BYTES / 2, second);
        }
        buffer.mark(4 * SECOND, true);
        assert_eq!(std::iter::from_fn(|| buffer.next()).collect::<Vec<_>>(), [2, 3]);
    }
}
