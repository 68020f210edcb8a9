//! The recorded files of a stream.

use std::path::PathBuf;

use rusqlite::params;

use crate::error::Result;
use crate::history::names;
use crate::history::query::Reader;

/// Files of a moment that are looked at, at most. Only runs whose clock was set back overlap.
const MAX_OVERLAPPING: usize = 64;
/// How much earlier than another file one may begin that ends after it, in milliseconds: a day.
const MAX_OVERLAP: i64 = 86_400_000;
/// How long the last frame of a file counts as shown, in milliseconds: the next file begins when the next frame is due, which may be
/// later than this one should end.
const LAST_SHOWN: i64 = 1000;
/// After every recording, in milliseconds.
const NEVER: i64 = i64::MAX / 4;

/// A recorded file that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub path: PathBuf,
    /// In milliseconds since 1970.
    pub start: i64,
    pub end: i64,
    pub bytes: u64,
}

/// Returns the file that shows `at`, in milliseconds since 1970, or the first one after it. Of several that show it, the one that
/// began last.
///
/// # Errors
/// Returns a failure if the index cannot be read.
pub fn segment_from(reader: &Reader, name: &str, at: i64) -> Result<Option<Segment>> {
    let mut found = segments(reader, name, (at, NEVER), MAX_OVERLAPPING)?;
    let showing = found.iter().rposition(|segment| segment.start <= at);
    let first = showing.or_else(|| (!found.is_empty()).then_some(0));
    Ok(first.map(|number| found.swap_remove(number)))
}

/// Returns the file that has the frame that was shown at `at`, in milliseconds since 1970.
///
/// # Errors
/// Returns a failure if the index cannot be read.
pub fn segment_at(reader: &Reader, name: &str, at: i64) -> Result<Option<Segment>> {
    let found = segments(reader, name, (at.saturating_sub(LAST_SHOWN), at.saturating_add(1)), MAX_OVERLAPPING)?;
    // The one that began last of those that show the moment; else the one that ended last.
    Ok(found.into_iter().max_by_key(|segment| (segment.end.min(at + 1), segment.start)))
}

/// Returns the files of all streams of this name that show something from `range.0` to before `range.1`, in milliseconds since
/// 1970, by their start. At most `most` of each stream are looked at.
///
/// # Errors
/// Returns a failure if the index cannot be read.
pub fn segments(reader: &Reader, name: &str, range: (i64, i64), most: usize) -> Result<Vec<Segment>> {
    let mut all = Vec::new();
    for stream in reader.streams.iter().filter(|stream| stream.name == name) {
        let rows = reader.ask(stream, |db| {
            let sql = "SELECT file, start, end, bytes FROM segments WHERE stream = ?1 AND start < ?3 AND end > ?2
                AND start >= min(?2 - ?4, coalesce((SELECT max(start) FROM segments WHERE stream = ?1 AND start <= ?2), ?2))
                ORDER BY start, end LIMIT ?5";
            let mut rows = db.prepare_cached(sql)?;
            let key = params![stream.id, range.0, range.1, MAX_OVERLAP, most as i64];
            let rows = rows.query_map(key, |row| {
                Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get::<_, i64>(3)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let folder = reader.folder(stream);
        all.extend(rows.into_iter().filter(|(file, ..)| names::is_plain(file)).map(|(file, start, end, bytes)| {
            Segment { path: folder.join(file), start, end, bytes: bytes.unsigned_abs() }
        }));
    }
    // A file may be gone since the index was written. A link is none of livelabel's files.
    all.retain(|segment| segment.path.symlink_metadata().is_ok_and(|found| found.is_file()));
    all.sort_by_key(|segment| (segment.start, segment.end));
    Ok(all)
}
