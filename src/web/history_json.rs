//! The history as JSON and CSV.

use jiff::civil::Date;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::history::query::{
    DayTotals, Interval, LabelTotal, Page, Picture, PicturedInterval, Reader, Ribbon, Stream, Summary,
};
use crate::report::interval_table::harmless;
use crate::system::utc;
use crate::web::history::interval_id;

/// An interval that was known from frames only this long ago goes on, in milliseconds: frames are written every ten seconds.
const FRESH: i64 = 60_000;

/// Formats a time.
pub(super) fn moment(ms: i64) -> String {
    utc::milliseconds(utc::of_epoch_ms(ms))
}

pub(super) fn streams(reader: &Reader, now: OffsetDateTime, behind: bool) -> Value {
    let stream = |stream: &Stream| {
        json!({
            "name": stream.name,
            "kind": stream.kind,
            "labels": stream.labels,
            "action": stream.action,
            "first": stream.range.map(|(first, _)| moment(first)),
            "last": stream.range.map(|(_, last)| moment(last)),
            "recorded": stream.recorded,
            "clock_back_ms": Some(stream.clock_back).filter(|&back| back > 0),
        })
    };
    let streams: Vec<Value> = reader.streams.iter().map(stream).collect();
    json!({ "streams": streams, "now": utc::milliseconds(now), "rebuilding": behind })
}

pub(super) fn days(days: &[(Date, &Stream, DayTotals)]) -> Value {
    let day = |(day, stream, totals): &(Date, &Stream, DayTotals)| {
        let labels = totals.labels.iter().map(|(label, total)| (stream.labels[*label].as_str(), *total));
        json!({
            "day": day.to_string(),
            "stream": stream.name,
            "watched_ms": totals.watched,
            "recorded_ms": totals.recorded,
            "labels": totals_of(labels),
        })
    };
    json!({ "days": days.iter().map(day).collect::<Vec<Value>>() })
}

fn totals_of<'a>(totals: impl Iterator<Item = (&'a str, LabelTotal)>) -> Value {
    let entry = |(label, total): (&str, LabelTotal)| {
        (label.to_string(), json!({ "count": total.count, "duration_ms": total.duration }))
    };
    Value::Object(totals.map(entry).collect::<Map<String, Value>>())
}

pub(super) fn ribbon(stream: &Stream, (from, to): (i64, i64), ribbon: &Ribbon) -> Value {
    let pairs = |stretches: &[(i64, i64)]| -> Vec<Value> {
        stretches.iter().map(|(start, end)| json!([start - from, end - from])).collect()
    };
    let spans = ribbon.spans.iter().map(|(start, end, label)| json!([start - from, end - from, label]));
    let gaps = ribbon.gaps.iter().map(|(start, end, reason)| json!([start - from, end - from, reason]));
    json!({
        "stream": stream.name,
        "from": moment(from),
        "to": moment(to),
        "labels": stream.labels,
        "spans": spans.collect::<Vec<Value>>(),
        "watched": pairs(&ribbon.watched),
        "recorded": pairs(&ribbon.recorded),
        "gaps": gaps.collect::<Vec<Value>>(),
    })
}

pub(super) fn page(reader: &Reader, page: &Page, now: OffsetDateTime) -> Value {
    let now = utc::epoch_ms(now);
    let interval = |interval: &Interval| {
        let stream = &reader.streams[interval.stream];
        json!({
            "id": interval_id(stream, interval.start),
            "stream": stream.name,
            "label": stream.labels[interval.label],
            "start": moment(interval.start),
            "end": moment(interval.end),
            "duration_ms": interval.end - interval.start,
            "mean": interval.mean,
            "peak": interval.peak,
            "open": interval.open && now - interval.end < FRESH,
            "recorded": interval.recorded,
            "pictures": interval.pictures.iter().map(|picture| kept(interval.pictured(stream), picture)).collect::<Vec<_>>(),
        })
    };
    let intervals: Vec<Value> = page.intervals.iter().map(interval).collect();
    json!({ "intervals": intervals, "next": page.next.map(|next| next.to_string()) })
}

fn kept(interval: PicturedInterval, picture: &Picture) -> Value {
    let kind = picture.kind.name();
    json!({ "at": moment(picture.at), "kind": kind, "url": format!("/api/history/pictures/{interval}/{kind}.jpg") })
}

pub(super) fn summary(summary: &Summary) -> Value {
    json!({
        "count": summary.total.count,
        "duration_ms": summary.total.duration,
        "labels": totals_of(summary.labels.iter().map(|(label, total)| (label.as_str(), *total))),
    })
}

/// Formats a page as rows of CSV, with the names of the columns before the first.
pub(super) fn table(reader: &Reader, page: &Page, with_names: bool) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    if with_names {
        let _ = writer.write_record(["stream", "label", "start", "end", "duration_s", "mean", "peak"]);
    }
    for interval in &page.intervals {
        let stream = &reader.streams[interval.stream];
        let seconds = format!("{:.3}", (interval.end - interval.start) as f64 / 1000.0);
        // Writing to memory does not fail.
        let _ = writer.write_record([
            harmless(&stream.name).as_ref(),
            harmless(&stream.labels[interval.label]).as_ref(),
            &moment(interval.start),
            &moment(interval.end),
            &seconds,
            &interval.mean.to_string(),
            &interval.peak.to_string(),
        ]);
    }
    writer.into_inner().unwrap_or_default()
}
