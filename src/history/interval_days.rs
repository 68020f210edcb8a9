//! The intervals of a label that begin on a day, in one row, so that a question with a limit on duration or confidence reads some
//! thousand rows for a year instead of millions. A day of very many intervals has an empty row: those are read one by one.

use std::collections::BTreeSet;

use prost::encoding::{decode_varint, encode_varint};
use rusqlite::{Connection, Result, params};

use crate::history::counts::DAY;

/// Days whose rows are made again at once.
const MAX_DAYS: usize = 1024;
/// Most intervals in a row, since it is made again with each of them.
const MAX_INTERVALS: usize = 4096;

/// Days whose intervals have changed since their rows were made.
#[derive(Default)]
pub struct IntervalDays {
    /// Stream, label and day.
    changed: BTreeSet<(i64, i64, i64)>,
}

impl IntervalDays {
    /// Notes that the interval at `start` was added, changed or removed. Call it after the change.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn changed(&mut self, db: &Connection, (stream, label): (i64, i64), start: i64) -> Result<()> {
        self.changed.insert((stream, label, start.div_euclid(DAY)));
        if self.changed.len() >= MAX_DAYS { self.flush(db) } else { Ok(()) }
    }

    /// Makes the rows of the changed days again.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn flush(&mut self, db: &Connection) -> Result<()> {
        let mut read = db.prepare_cached(
            "SELECT start, duration, mean FROM intervals
            WHERE stream = ?1 AND label = ?2 AND start >= ?3 AND start < ?4 ORDER BY start, source LIMIT ?5",
        )?;
        let mut write = db.prepare_cached("INSERT OR REPLACE INTO interval_days VALUES (?1, ?2, ?3, ?4)")?;
        let mut remove =
            db.prepare_cached("DELETE FROM interval_days WHERE stream = ?1 AND label = ?2 AND day = ?3")?;
        for (stream, label, day) in std::mem::take(&mut self.changed) {
            let (first, mut encoded) = (day * DAY, Vec::new());
            let mut rows = read.query(params![stream, label, first, first + DAY, MAX_INTERVALS as i64 + 1])?;
            let (mut last, mut count) = (first, 0);
            while let Some(row) = rows.next()? {
                let start: i64 = row.get(0)?;
                for number in [start - last, row.get(1)?, row.get(2)?] {
                    encode_varint(number.max(0) as u64, &mut encoded);
                }
                (last, count) = (start, count + 1);
            }
            if count == 0 {
                remove.execute(params![stream, label, day])?;
            } else {
                if count > MAX_INTERVALS {
                    encoded.clear();
                }
                write.execute(params![stream, label, day, encoded])?;
            }
        }
        Ok(())
    }
}

/// Calls `each` with start, duration and mean of every interval of a day, in order of time.
pub fn decode(day: i64, mut encoded: &[u8], mut each: impl FnMut(i64, i64, i64)) {
    let mut start = day * DAY;
    while !encoded.is_empty() {
        let mut number = || decode_varint(&mut encoded).ok().and_then(|number| i64::try_from(number).ok());
        let (Some(later), Some(duration), Some(mean)) = (number(), number(), number()) else { return };
        start = start.saturating_add(later);
        each(start, duration, mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decoded_is_what_was_encoded() {
        let mut encoded = Vec::new();
        [5, 700, 90_000, 0, 400 * DAY as u64, 0].iter().for_each(|&number| encode_varint(number, &mut encoded));
        let mut found = Vec::new();
        decode(-1, &encoded, |start, duration, mean| found.push((start, duration, mean)));
        assert_eq!(found, [(5 - DAY, 700, 90_000), (5 - DAY, 400 * DAY, 0)]);
        // Cut off, or not such a row.
        for bytes in [&encoded[..encoded.len() - 1], &[0xff; 40]] {
            decode(0, bytes, |start, _, _| assert_eq!(start, 5));
        }
    }
}
