//! Adds rows and takes them away. Keeps the counts and the days of intervals in step.

use rusqlite::{Connection, OptionalExtension, Result, params};

use crate::history::counts::Counts;
use crate::history::ids::{RECORDED, WATCHED};
use crate::history::interval_days::IntervalDays;

/// The longest stretch that is believed, in milliseconds: 400 days.
const LONGEST: i64 = 400 * 86_400_000;
/// The times that are believed: the years 1900 to 9999.
const BELIEVED: std::ops::Range<i64> = -2_208_988_800_000..253_402_300_800_000;

/// An interval. Times in milliseconds since 1970, confidences in hundred thousandths.
#[derive(Clone, Debug, PartialEq)]
pub struct IntervalRow {
    pub stream: i64,
    pub label: i64,
    pub start: i64,
    pub source: i64,
    pub duration: i64,
    pub mean: i64,
    pub peak: i64,
    /// Whether it is known only from frames so far.
    pub open: bool,
}

impl IntervalRow {
    fn key(&self) -> ((i64, i64), (i64, i64)) {
        ((self.stream, self.label), (self.start, self.start + self.duration))
    }
}

/// A recorded file.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentRow<'a> {
    pub id: i64,
    pub file: &'a str,
    pub stream: i64,
    /// The journal that says so; 0 if only its name does.
    pub source: i64,
    pub start: i64,
    pub end: i64,
    pub bytes: i64,
}

/// A journal or timeline, as far as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceRow<'a> {
    pub id: i64,
    pub file: &'a str,
    pub run: i64,
    pub stream: i64,
    pub bytes: i64,
    pub modified: i64,
    pub first: Option<i64>,
    pub last: Option<i64>,
    pub ended: bool,
    pub complete: bool,
    pub clock_back: i64,
}

/// Returns whether a stretch can be true.
pub fn is_plausible(start: i64, end: i64) -> bool {
    BELIEVED.contains(&start) && BELIEVED.contains(&end) && (0..=LONGEST).contains(&(end - start))
}

/// Changes of rows, in a transaction of the caller.
pub struct Rows<'c> {
    pub db: &'c Connection,
    counts: Counts,
    days: IntervalDays,
}

impl<'c> Rows<'c> {
    pub fn new(db: &'c Connection) -> Self {
        Self { db, counts: Counts::default(), days: IntervalDays::default() }
    }

    /// Writes the counts and days. Call it before the transaction is committed.
    ///
    /// # Errors
    /// Those of SQLite, as of all other functions.
    pub fn finish(mut self) -> Result<()> {
        self.counts.flush(self.db)?;
        self.days.flush(self.db)
    }

    pub fn stream(&self, id: i64, name: &str, kind: &str, stem: &str) -> Result<()> {
        let mut insert = self.db.prepare_cached("INSERT OR IGNORE INTO streams VALUES (?1, ?2, ?3, ?4)")?;
        insert.execute(params![id, name, kind, stem]).map(drop)
    }

    pub fn label(&self, id: i64, name: &str) -> Result<()> {
        self.db.prepare_cached("INSERT OR IGNORE INTO labels VALUES (?1, ?2)")?.execute(params![id, name]).map(drop)
    }

