//! Intervals, newest first, and their totals.

use std::fmt;
use std::str::FromStr;

use rusqlite::{Connection, params};

use crate::error::Result;
use crate::history::counts::QUARTER;
use crate::history::ids;
use crate::history::query::days::{LabelTotal, quarters};
use crate::history::query::pictures::{Picture, PictureFiles, PicturedInterval, pictures};
use crate::history::query::streams::{Reader, Stream};

/// A range longer than this is summed up from the counts if its filters allow it, in milliseconds.
const COUNTED: i64 = 2 * 86_400_000;

/// Which intervals are wanted: those that overlap `from` to `to`, in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Names; none for all.
    pub streams: Vec<String>,
    pub labels: Vec<String>,
    pub from: i64,
    pub to: i64,
    pub min_duration: i64,
    /// In hundred thousandths.
    pub min_confidence: i64,
}

/// A place in the list: the interval after which a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    start: i64,
    stream: i64,
    label: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}.{:x}.{:x}", self.start, self.stream, self.label)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.');
        let start = parts.next().and_then(|part| part.parse().ok()).ok_or(())?;
        let mut id = || parts.next().and_then(|part| i64::from_str_radix(part, 16).ok()).ok_or(());
        Ok(Self { start, stream: id()?, label: id()? })
    }
}

/// An interval as it is shown. Times in milliseconds since 1970, confidences from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// Number of its stream in [`Reader::streams`], and of its label in the stream.
    pub stream: usize,
    pub label: usize,
    pub start: i64,
    pub end: i64,
    pub mean: f64,
    pub peak: f64,
    /// Whether it went on when the index was written.
    pub open: bool,
    pub recorded: bool,
    /// Id of the journal or timeline that it is from.
    source: i64,
    /// What is kept of one that is not recorded.
    pub pictures: Vec<Picture>,
}

impl Interval {
    /// Returns what its pictures are found by.
    pub fn pictured(&self, stream: &Stream) -> PicturedInterval {
        PicturedInterval { stream: stream.id, start: self.start, source: self.source }
    }
}

