//! The state of all streams as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::report::{milliseconds, rounded};
use crate::system::utc;
use crate::telemetry::status::{Latency, StreamPhase};
use crate::telemetry::{Gap, Row, Span, StreamState};

#[derive(Serialize)]
pub(super) struct Streams<'a> {
    server: Server,
    mode: &'static str,
    #[serde(flatten)]
    offers: Offers,
    streams: Vec<Stream<'a>>,
}

/// What there is beside the live streams.
#[derive(Clone, Copy, Serialize)]
pub struct Offers {
    /// Whether the holder of the admin token may change something.
    pub admin: bool,
    /// Whether there is an index to ask about what was before.
    pub history: bool,
    /// Whether frames are kept for learning.
    pub teach: bool,
    /// Whether the page is that of a cluster.
    pub workers: bool,
}

#[derive(Serialize)]
pub(super) struct Server {
    program: &'static str,
    version: &'static str,
    started: String,
    now: String,
}

#[derive(Serialize)]
struct Stream<'a> {
    name: &'a str,
    input: &'a str,
    live: bool,
    state: StreamPhase,
    since: Option<String>,
    reason: Option<String>,
    label: Option<String>,
    confidence: f64,
    labels: &'a [String],
    threshold: f64,
    action: Option<String>,
    position_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<f64>,
    start_time: String,
    frames_per_second: f64,
    latency_ms: Latency,
    label_delay_ms: Option<f64>,
    shortest_ms: Option<f64>,
    stride: u64,
    frames: Frames,
    reconnects: u64,
    stalls: u64,
    gaps: u64,
    size: Option<(usize, usize)>,
}

#[derive(Serialize)]
struct Frames {
    decoded: u64,
    analysed: u64,
    held: u64,
    dropped: BTreeMap<&'static str, u64>,
    in_flight: u64,
}

/// Returns the current state of all streams of a run that `started` then.
pub(super) fn all(streams: &[Arc<StreamState>], started: OffsetDateTime, offers: Offers) -> Streams<'_> {
    Streams {
        server: server(started),
        mode: if offers.history && streams.is_empty() { "history" } else { "live" },
        offers,
        streams: streams.iter().map(|stream| describe(stream, started)).collect(),
    }
}

pub(super) fn server(started: OffsetDateTime) -> Server {
    Server {
        program: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        started: utc::milliseconds(started),
        now: utc::milliseconds(utc::now()),
    }
}

fn describe(stream: &StreamState, started: OffsetDateTime) -> Stream<'_> {
    let (status, settings) = (stream.status(), stream.settings());
    let counts = stream.progress.counters.counts();
    let mut dropped = counts.dropped;
    dropped.entry("overrun").or_default();
    Stream {
        name: &stream.info.name,
        input: &stream.info.input,
        live: stream.info.live,
        state: status.state,
        since: status.since.map(utc::milliseconds),
        reason: status.reason,
        label: status.label,
        confidence: rounded(status.confidence),
        labels: &stream.info.labels,
        threshold: settings.threshold,
        action: settings.action,
        position_ms: milliseconds(stream.progress.position.get()),
        duration_ms: Some(milliseconds(stream.progress.duration.get())).filter(|&duration| duration > 0.0),
        start_time: utc::milliseconds(stream.start_time().unwrap_or(started)),
        frames_per_second: (10.0 * status.rate).round() / 10.0,
        latency_ms: status.latency,
        label_delay_ms: status.label_delay.map(milliseconds),
        shortest_ms: status.shortest.map(milliseconds),
        stride: status.stride,
        frames: Frames {
            decoded: counts.decoded,
            analysed: counts.analysed,
            held: counts.held,
            dropped,
            in_flight: counts.in_flight,
        },
        reconnects: status.reconnects,
        stalls: status.stalls,
        gaps: status.gaps,
        size: status.size,
    }
}

/// Formats rows as `[ms, index of the shown label or -1, confidence of each label]`.
pub(super) fn rows(rows: &[Row]) -> Vec<Value> {
    let row = |row: &Row| {
        let shown = row.shown.map_or(-1, |label| label as i64);
        let numbers = [json!(row.ms), json!(shown)];
        Value::Array(numbers.into_iter().chain(row.smoothed.iter().map(|&confidence| number(confidence))).collect())
    };
    rows.iter().map(row).collect()
}

/// Rounds a confidence: an `f32` as a double would show meaningless digits.
fn number(confidence: f32) -> Value {
    json!(rounded(f64::from(confidence)))
}

/// Formats intervals. `kept` returns the time of an interval's kept picture, in milliseconds.
pub(super) fn intervals(intervals: &[Span], labels: &[String], kept: impl Fn(u64) -> Option<f64>) -> Vec<Value> {
    let interval = |span: &Span| {
        let Span { id, label, start, end, mean, peak, open } = span;
        json!({
            "id": id, "label": labels[*label], "start": start, "end": end, "mean": mean, "peak": peak, "open": open,
            "picture_ms": kept(*id),
        })
    };
    intervals.iter().map(interval).collect()
}

/// Formats intervals of a live stream.
pub(super) fn live_intervals(intervals: &[Span], stream: &StreamState) -> Vec<Value> {
    let kept = |id| stream.kept.get(id).map(|picture| picture.ms);
    self::intervals(intervals, &stream.info.labels, kept)
}

pub(super) fn gaps(gaps: &[Gap]) -> Vec<Value> {
    let gap = |gap: &Gap| json!({ "start": gap.start, "end": gap.end, "reason": gap.reason });
    gaps.iter().map(gap).collect()
}