    pub fn source(&self, row: &SourceRow) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO sources VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let SourceRow { id, file, run, stream, bytes, modified, first, last, ended, complete, clock_back } = row;
        let row = params![id, file, run, stream, bytes, modified, first, last, ended, complete, clock_back];
        self.db.prepare_cached(sql)?.execute(row).map(drop)
    }

    /// Adds an interval, or replaces the one with the same key.
    pub fn interval(&mut self, row: &IntervalRow) -> Result<()> {
        if !is_plausible(row.start, row.start + row.duration) {
            return Ok(());
        }
        let sql = "SELECT duration FROM intervals WHERE stream = ?1 AND label = ?2 AND start = ?3 AND source = ?4";
        let key = params![row.stream, row.label, row.start, row.source];
        let before: Option<i64> = self.db.prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()?;
        if let Some(duration) = before {
            let (key, span) = IntervalRow { duration, ..row.clone() }.key();
            self.counts.add(self.db, key, span, true, -1)?;
        }
        let (key, span) = row.key();
        self.counts.add(self.db, key, span, true, 1)?;
        let sql = "INSERT OR REPLACE INTO intervals VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let IntervalRow { stream, label, start, source, duration, mean, peak, open } = row;
        let row = params![stream, label, start, source, duration, mean, peak, open];
        self.db.prepare_cached(sql)?.execute(row)?;
        self.days.changed(self.db, key, *start)
    }

    /// Takes away what is known only from frames of a run about an interval that is now known. It may begin earlier: another journal
    /// has the clock of its own beginning.
    pub fn remove_open(&mut self, run: i64, known: &IntervalRow) -> Result<()> {
        let sql = "SELECT start, source, duration FROM intervals INDEXED BY intervals_open
            WHERE stream = ?1 AND label = ?2 AND start <= ?3 AND open = 1 AND source IN (SELECT id FROM sources WHERE run = ?4)";
        let range = params![known.stream, known.label, known.start + known.duration, run];
        let found = |row: &rusqlite::Row| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let found: Vec<(i64, i64, i64)> =
            self.db.prepare_cached(sql)?.query_map(range, found)?.collect::<Result<_>>()?;
        for (start, source, duration) in found {
            self.remove_interval(&IntervalRow { start, source, duration, ..known.clone() })?;
        }
        Ok(())
    }

    /// Returns whether a closed interval of the run covers one that is known from frames.
    pub fn is_known(&self, run: i64, row: &IntervalRow) -> Result<bool> {
        let sql = "SELECT start + duration >= ?4 AND open = 0 AND source IN (SELECT id FROM sources WHERE run = ?5)
            FROM intervals WHERE stream = ?1 AND label = ?2 AND start <= ?3 ORDER BY start DESC LIMIT 1";
        let range = params![row.stream, row.label, row.start, row.start + row.duration, run];
        let known: Option<bool> = self.db.prepare_cached(sql)?.query_row(range, |row| row.get(0)).optional()?;
        Ok(known == Some(true))
    }

    fn remove_interval(&mut self, row: &IntervalRow) -> Result<()> {
        let (key, span) = row.key();
        self.counts.add(self.db, key, span, true, -1)?;
        let sql = "DELETE FROM intervals WHERE stream = ?1 AND label = ?2 AND start = ?3 AND source = ?4";
        self.db.prepare_cached(sql)?.execute(params![row.stream, row.label, row.start, row.source])?;
        self.days.changed(self.db, key, row.start)
    }

    /// Adds a watched stretch, or gives it a later end.
    pub fn watched(&mut self, stream: i64, source: i64, start: i64, end: i64) -> Result<()> {
        if !is_plausible(start, end) {
            return Ok(());
        }
        let sql = "SELECT end FROM watched WHERE stream = ?1 AND start = ?2 AND source = ?3";
        let key = params![stream, start, source];
        let before: Option<i64> = self.db.prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()?;
        let added = before.unwrap_or(start);
        self.counts.add(self.db, (stream, WATCHED), (added, end), before.is_none(), 1)?;
        let sql = "INSERT OR REPLACE INTO watched VALUES (?1, ?2, ?3, ?4)";
        self.db.prepare_cached(sql)?.execute(params![stream, start, source, end.max(added)]).map(drop)
    }

    pub fn gap(&self, stream: i64, source: i64, span: (i64, i64), reason: Option<&str>) -> Result<()> {
        if !is_plausible(span.0, span.1) {
            return Ok(());
        }
        let sql = "INSERT OR REPLACE INTO gaps VALUES (?1, ?2, ?3, ?4, ?5)";
        self.db.prepare_cached(sql)?.execute(params![stream, span.0, source, span.1, reason]).map(drop)
    }

    pub fn loss(&self, stream: i64, source: i64, at: i64, reason: &str) -> Result<()> {
        if !is_plausible(at, at) {
            return Ok(());
        }
        let sql = "INSERT OR REPLACE INTO losses VALUES (?1, ?2, ?3, ?4)";
        self.db.prepare_cached(sql)?.execute(params![stream, at, source, reason]).map(drop)
    }

    /// Adds a recorded file, or replaces its row.
    pub fn segment(&mut self, row: &SegmentRow) -> Result<()> {
        if !is_plausible(row.start, row.end) {
            return Ok(());
        }
        self.take_segment(row.id)?;
        self.counts.add(self.db, (row.stream, RECORDED), (row.start, row.end), true, 1)?;
        let sql = "INSERT INTO segments VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let SegmentRow { id, file, stream, source, start, end, bytes } = row;
        self.db.prepare_cached(sql)?.execute(params![id, file, stream, source, start, end, bytes]).map(drop)
    }

    /// Removes the row of a recorded file, and its stream if nothing is left of it.
    pub fn remove_segment(&mut self, id: i64) -> Result<()> {
        match self.take_segment(id)? {
            Some(stream) => self.remove_unused_stream(stream),
            None => Ok(()),
        }
    }

    /// Removes the row of a recorded file. Returns its stream.
    fn take_segment(&mut self, id: i64) -> Result<Option<i64>> {
        let sql = "SELECT stream, start, end FROM segments WHERE id = ?1";
        let found = |row: &rusqlite::Row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)));
        let found: Option<(i64, (i64, i64))> = self.db.prepare_cached(sql)?.query_row([id], found).optional()?;
        let Some((stream, span)) = found else { return Ok(None) };
        self.counts.add(self.db, (stream, RECORDED), span, true, -1)?;
        self.db.prepare_cached("DELETE FROM segments WHERE id = ?1")?.execute([id])?;
        Ok(Some(stream))
    }

    /// Removes a journal or timeline with all rows that came from it, and its run and stream if nothing is left of them.
    pub fn remove_source(&mut self, id: i64) -> Result<()> {
        type Found = (i64, i64, Option<i64>, Option<i64>);
        let sql = "SELECT run, stream, first, last FROM sources WHERE id = ?1";
        let found = |row: &rusqlite::Row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let found: Option<Found> = self.db.prepare_cached(sql)?.query_row([id], found).optional()?;
        let Some((run, stream, first, last)) = found else { return Ok(()) };
        if let (Some(first), Some(last)) = (first, last) {
            self.remove_intervals(id, run, stream, (first, last))?;
            let sql = "SELECT start, end FROM watched WHERE stream = ?1 AND start BETWEEN ?2 AND ?3 AND source = ?4";
            let key = params![stream, first, last, id];
            let spans: Vec<(i64, i64)> = self
                .db
                .prepare_cached(sql)?
                .query_map(key, |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_>>()?;
            for span in spans {
                self.counts.add(self.db, (stream, WATCHED), span, true, -1)?;
            }
            for (table, time) in [("watched", "start"), ("gaps", "start"), ("losses", "at"), ("pictures", "start")] {
                let sql = format!("DELETE FROM {table} WHERE stream = ?1 AND {time} BETWEEN ?2 AND ?3 AND source = ?4");
                self.db.prepare_cached(&sql)?.execute(key)?;
            }
        }
        let segments: Vec<i64> = self
            .db
            .prepare_cached("SELECT id FROM segments WHERE source = ?1")?
            .query_map([id], |row| row.get(0))?
            .collect::<Result<_>>()?;
        self.db.prepare_cached("DELETE FROM sources WHERE id = ?1")?.execute([id])?;
        for segment in segments {
            self.remove_segment(segment)?;
        }
        let sql = "DELETE FROM runs WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM sources WHERE run = ?1)";
        self.db.prepare_cached(sql)?.execute([run])?;
        self.remove_unused_stream(stream)
    }

    fn remove_intervals(&mut self, source: i64, run: i64, stream: i64, (first, last): (i64, i64)) -> Result<()> {
        let labels: String =
            self.db.prepare_cached("SELECT labels FROM runs WHERE id = ?1")?.query_row([run], |row| row.get(0))?;
        let labels: Vec<String> = serde_json::from_str(&labels).unwrap_or_default();
        for label in labels {
            let label = crate::history::ids::of(&[&label]);
            let sql = "SELECT start, duration FROM intervals
                WHERE stream = ?1 AND label = ?2 AND start BETWEEN ?3 AND ?4 AND source = ?5";
            let key = params![stream, label, first, last, source];
            let found = |row: &rusqlite::Row| Ok((row.get(0)?, row.get(1)?));
            let found: Vec<(i64, i64)> = self.db.prepare_cached(sql)?.query_map(key, found)?.collect::<Result<_>>()?;
            let sql = "DELETE FROM intervals
                WHERE stream = ?1 AND label = ?2 AND start BETWEEN ?3 AND ?4 AND source = ?5";
            self.db.prepare_cached(sql)?.execute(key)?;
            for (start, duration) in found {
                self.counts.add(self.db, (stream, label), (start, start + duration), true, -1)?;
                self.days.changed(self.db, (stream, label), start)?;
            }
        }
        Ok(())
    }

    fn remove_unused_stream(&self, stream: i64) -> Result<()> {
        let sql = "DELETE FROM streams WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE stream = ?1)
            AND NOT EXISTS (SELECT 1 FROM segments WHERE stream = ?1)";
        self.db.prepare_cached(sql)?.execute([stream])?;
        Ok(())
    }

    /// Removes the names of labels that no run has.
    pub fn remove_unused_labels(&self) -> Result<()> {
        let mut used = std::collections::HashSet::new();
        let mut lists = self.db.prepare("SELECT DISTINCT labels FROM runs")?;
        for list in lists.query_map([], |row| row.get::<_, String>(0))? {
            let labels: Vec<String> = serde_json::from_str(&list?).unwrap_or_default();
            used.extend(labels.iter().map(|label| crate::history::ids::of(&[label])));
        }
        let known: Vec<i64> =
            self.db.prepare("SELECT id FROM labels")?.query_map([], |row| row.get(0))?.collect::<Result<_>>()?;
        for id in known.into_iter().filter(|id| !used.contains(id)) {
            self.db.execute("DELETE FROM labels WHERE id = ?1", [id])?;
        }
        Ok(())
    }
}
