//! Intervals, newest first, and their totals.

use rusqlite::{Connection, params};

use crate::error::Result;
use crate::history::counts::{DAY, QUARTER};
use crate::history::ids;
use crate::history::query::days::{LabelTotal, quarters};
use crate::history::query::filter::{Cursor, Filter};
use crate::history::query::pictures::{PictureFiles, pictures};
use crate::history::query::series::{Interval, Series, reaches_into, read, sum};
use crate::history::query::streams::{Reader, Stream};

/// A range longer than this is summed up from the counts if its filters allow it, in milliseconds.
const COUNTED: i64 = 2 * DAY;

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

/// Returns the intervals of each stream's labels that a filter names.
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