/// A page of the list.
#[derive(Debug, Default, PartialEq)]
pub struct Page {
    pub intervals: Vec<Interval>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// Totals of intervals.
#[derive(Debug, Default, PartialEq)]
pub struct Summary {
    pub total: LabelTotal,
    pub labels: Vec<(String, LabelTotal)>,
}

/// Returns the intervals of a stream's label that a filter names.
struct Series {
    stream: usize,
    label: usize,
    stream_id: i64,
    label_id: i64,
}

fn series(reader: &Reader, filter: &Filter) -> Vec<Series> {
    let mut series = Vec::new();
    for (number, stream) in reader.streams.iter().enumerate() {
        if !filter.streams.is_empty() && !filter.streams.contains(&stream.name) {
            continue;
        }
        for (label, name) in stream.labels.iter().enumerate() {
            if filter.labels.is_empty() || filter.labels.contains(name) {
                series.push(Series { stream: number, label, stream_id: stream.id, label_id: ids::of(&[name]) });
            }
        }
    }
    series
}

/// Returns up to `limit` intervals, newest first, from those after `before` on.
///
/// # Errors
/// Returns a failure if the index cannot be read.
pub fn page(reader: &Reader, filter: &Filter, limit: usize, before: Option<Cursor>) -> Result<Page> {
    let mut found: Vec<(Cursor, Interval)> = Vec::new();
    for series in series(reader, filter) {
        let stream = &reader.streams[series.stream];
        let rows = reader.ask(stream, |db| read(db, &series, filter, limit + 1, before))?;
        found.extend(rows);
        // Only the newest of all can be on the page.
        if found.len() > 16 * (limit + 1) {
            newest(&mut found, limit + 1);
        }
    }
    newest(&mut found, limit + 1);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().map(|(cursor, _)| *cursor).filter(|_| more);
    let mut intervals: Vec<Interval> = found.into_iter().map(|(_, interval)| interval).collect();
    let mut files = PictureFiles::default();
    for interval in &mut intervals {
        let stream = &reader.streams[interval.stream];
        interval.recorded = stream.recorded && reader.ask(stream, |db| is_recorded(db, stream, interval))?;
        if !interval.recorded {
            interval.pictures = pictures(reader, stream, interval.pictured(stream), &mut files)?;
        }
    }
    Ok(Page { intervals, next })
}

fn newest(found: &mut Vec<(Cursor, Interval)>, most: usize) {
    found.sort_by_key(|(cursor, _)| std::cmp::Reverse(*cursor));
    found.truncate(most);
}

fn read(
    db: &Connection,
    series: &Series,
    filter: &Filter,
    limit: usize,
    before: Option<Cursor>,
) -> rusqlite::Result<Vec<(Cursor, Interval)>> {
    let own = |start| Cursor { start, stream: series.stream_id, label: series.label_id };
    // The latest start that may still be listed.
    let latest =
        before.map_or(
            i64::MAX,
            |before| {
                if own(before.start) < before { before.start } else { before.start.saturating_sub(1) }
            },
        );
    let latest = latest.min(filter.to.saturating_sub(1));
    let sql = "SELECT start, duration, mean, peak, open, source FROM intervals
        WHERE stream = ?1 AND label = ?2 AND start <= ?3 AND start >= ?4
        AND start + duration >= ?5 AND duration >= ?6 AND mean >= ?7 ORDER BY start DESC LIMIT ?8";
    let earliest = earliest(db, series, filter.from)?;
    let key = params![
        series.stream_id,
        series.label_id,
        latest,
        earliest,
        filter.from,
        filter.min_duration,
        filter.min_confidence,
        limit as i64
    ];
    let mut rows = db.prepare_cached(sql)?;
    let rows = rows.query_map(key, |row| {
        let (start, duration): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (mean, peak): (i64, i64) = (row.get(2)?, row.get(3)?);
        let interval = Interval {
            stream: series.stream,
            label: series.label,
            start,
            end: start + duration,
            mean: mean as f64 / 1e5,
            peak: peak as f64 / 1e5,
            open: row.get(4)?,
            recorded: false,
            source: row.get(5)?,
            pictures: Vec::new(),
        };
        Ok((own(start), interval))
    })?;
    rows.collect()
}

/// Returns the start of the interval that may reach into the range, or the start of the range.
fn earliest(db: &Connection, series: &Series, from: i64) -> rusqlite::Result<i64> {
    let sql = "SELECT max(start) FROM intervals WHERE stream = ?1 AND label = ?2 AND start < ?3";
    let key = params![series.stream_id, series.label_id, from];
    let start: Option<i64> = db.prepare_cached(sql)?.query_row(key, |row| row.get(0))?;
    Ok(start.unwrap_or(from))
}

/// Returns whether a recording shows the beginning of an interval.
fn is_recorded(db: &Connection, stream: &Stream, interval: &Interval) -> rusqlite::Result<bool> {
    let sql = "SELECT end > ?2 FROM segments WHERE stream = ?1 AND start <= ?2 ORDER BY start DESC LIMIT 1";
    let mut rows = db.prepare_cached(sql)?;
    let mut rows = rows.query(params![stream.id, interval.start])?;
    rows.next()?.map_or(Ok(false), |row| row.get(0))
}

/// Returns the totals of the intervals that a filter names. Only what lies in the range counts as duration.
///
/// # Errors
/// Returns a failure if the index cannot be read.
pub fn summary(reader: &Reader, filter: &Filter) -> Result<Summary> {
    let mut summary = Summary::default();
    let aligned = filter.from.rem_euclid(QUARTER) == 0 && filter.to.rem_euclid(QUARTER) == 0;
    let unfiltered = filter.min_duration <= 0 && filter.min_confidence <= 0;
    let from_counts = aligned && unfiltered && filter.to.saturating_sub(filter.from) > COUNTED;
    let mut counted: Option<(usize, Vec<LabelTotal>)> = None;
    for series in series(reader, filter) {
        let stream = &reader.streams[series.stream];
        let total = reader.ask(stream, |db| {
            if !from_counts {
                return sum(db, &series, filter);
            }
            if counted.as_ref().is_none_or(|(number, _)| *number != series.stream) {
                let mut totals = vec![LabelTotal::default(); stream.labels.len()];
                quarters(db, stream, (filter.from, filter.to), &mut |label, _, total| {
                    totals[label].count += total.count;
                    totals[label].duration += total.duration;
                })?;
                counted = Some((series.stream, totals));
            }
            let mut total = counted.as_ref().map_or_else(LabelTotal::default, |(_, totals)| totals[series.label]);
            // One that began before the range and reaches into it.
            total.count += i64::from(reaches_into(db, &series, filter.from)?);
            Ok(total)
        })?;
        if total == LabelTotal::default() {
            continue;
        }
        let name = &stream.labels[series.label];
        let place = summary.labels.iter().position(|(label, _)| label == name).unwrap_or_else(|| {
            summary.labels.push((name.clone(), LabelTotal::default()));
            summary.labels.len() - 1
        });
        for sum in [&mut summary.total, &mut summary.labels[place].1] {
            sum.count += total.count;
            sum.duration += total.duration;
        }
    }
    Ok(summary)
}

fn reaches_into(db: &Connection, series: &Series, from: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT start + duration > ?3 FROM intervals WHERE stream = ?1 AND label = ?2 AND start < ?3
        ORDER BY start DESC LIMIT 1";
    let mut rows = db.prepare_cached(sql)?;
    let mut rows = rows.query(params![series.stream_id, series.label_id, from])?;
    rows.next()?.map_or(Ok(false), |row| row.get(0))
}

fn sum(db: &Connection, series: &Series, filter: &Filter) -> rusqlite::Result<LabelTotal> {
    let sql = "SELECT count(*), coalesce(sum(min(start + duration, ?5) - max(start, ?4)), 0) FROM intervals
        WHERE stream = ?1 AND label = ?2 AND start < ?5 AND start >= ?3
        AND start + duration >= ?4 AND duration >= ?6 AND mean >= ?7";
    let earliest = earliest(db, series, filter.from)?;
    let key = params![
        series.stream_id,
        series.label_id,
        earliest,
        filter.from,
        filter.to,
        filter.min_duration,
        filter.min_confidence
    ];
    db.prepare_cached(sql)?.query_row(key, |row| Ok(LabelTotal { count: row.get(0)?, duration: row.get(1)? }))
}
