//! Reads the timeline of a clip into rows. A clip has no date of its own: its time 0 is the start of its analysis.

use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::error::Result;
use crate::history::ids;
use crate::history::journal_reader::{hundred_thousandths, run};
use crate::history::names;
use crate::history::rows::{IntervalRow, Rows, SourceRow};
use crate::report::journal::{Header, IntervalRecord};
use crate::report::timeline_reader::{self, Entry};
use crate::system::utc;

/// Returns size and time of change of a timeline, by which the index tells whether it has it.
pub fn version(path: &Path) -> Option<(i64, i64)> {
    let file = std::fs::metadata(path).ok()?;
    let modified = file.modified().ok()?.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64);
    Some((file.len() as i64, modified))
}

/// Reads the timeline `name` in `folder`, if it is one.
///
/// # Errors
/// Those of SQLite. A file that is no timeline gives no rows.
pub fn store(folder: &Path, name: &str, rows: &mut Rows) -> rusqlite::Result<()> {
    let path = folder.join(name);
    rows.remove_source(ids::of(&[name]))?;
    let Some(((bytes, modified), header, duration)) = version(&path).zip(header(&path)).map(|(v, (h, d))| (v, h, d))
    else {
        return Ok(());
    };
    let Some(started) = utc::parse(&header.started) else { return Ok(()) };
    let zero = started.unix_timestamp_nanos() as f64 / 1e6;
    let time = |ms: f64| (zero + ms).round() as i64;
    let stream_name = stream_name(name, &header.input);
    let (source, stream) = (ids::of(&[name]), ids::of(&[&stream_name]));
    rows.stream(stream, &stream_name, "clip", "")?;
    let run = run(rows, stream, time(0.0), &header)?;
    let (mut last, mut failed) = (time(duration), Ok(()));
    let labels = &header.model.labels;
    let mut add = |entry: Entry| {
        let added = match entry {
            Entry::Interval(interval) => {
                last = last.max(time(interval.end));
                add_interval(rows, &interval, labels, (stream, source), &time)
            }
            Entry::Gap { start, end } => {
                last = last.max(time(end));
                rows.gap(stream, source, (time(start), time(end)), None)
            }
        };
        if failed.is_ok() {
            failed = added;
        }
    };
    let read = timeline_reader::results(&path, &mut add);
    failed?;
    let (first, last) = (time(0.0), last);
    rows.watched(stream, source, first, time(duration))?;
    rows.source(&SourceRow {
        id: source,
        file: name,
        run,
        stream,
        bytes,
        modified,
        first: Some(first),
        last: Some(last),
        ended: true,
        complete: read.is_ok_and(|complete| complete),
        clock_back: 0,
    })
}

fn add_interval(
    rows: &mut Rows,
    interval: &IntervalRecord,
    labels: &[String],
    (stream, source): (i64, i64),
    time: &dyn Fn(f64) -> i64,
) -> rusqlite::Result<()> {
    if !labels.contains(&interval.label) || interval.start < 0.0 {
        return Ok(());
    }
    let (start, end) = (time(interval.start), time(interval.end));
    rows.interval(&IntervalRow {
        stream,
        label: ids::of(&[&interval.label]),
        start,
        source,
        duration: end - start,
        mean: hundred_thousandths(interval.mean),
        peak: hundred_thousandths(interval.peak),
        open: false,
    })
}

/// Returns the settings of a timeline, and its duration in milliseconds.
fn header(path: &Path) -> Option<(Header, f64)> {
    let head: Result<_> = timeline_reader::head(path);
    let head = head.inspect_err(|error| tracing::debug!("{error}")).ok()?;
    let duration = head.get("duration").and_then(serde_json::Value::as_f64).unwrap_or(0.0);
    Some((serde_json::from_value(head.into()).ok()?, duration))
}

/// Returns the name that the run gave the clip: that of the timeline with the extension of the clip.
fn stream_name(timeline: &str, input: &str) -> String {
    let stem = timeline.strip_suffix(names::TIMELINE).unwrap_or(timeline);
    match Path::new(input).extension() {
        Some(extension) => format!("{stem}.{}", extension.to_string_lossy()),
        None => stem.into(),
    }
}
