//! What a page in another process needs of a stream: its state, and what changed since it last asked.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::media::frame_counters::Counts;
use crate::system::utc;
use crate::telemetry::history::{Gap, Row, Span, Update};
use crate::telemetry::status::{Latency, StreamPhase};
use crate::telemetry::{LabelSettings, StreamState};

/// Most confidences of a snapshot; the oldest are left out.
const MAX_CONFIDENCES: usize = 60_000;

/// A stream at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub input: String,
    pub labels: Vec<String>,
    threshold: f64,
    action: Option<String>,
    /// The stream's time 0, in milliseconds since 1970.
    start_ms: Option<i64>,
    state: StreamPhase,
    since_ms: Option<i64>,
    reason: Option<String>,
    label: Option<String>,
    confidence: f64,
    size: Option<(usize, usize)>,
    stride: u64,
    reconnects: u64,
    stalls: u64,
    gaps: u64,
    rate: f64,
    latency: Latency,
    shortest: Option<u64>,
    label_delay: Option<u64>,
    frames: Frames,
    /// What follows came after an earlier revision, up to this one.
    pub revision: u64,
    rows: Vec<(f64, Option<usize>, Vec<f32>)>,
    intervals: Vec<Span>,
    losses: Vec<Gap>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Frames {
    decoded: u64,
    analysed: u64,
    held: u64,
    dropped: BTreeMap<String, u64>,
    in_flight: u64,
}

impl Snapshot {
    /// Returns a stream's state, and its changes after a revision; 0 for all that it remembers.
    pub fn of(stream: &StreamState, revision: u64) -> Self {
        let (status, settings) = (stream.status(), stream.settings());
        let Update { revision, rows, intervals, gaps } = stream.since(revision);
        let Counts { decoded, analysed, held, dropped, in_flight } = stream.progress.counters.counts();
        let dropped = dropped.into_iter().map(|(reason, count)| (reason.to_string(), count)).collect();
        let most = MAX_CONFIDENCES / stream.info.labels.len().max(1);
        let rows = rows.iter().skip(rows.len().saturating_sub(most));
        Self {
            input: stream.info.input.clone(),
            labels: stream.info.labels.clone(),
            threshold: settings.threshold,
            action: settings.action,
            start_ms: stream.start_time().map(utc::epoch_ms),
            state: status.state,
            since_ms: status.since.map(utc::epoch_ms),
            reason: status.reason,
            label: status.label,
            confidence: status.confidence,
            size: status.size,
            stride: status.stride,
            reconnects: status.reconnects,
            stalls: status.stalls,
            gaps: status.gaps,
            rate: status.rate,
            latency: status.latency,
            shortest: status.shortest,
            label_delay: status.label_delay,
            frames: Frames { decoded, analysed, held, dropped, in_flight },
            revision,
            rows: rows.map(|row| (row.ms, row.shown, row.smoothed.to_vec())).collect(),
            intervals,
            losses: gaps,
        }
    }

    /// Makes a stream of this process show what this one has. `stream` has the same labels.
    pub fn apply(self, stream: &StreamState, now: OffsetDateTime) {
        let labels = stream.info.labels.len();
        if let Some(start) = self.start_ms.map(utc::of_epoch_ms) {
            let past = Duration::try_from(now - start).unwrap_or_default();
            stream.begin(Instant::now().checked_sub(past).unwrap_or_else(Instant::now));
        }
        stream.set_settings(LabelSettings { threshold: self.threshold, action: self.action });
        let Frames { decoded, analysed, held, dropped, in_flight } = self.frames;
        stream.progress.counters.mirror(decoded, analysed, held, &dropped, in_flight);
        {
            let mut status = stream.progress.status_mut();
            (status.state, status.since) = (self.state, self.since_ms.map(utc::of_epoch_ms));
            (status.reason, status.label, status.confidence) = (self.reason, self.label, self.confidence);
            (status.size, status.stride, status.rate) = (self.size, self.stride, self.rate);
            (status.reconnects, status.stalls, status.gaps) = (self.reconnects, self.stalls, self.gaps);
            (status.latency, status.shortest, status.label_delay) = (self.latency, self.shortest, self.label_delay);
        }
        // Another program's message may have anything.
        let known = |label: &usize| *label < labels;
        let rows = self
            .rows
            .into_iter()
            .filter(|(_, shown, smoothed)| shown.as_ref().is_none_or(known) && smoothed.len() == labels);
        let rows = rows.map(|(ms, shown, smoothed)| Row { ms, shown, smoothed: smoothed.into() }).collect();
        let intervals = self.intervals.into_iter().filter(|span| known(&span.label)).collect();
        stream.mirror(Update { revision: self.revision, rows, intervals, gaps: self.losses });
    }
}

