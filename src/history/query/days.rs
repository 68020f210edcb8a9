//! Totals of days.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rusqlite::params;

use crate::error::Result;
use crate::history::counts::{DAY, QUARTER, QUARTERS, decoded, sum};
use crate::history::ids::{RECORDED, WATCHED};
use crate::history::query::streams::{Reader, Stream};

/// How often a label began, and for how many milliseconds it was shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelTotal {
    pub count: i64,
    pub duration: i64,
}

/// A day of a stream. Durations in milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DayTotals {
    pub watched: i64,
    pub recorded: i64,
    /// In the order of the stream's labels; those that did not occur are left out.
    pub labels: Vec<(usize, LabelTotal)>,
}

/// Returns the days of a stream on which there is anything. `days` are the days and when they begin, and the end of the last one.
///
/// # Errors
/// Returns a failure if the index cannot be read.
pub fn days(reader: &Reader, stream: &Stream, days: &[(Date, i64)]) -> Result<Vec<(Date, DayTotals)>> {
    let starts: Vec<i64> = days.iter().map(|(_, start)| start.div_euclid(QUARTER)).collect();
    let (Some(first), Some(end)) = (starts.first(), starts.last()) else { return Ok(Vec::new()) };
    let per_day = QUARTERS as i64;
    let mut totals: BTreeMap<(usize, i64), LabelTotal> = BTreeMap::new();
    reader.ask(stream, |db| {
        let sql = "SELECT day, label, quarters FROM counts WHERE stream = ?1 AND day BETWEEN ?2 AND ?3";
        let mut rows = db.prepare_cached(sql)?;
        let mut rows = rows.query(params![stream.id, first.div_euclid(per_day), end.div_euclid(per_day)])?;
        while let Some(row) = rows.next()? {
            let (day, label): (i64, i64) = (row.get(0)?, row.get(1)?);
            let quarters = row.get_ref(2)?.as_blob().unwrap_or_default();
            let start = day * per_day;
            // The day of the zone that the first quarter is in, and how many quarters of it are in this day of UTC.
            let mut number = starts.partition_point(|&first| first <= start);
            let mut done = 0;
            while done < QUARTERS {
                let end = starts.get(number).map_or(per_day, |next| (next - start).clamp(0, per_day)) as usize;
                if (1..starts.len()).contains(&number) {
                    let (duration, count) = sum(quarters, done..end);
                    if (duration, count) != (0, 0) {
                        let total = totals.entry((number - 1, label)).or_default();
                        total.count += count;
                        total.duration += duration;
                    }
                }
                (done, number) = (end, number + 1);
            }
        }
        Ok(())
    })?;
    let ids = stream.label_ids();
    let mut found: BTreeMap<usize, DayTotals> = BTreeMap::new();
    for ((number, label), total) in totals {
        let day = found.entry(number).or_default();
        match label {
            WATCHED => day.watched = total.duration,
            RECORDED => day.recorded = total.duration,
            label => day.labels.extend(ids.iter().position(|&id| id == label).map(|index| (index, total))),
        }
    }
    found.values_mut().for_each(|day| day.labels.sort_by_key(|(index, _)| *index));
    Ok(found.into_iter().map(|(number, totals)| (days[number].0, totals)).collect())
}

/// Returns the totals of each label in a range that begins and ends with quarters of an hour.
///
/// # Errors
/// Those of SQLite.
pub(super) fn quarters(
    db: &rusqlite::Connection,
    stream: &Stream,
    range: (i64, i64),
    each: &mut dyn FnMut(usize, i64, LabelTotal),
) -> rusqlite::Result<()> {
    let ids = stream.label_ids();
    let sql = "SELECT day, label, quarters FROM counts WHERE stream = ?1 AND day BETWEEN ?2 AND ?3";
    let mut rows = db.prepare_cached(sql)?;
    let mut rows = rows.query(params![stream.id, range.0.div_euclid(DAY), range.1.div_euclid(DAY)])?;
    while let Some(row) = rows.next()? {
        let (day, label): (i64, i64) = (row.get(0)?, row.get(1)?);
        let Some(index) = ids.iter().position(|&id| id == label) else { continue };
        let quarters = decoded(row.get_ref(2)?.as_blob().unwrap_or_default());
        for ((duration, count), number) in quarters.into_iter().zip(0..) {
            let start = day * DAY + number * QUARTER;
            if start >= range.0 && start < range.1 && (duration, count) != (0, 0) {
                each(index, start, LabelTotal { count, duration });
            }
        }
    }
    Ok(())
}
