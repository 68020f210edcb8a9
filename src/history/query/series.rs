//! The intervals of one label of a stream.

use std::ops::RangeInclusive;

use rusqlite::{Connection, Result, params};

use crate::history::counts::DAY;
use crate::history::interval_days::decode;
use crate::history::query::days::LabelTotal;
use crate::history::query::filter::{Cursor, Filter};
use crate::history::query::pictures::{Picture, PicturedInterval};
use crate::history::query::streams::Stream;

/// The longest range of which every interval is looked at, in milliseconds, where few may be wanted.
const LOOKED_AT: i64 = 2 * DAY;
/// The rows of [`crate::history::interval_days`].
const DAYS: &str =
    "SELECT day, intervals FROM interval_days WHERE stream = ?1 AND label = ?2 AND day BETWEEN ?3 AND ?4 ORDER BY day";

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
    pub(super) source: i64,
    /// What is kept of one that is not recorded.
    pub pictures: Vec<Picture>,
}

impl Interval {
    /// Returns what its pictures are found by.
    pub fn pictured(&self, stream: &Stream) -> PicturedInterval {
        PicturedInterval { stream: stream.id, start: self.start, source: self.source }
    }
}

/// A label of a stream.
pub(super) struct Series {
    pub stream: usize,
    pub label: usize,
    pub stream_id: i64,
    pub label_id: i64,
}

impl Series {
    /// Returns the parameters of [`DAYS`] for intervals that start in a range.
    fn days(&self, starts: &RangeInclusive<i64>) -> [i64; 4] {
        [self.stream_id, self.label_id, starts.start().div_euclid(DAY), starts.end().div_euclid(DAY)]
    }
}

/// Returns the part of a range that is on a day.
fn within(day: i64, starts: &RangeInclusive<i64>) -> RangeInclusive<i64> {
    (day * DAY).max(*starts.start())..=(day * DAY + DAY - 1).min(*starts.end())
}

/// Reads up to `limit` intervals, newest first, from those after `before` on.
///
/// # Errors
/// Those of SQLite, as of all other functions.
pub(super) fn read(
    db: &Connection,
    series: &Series,
    filter: &Filter,
    limit: usize,
    before: Option<Cursor>,
) -> Result<Vec<(Cursor, Interval)>> {
    let own = |start| Cursor { start, stream: series.stream_id, label: series.label_id };
    // The latest start that may still be listed.
    let latest =
        before.map_or(
            i64::MAX,
            |before| {
                if own(before.start) < before { before.start } else { before.start.saturating_sub(1) }
            },
        );
    let starts = earliest(db, series, filter.from)?..=latest.min(filter.to.saturating_sub(1));
    let limits = filter.min_duration > 0 || filter.min_confidence > 0;
    if !limits || starts.end().saturating_sub(*starts.start()) <= LOOKED_AT {
        return read_rows(db, series, filter, &starts, limit);
    }
    let mut found = Vec::new();
    let mut days = db.prepare_cached(&format!("{DAYS} DESC"))?;
    let mut days = days.query(series.days(&starts))?;
    while let Some(row) = days.next()?
        && found.len() < limit
    {
        let (day, intervals) = (row.get(0)?, row.get_ref(1)?.as_blob().unwrap_or_default());
        let mut any = intervals.is_empty();
        decode(day, intervals, |start, duration, mean| any |= filter.names(&starts, start, duration, mean));
        if any {
            found.extend(read_rows(db, series, filter, &within(day, &starts), limit - found.len())?);
        }
    }
    Ok(found)
}

/// Reads intervals that start in a range, the latest first.
fn read_rows(
    db: &Connection,
    series: &Series,
    filter: &Filter,
    starts: &RangeInclusive<i64>,
    limit: usize,
) -> Result<Vec<(Cursor, Interval)>> {
    let sql = "SELECT start, duration, mean, peak, open, source FROM intervals
        WHERE stream = ?1 AND label = ?2 AND start <= ?3 AND start >= ?4
        AND start + duration >= ?5 AND duration >= ?6 AND mean >= ?7 ORDER BY start DESC LIMIT ?8";
    let key = params![
        series.stream_id,
        series.label_id,
        starts.end(),
        starts.start(),
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
        Ok((Cursor { start, stream: series.stream_id, label: series.label_id }, interval))
    })?;
    rows.collect()
}

/// Returns the start of the interval that may reach into the range, or the start of the range.
fn earliest(db: &Connection, series: &Series, from: i64) -> Result<i64> {
    let sql = "SELECT max(start) FROM intervals WHERE stream = ?1 AND label = ?2 AND start < ?3";
    let key = params![series.stream_id, series.label_id, from];
    let start: Option<i64> = db.prepare_cached(sql)?.query_row(key, |row| row.get(0))?;
    Ok(start.unwrap_or(from))
}

