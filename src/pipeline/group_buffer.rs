//! The pre-roll buffer of `--only-active` for a camera's own packets: selects the groups of pictures that an interval,
//! or a few seconds before and after it, touches. Frames of a group cannot be decoded without its key frame, so groups
//! are kept or dropped whole.

use std::collections::VecDeque;

use crate::pipeline::preroll_buffer::{AFTER, BEFORE};

/// Maximum size of the buffer, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// Buffers packets until it is known whether their group is kept.
pub struct GroupBuffer<T> {
    groups: VecDeque<Group<T>>,
    bytes: usize,
    /// Groups that begin up to this pts are kept.
    until: Option<u64>,
    dropped: u64,
}

struct Group<T> {
    start: u64,
    packets: VecDeque<(usize, T)>,
    /// Whether it became too large, so that the rest of it is of no use.
    broken: bool,
}

impl<T> Default for GroupBuffer<T> {
    fn default() -> Self {
        Self { groups: VecDeque::new(), bytes: 0, until: None, dropped: 0 }
    }
}

impl<T> GroupBuffer<T> {
    /// Records whether the frame at `pts` belongs to an interval.
    pub fn mark(&mut self, pts: u64, active: bool) {
        if active {
            self.until = Some(pts + AFTER);
        }
    }

    /// Adds a packet of `bytes`; a key frame begins a group. Drops groups that are too old to precede an interval, or
    /// beyond the maximum size.
    pub fn push(&mut self, pts: u64, bytes: usize, is_key: bool, item: T) {
        if is_key {
            self.groups.push_back(Group { start: pts, packets: VecDeque::new(), broken: false });
        }
        // Before the first key frame there is no group.
        let Some(group) = self.groups.back_mut() else { return };
        if group.broken {
            self.dropped += 1;
            return;
        }
        group.packets.push_back((bytes, item));
        self.bytes += bytes;
        while self.groups.get(1).is_some_and(|next| next.start + BEFORE <= pts || self.bytes > MAX_BYTES)
            && !self.keeps_first()
        {
            self.bytes -= self.groups.pop_front().map_or(0, |group| group.bytes());
        }
        if self.bytes > MAX_BYTES
            && let Some(group) = self.groups.back_mut()
        {
            self.dropped += group.packets.len() as u64;
            self.bytes -= group.bytes();
            group.packets.clear();
            group.broken = true;
        }
    }

    /// Returns the next packet to write.
    pub fn next(&mut self) -> Option<T> {
        while self.keeps_first() {
            let last = self.groups.len() == 1;
            let first = self.groups.front_mut()?;
            if let Some((bytes, item)) = first.packets.pop_front() {
                self.bytes -= bytes;
                return Some(item);
            }
            if last {
                return None;
            }
            self.groups.pop_front();
        }
        None
    }

    /// Returns whether the first group in the buffer is kept, as far as is known: it, or the rest of it, belongs to the
    /// packets that were returned last.
    pub fn keeps_first(&self) -> bool {
        let first = self.groups.front();
        first.zip(self.until).is_some_and(|(group, until)| group.start <= until)
    }

    /// Returns when the first group begins.
    pub fn start(&self) -> Option<u64> {
        self.groups.front().map(|group| group.start)
    }

    /// Returns how many packets were dropped because a group was too large.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl<T> Group<T> {
    fn bytes(&self) -> usize {
        self.packets.iter().map(|(bytes, _)| bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Pushes ten packets a second, with a key frame every `group` tenths; those of `intervals` (in seconds) are active.
    /// Returns the pts of the kept ones in tenths, and the largest number of packets that were buffered.
    fn kept(seconds: u64, group: u64, intervals: &[(u64, u64)]) -> (Vec<u64>, usize) {
        let mut buffer = GroupBuffer::default();
        let (mut kept, mut most) = (Vec::new(), 0);
        for tenth in 0..10 * seconds {
            let pts = tenth * SECOND / 10;
            buffer.mark(pts, intervals.iter().any(|&(start, end)| (10 * start..10 * end).contains(&tenth)));
            buffer.push(pts, 1000, tenth % group == 0, tenth);
            kept.extend(std::iter::from_fn(|| buffer.next()));
            most = most.max(buffer.groups.iter().map(|group| group.packets.len()).sum());
        }
        (kept, most)
    }

    #[test]
    fn whole_groups_around_an_interval_are_kept() {
        // The interval ends with the packet at 29.9 s; groups that begin up to 34.9 s are kept.
        assert_eq!(kept(60, 20, &[(20, 30)]).0, (140..360).collect::<Vec<_>>());
        assert_eq!(kept(60, 70, &[(20, 30)]).0, (140..350).collect::<Vec<_>>());
        assert_eq!(kept(60, 1, &[(20, 30)]).0, (149..=349).collect::<Vec<_>>());
    }

    #[test]
    fn groups_between_close_intervals_are_kept_once() {
        assert_eq!(kept(60, 20, &[(20, 21), (28, 29)]).0, (140..340).collect::<Vec<_>>());
    }

    #[test]
    fn without_an_interval_nothing_is_kept_and_the_buffer_stays_small() {
        let (kept, most) = kept(600, 20, &[]);
        assert!(kept.is_empty() && most <= 80, "{most}");
    }

    #[test]
    fn large_groups_are_buffered_for_a_shorter_time() {
        let mut buffer = GroupBuffer::default();
        for second in 0..4 {
            buffer.push(second * SECOND, MAX_BYTES / 2, true, second);
        }
        buffer.mark(4 * SECOND, true);
        assert_eq!(std::iter::from_fn(|| buffer.next()).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_group_that_does_not_fit_is_dropped_up_to_the_next_key_frame() {
        let mut buffer = GroupBuffer::default();
        for (number, key) in [(0, true), (1, false), (2, false), (3, false), (4, true), (5, false)] {
            buffer.push(number * SECOND, MAX_BYTES / 2, key, number);
            buffer.mark(5 * SECOND, number == 5);
        }
        assert_eq!(std::iter::from_fn(|| buffer.next()).collect::<Vec<_>>(), [4, 5]);
        assert_eq!((buffer.dropped(), buffer.bytes), (4, 0));
    }
}
