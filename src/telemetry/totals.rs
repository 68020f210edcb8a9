//! The counts of a stream's name over all its lives: a stream that was restarted, or removed and added again, counts on.

use std::collections::BTreeMap;

use crate::telemetry::StreamState;

/// What metrics count. Everything only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames by outcome, as metrics name it.
    pub frames: BTreeMap<&'static str, u64>,
    /// Reconnects by the reason of the loss.
    pub reconnects: BTreeMap<&'static str, u64>,
    pub stalls: u64,
    pub gaps: u64,
    /// Bytes of video.
    pub written: u64,
}

impl Totals {
    pub fn of(stream: &StreamState) -> Self {
        let counts = stream.progress.counters.counts();
        let dropped = |reason: &str| counts.dropped.get(reason).copied().unwrap_or(0);
        let frames = [
            ("analysed", counts.analysed),
            ("held", counts.held),
            ("dropped_overrun", dropped("overrun")),
            ("dropped_failure", dropped("failure")),
        ];
        let status = stream.progress.status();
        Self {
            frames: frames.into(),
            reconnects: status.reconnects_by,
            stalls: status.stalls,
            gaps: status.gaps,
            written: stream.progress.written.get(),
        }
    }

    /// Adds the counts of another life.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (mine, others) in [(&mut self.frames, &other.frames), (&mut self.reconnects, &other.reconnects)] {
            for (key, count) in others {
                *mine.entry(key).or_default() += count;
            }
        }
        self.stalls += other.stalls;
        self.gaps += other.gaps;
        self.written += other.written;
        self
    }
}