/// Returns whether an interval that began before a time reaches over it.
pub(super) fn reaches_into(db: &Connection, series: &Series, from: i64) -> Result<bool> {
    let sql = "SELECT start + duration > ?3 FROM intervals WHERE stream = ?1 AND label = ?2 AND start < ?3
        ORDER BY start DESC LIMIT 1";
    let mut rows = db.prepare_cached(sql)?;
    let mut rows = rows.query(params![series.stream_id, series.label_id, from])?;
    rows.next()?.map_or(Ok(false), |row| row.get(0))
}

/// Returns the totals of the intervals that a filter names.
pub(super) fn sum(db: &Connection, series: &Series, filter: &Filter) -> Result<LabelTotal> {
    let starts = earliest(db, series, filter.from)?..=filter.to.saturating_sub(1);
    let mut total = LabelTotal::default();
    let mut days = db.prepare_cached(DAYS)?;
    let mut days = days.query(series.days(&starts))?;
    while let Some(row) = days.next()? {
        let (day, intervals) = (row.get(0)?, row.get_ref(1)?.as_blob().unwrap_or_default());
        decode(day, intervals, |start, duration, mean| {
            if filter.names(&starts, start, duration, mean) {
                total.count += 1;
                total.duration += (start + duration).min(filter.to) - start.max(filter.from);
            }
        });
        if intervals.is_empty() {
            let rows = sum_rows(db, series, filter, &within(day, &starts))?;
            total.count += rows.count;
            total.duration += rows.duration;
        }
    }
    Ok(total)
}

/// Sums up intervals that start in a range.
fn sum_rows(db: &Connection, series: &Series, filter: &Filter, starts: &RangeInclusive<i64>) -> Result<LabelTotal> {
    let sql = "SELECT count(*), coalesce(sum(min(start + duration, ?5) - max(start, ?4)), 0) FROM intervals
        WHERE stream = ?1 AND label = ?2 AND start <= ?8 AND start >= ?3
        AND start + duration >= ?4 AND duration >= ?6 AND mean >= ?7";
    let key = params![
        series.stream_id,
        series.label_id,
        starts.start(),
        filter.from,
        filter.to,
        filter.min_duration,
        filter.min_confidence,
        starts.end()
    ];
    db.prepare_cached(sql)?.query_row(key, |row| Ok(LabelTotal { count: row.get(0)?, duration: row.get(1)? }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::database;
    use crate::history::rows::{IntervalRow, Rows};

    /// Twelve days of one label: most with some intervals, one with more than a row holds, two with none.
    fn twelve_days() -> Connection {
        let db = database::in_memory().unwrap();
        let mut rows = Rows::new(&db);
        let mut random = fastrand::Rng::with_seed(1);
        for day in (0..12).filter(|day| ![3, 9].contains(day)) {
            let count = if day == 5 { 5000 } else { 40 };
            for number in 0..count {
                let start = day * DAY + number * (DAY / count);
                let longest = if number == count - 1 { 3 * DAY / count } else { DAY / count };
                let (duration, mean) = (random.i64(0..longest), random.i64(0..100_000));
                let open = number % 7 == 0;
                let row = IntervalRow { stream: 1, label: 2, start, source: 3, duration, mean, peak: mean, open };
                rows.interval(&row).unwrap();
            }
        }
        rows.finish().unwrap();
        db
    }

    #[test]
    fn filters_name_the_same_by_days_as_by_rows() {
        let db = twelve_days();
        let series = Series { stream: 0, label: 0, stream_id: 1, label_id: 2 };
        let mut random = fastrand::Rng::with_seed(2);
        let mut listed = 0;
        for _ in 0..300 {
            let from = random.i64(-DAY..12 * DAY);
            let filter = Filter {
                from,
                to: from + random.i64(1..14 * DAY),
                min_duration: random.i64(-1..DAY / 40) * i64::from(random.bool()),
                min_confidence: random.i64(-1..100_000) * i64::from(random.bool()),
                ..Filter::default()
            };
            let starts = earliest(&db, &series, from).unwrap()..=filter.to - 1;
            let all = read_rows(&db, &series, &filter, &starts, usize::MAX >> 1).unwrap();
            let limit = random.usize(1..60);
            let page = read(&db, &series, &filter, limit, None).unwrap();
            assert_eq!(page, all[..limit.min(all.len())], "{filter:?}");
            let next = page.last().map(|(cursor, _)| *cursor);
            let page = read(&db, &series, &filter, 10, next).unwrap();
            assert_eq!(page, all.iter().skip(limit).take(10).cloned().collect::<Vec<_>>(), "{filter:?}");
            assert_eq!(sum(&db, &series, &filter), sum_rows(&db, &series, &filter, &starts), "{filter:?}");
            listed += all.len();
        }
        assert!(listed > 10_000, "{listed}");
    }
}
