//! Counts a quarter of an hour, a row a day: for how long each label was shown, and how often it began; for how long a stream
//! was watched and recorded. The days of every time zone consist of such quarters, so the totals of a year are read from a few
//! hundred rows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rusqlite::{Connection, OptionalExtension, Result, params};

/// Milliseconds of a quarter, and quarters of a day.
pub const QUARTER: i64 = 15 * 60_000;
pub const QUARTERS: usize = 96;
pub const DAY: i64 = QUARTER * QUARTERS as i64;
/// Days that are kept in memory before they are written.
const MAX_DAYS: usize = 1024;

/// Duration in milliseconds and number of starts, for each quarter of a day.
pub type Quarters = [(i64, i64); QUARTERS];
const NONE: Quarters = [(0, 0); QUARTERS];

/// Changes of counts that are not written yet.
#[derive(Default)]
pub struct Counts {
    /// By stream, day and label.
    changes: BTreeMap<(i64, i64, i64), Box<Quarters>>,
}

impl Counts {
    /// Adds a stretch, or takes it away with a `sign` of -1. It began in its first quarter if `begins`.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn add(&mut self, db: &Connection, key: (i64, i64), span: (i64, i64), begins: bool, sign: i64) -> Result<()> {
        let ((stream, label), (start, end)) = (key, span);
        if begins {
            self.quarter(db, stream, label, start)?.1 += sign;
        }
        let mut at = start;
        while at < end {
            let next = (at.div_euclid(QUARTER) + 1) * QUARTER;
            self.quarter(db, stream, label, at)?.0 += sign * (next.min(end) - at);
            at = next;
        }
        Ok(())
    }

    fn quarter(&mut self, db: &Connection, stream: i64, label: i64, at: i64) -> Result<&mut (i64, i64)> {
        let key = (stream, at.div_euclid(DAY), label);
        if self.changes.len() >= MAX_DAYS && !self.changes.contains_key(&key) {
            self.flush(db)?;
        }
        let day = match self.changes.entry(key) {
            Entry::Occupied(day) => day.into_mut(),
            Entry::Vacant(day) => day.insert(Box::new(NONE)),
        };
        Ok(&mut day[(at.rem_euclid(DAY) / QUARTER) as usize])
    }

    /// Writes the changes.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn flush(&mut self, db: &Connection) -> Result<()> {
        let mut read =
            db.prepare_cached("SELECT quarters FROM counts WHERE stream = ?1 AND day = ?2 AND label = ?3")?;
        let mut write = db.prepare_cached("INSERT OR REPLACE INTO counts VALUES (?1, ?2, ?3, ?4)")?;
        let mut remove = db.prepare_cached("DELETE FROM counts WHERE stream = ?1 AND day = ?2 AND label = ?3")?;
        for ((stream, day, label), mut quarters) in std::mem::take(&mut self.changes) {
            let key = params![stream, day, label];
            let before: Option<Vec<u8>> = read.query_row(key, |row| row.get(0)).optional()?;
            for (quarter, before) in quarters.iter_mut().zip(decoded(&before.unwrap_or_default())) {
                quarter.0 += before.0;
                quarter.1 += before.1;
            }
            if *quarters == NONE {
                remove.execute(key)?;
            } else {
                write.execute(params![stream, day, label, encoded(&quarters)])?;
            }
        }
        Ok(())
    }
}

/// Eight bytes a quarter: duration and starts, little endian.
fn encoded(quarters: &Quarters) -> Vec<u8> {
    let number = |value: i64| u32::try_from(value.max(0)).unwrap_or(u32::MAX).to_le_bytes();
    quarters.iter().flat_map(|&(ms, starts)| [number(ms), number(starts)]).flatten().collect()
}

/// Reads what [`encoded`] wrote. Missing quarters are empty.
pub fn decoded(bytes: &[u8]) -> Quarters {
    let mut quarters = NONE;
    for (quarter, bytes) in quarters.iter_mut().zip(bytes.chunks_exact(8)) {
        let number = |from: usize| {
            i64::from(u32::from_le_bytes([bytes[from], bytes[from + 1], bytes[from + 2], bytes[from + 3]]))
        };
        *quarter = (number(0), number(4));
    }
    quarters
}

/// Adds up a range of quarters without decoding the others.
pub fn sum(bytes: &[u8], range: std::ops::Range<usize>) -> (i64, i64) {
    let bytes = bytes.get(8 * range.start..(8 * range.end).min(bytes.len())).unwrap_or_default();
    let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| i64::from(u32::from_le_bytes(*bytes)));
    bytes.chunks_exact(8).fold((0, 0), |(ms, starts), quarter| (ms + number(quarter), starts + number(&quarter[4..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_split_at_quarters_and_taken_away_without_a_trace() {
        let db = crate::history::database::in_memory().unwrap();
        let mut counts = Counts::default();
        let span = (DAY - QUARTER - 500, DAY + 700);
        counts.add(&db, (5, 20), span, true, 1).unwrap();
        counts.flush(&db).unwrap();
        let day = |day: i64| -> Quarters {
            let row = db.query_row("SELECT quarters FROM counts WHERE day = ?1", [day], |row| row.get::<_, Vec<u8>>(0));
            decoded(&row.unwrap())
        };
        assert_eq!((day(0)[94], day(0)[95], day(1)[0]), ((500, 1), (QUARTER, 0), (700, 0)));
        assert_eq!(sum(&encoded(&day(0)), 94..96), (QUARTER + 500, 1));
        assert_eq!((sum(&encoded(&day(0)), 0..94), sum(&[], 3..96)), ((0, 0), (0, 0)));
        counts.add(&db, (5, 20), span, true, -1).unwrap();
        counts.flush(&db).unwrap();
        assert_eq!(db.query_row("SELECT count(*) FROM counts", [], |row| row.get::<_, i64>(0)), Ok(0));
    }

    #[test]
    fn memory_does_not_grow_with_the_number_of_days() {
        let db = crate::history::database::in_memory().unwrap();
        let mut counts = Counts::default();
        counts.add(&db, (5, 20), (0, 3000 * DAY), true, 1).unwrap();
        assert!(counts.changes.len() <= MAX_DAYS);
    }
}
