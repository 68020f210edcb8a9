//! The rows of kept pictures: where each lies in the file beside the journal that says so. Whether it is still there shows when it is
//! asked for.

use rusqlite::{Result, params};

use crate::history::rows::{IntervalRow, Rows, is_plausible};
use crate::report::journal::PictureRecord;
use crate::report::picture_file::MAX_BYTES;

impl Rows<'_> {
    /// Adds a picture of an interval, taken at `at`, or replaces the one of its kind. One that no run writes is left out.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn picture(&self, interval: &IntervalRow, picture: &PictureRecord, at: i64) -> Result<()> {
        let IntervalRow { stream, start, source, duration, .. } = *interval;
        let PictureRecord { kind, offset, bytes, .. } = *picture;
        let Ok(offset) = i64::try_from(offset) else { return Ok(()) };
        if bytes > MAX_BYTES || !is_plausible(start, start + duration) || !is_plausible(at, at) {
            return Ok(());
        }
        let sql = "INSERT OR REPLACE INTO pictures VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let row = params![stream, start, source, kind.name(), at, offset, bytes as i64];
        self.db.prepare_cached(sql)?.execute(row).map(drop)
    }
}