impl Gap {
    /// Returns a gap that has not ended.
    pub(super) fn open(start: f64, reason: &'static str) -> Self {
        Self { start, end: None, reason: Some(Cow::Borrowed(reason)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::decision::Decision;
    use crate::labels::intervals::Interval;
    use crate::system::clock::SystemClock;
    use crate::telemetry::StreamInfo;

    const MS: u64 = 1_000_000;

    fn stream() -> StreamState {
        let info = StreamInfo {
            name: "door".into(),
            input: "test://".into(),
            live: true,
            labels: vec!["a".into(), "b".into()],
        };
        StreamState::new(info, LabelSettings::default(), true, &SystemClock::shared())
    }

    fn interval(start: u64, end: u64) -> Interval {
        Interval {
            label: 1,
            start: start * MS,
            end: end * MS,
            mean: 0.9,
            peak: 0.9,
            onset: start * MS,
            offset: end * MS,
        }
    }

    /// Sends what is new to a page.
    fn send(from: &StreamState, to: &StreamState, revision: u64) -> u64 {
        let bytes = serde_json::to_vec(&Snapshot::of(from, revision)).unwrap();
        let snapshot: Snapshot = serde_json::from_slice(&bytes).unwrap();
        let revision = snapshot.revision;
        snapshot.apply(to, utc::now());
        revision
    }

    #[test]
    fn a_page_in_another_process_sees_the_same() {
        let (worker, page) = (stream(), stream());
        worker.begin(Instant::now());
        let shown = Decision { label: 1, confidence: 0.9, shown: true };
        worker.frame(0, shown, &[0.1, 0.9], Some(interval(0, 100)));
        worker.progress.counters.arrived(Instant::now());
        worker.progress.counters.labelled(true);
        worker.progress.status_mut().enter(StreamPhase::Running, utc::now());
        let first = send(&worker, &page, 0);
        assert_eq!(page.since(0).intervals[0], worker.since(0).intervals[0]);
        assert_eq!((page.status().state, page.progress.counters.counts().analysed), (StreamPhase::Running, 1));
        worker.frame(100 * MS, shown, &[0.2, 0.8], Some(interval(0, 200)));
        worker.interval(&interval(0, 200));
        worker.lost(200 * MS, "stalled");
        let second = send(&worker, &page, first);
        worker.gap(200 * MS, 300 * MS, Some("stalled"));
        send(&worker, &page, second);
        let (own, other) = (page.since(0), worker.since(0));
        assert_eq!((own.rows, own.intervals, own.gaps), (other.rows, other.intervals, other.gaps));
        assert_eq!(page.open_interval(), None);
        let apart = (page.start_time().unwrap() - worker.start_time().unwrap()).whole_milliseconds().abs();
        assert!(apart <= 50, "{apart}");
    }

    #[test]
    fn a_message_with_unknown_labels_shows_nothing_of_them() {
        let (worker, page) = (stream(), stream());
        worker.frame(0, Decision { label: 1, confidence: 0.9, shown: true }, &[0.1, 0.9], Some(interval(0, 100)));
        let text = serde_json::to_string(&Snapshot::of(&worker, 0)).unwrap();
        let text = text.replace("\"label\":1", "\"label\":7").replace("[0.0,1,[0.1,0.9]]", "[0.0,9,[0.1]]");
        serde_json::from_str::<Snapshot>(&text).unwrap().apply(&page, utc::now());
        assert!(page.since(0).rows.is_empty() && page.since(0).intervals.is_empty());
    }
}
