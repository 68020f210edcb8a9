//! The kept pictures of intervals of which there is no recording.

use std::collections::HashMap;
use std::fmt;
use std::fs::Metadata;
use std::path::PathBuf;
use std::str::FromStr;

use rusqlite::{Row, params};

use crate::error::Result;
use crate::history::names;
use crate::history::query::streams::{Reader, Stream};
use crate::report::journal::PictureKind;
use crate::report::picture_file;

/// The interval that pictures are of. Its text stays the same when the index is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PicturedInterval {
    pub stream: i64,
    /// In milliseconds since 1970.
    pub start: i64,
    /// Id of the journal.
    pub source: i64,
}

impl fmt::Display for PicturedInterval {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:x}.{}.{:x}", self.stream, self.start, self.source)
    }
}

impl FromStr for PicturedInterval {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<&str> = text.split('.').collect();
        let [stream, start, source] = parts[..] else { return Err(()) };
        let id = |text: &str| i64::from_str_radix(text, 16).map_err(|_| ());
        Ok(Self { stream: id(stream)?, start: start.parse().map_err(|_| ())?, source: id(source)? })
    }
}

/// A picture that is kept of an interval, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub kind: PictureKind,
    /// When it was taken, in milliseconds since 1970.
    pub at: i64,
    pub path: PathBuf,
    pub offset: u64,
    pub bytes: u64,
}

/// Lengths of the files of pictures, each asked for once; `None` for one that is not there.
#[derive(Default)]
pub struct PictureFiles(HashMap<PathBuf, Option<u64>>);

impl PictureFiles {
    fn hold(&mut self, picture: &Picture) -> bool {
        let length = self.0.entry(picture.path.clone()).or_insert_with(|| {
            // A link is none of livelabel's files.
            picture.path.symlink_metadata().ok().filter(Metadata::is_file).map(|found| found.len())
        });
        length.is_some_and(|length| picture.offset.saturating_add(picture.bytes) <= length)
    }
}

/// Returns the pictures of an interval that are still there, in the order of time.
///
/// # Errors
/// Returns a failure if the index cannot be read.
pub fn pictures(
    reader: &Reader,
    stream: &Stream,
    interval: PicturedInterval,
    files: &mut PictureFiles,
) -> Result<Vec<Picture>> {
    let sql = "SELECT kind, at, offset, pictures.bytes, file FROM pictures JOIN sources ON sources.id = pictures.source
        WHERE pictures.stream = ?1 AND start = ?2 AND pictures.source = ?3 AND sources.stream = ?1 ORDER BY at";
    let PicturedInterval { stream: id, start, source } = interval;
    let rows = reader.ask(stream, |db| {
        let mut rows = db.prepare_cached(sql)?;
        let row = |row: &Row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
        rows.query_map(params![id, start, source], row)?.collect::<rusqlite::Result<Vec<_>>>()
    })?;
    let folder = reader.folder(stream);
    let picture = |(kind, at, offset, bytes, journal): (String, i64, i64, i64, String)| {
        let kind = PictureKind::from_name(&kind)?;
        let path = folder.join(Some(picture_file::beside(&journal)).filter(|file| names::is_plain(file))?);
        Some(Picture { kind, at, path, offset: offset.unsigned_abs(), bytes: bytes.unsigned_abs() })
    };
    Ok(rows.into_iter().filter_map(picture).filter(|picture| files.hold(picture)).collect())
}

/// Returns a picture of an interval, with the name of its stream.
///
/// # Errors
/// Returns a failure if the index cannot be read.
pub fn picture(reader: &Reader, interval: PicturedInterval, kind: PictureKind) -> Result<Option<(String, Picture)>> {
    for stream in reader.streams.iter().filter(|stream| stream.id == interval.stream) {
        let found = pictures(reader, stream, interval, &mut PictureFiles::default())?;
        if let Some(picture) = found.into_iter().find(|picture| picture.kind == kind) {
            return Ok(Some((stream.name.clone(), picture)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::query::{Interval, page};
    use crate::history::tests::{ZERO, filter, header, interval, pictured, reader};
    use crate::report::journal::Journal;

    #[test]
    fn an_interval_is_read_as_it_is_written() {
        let interval = PicturedInterval { stream: 0x1f, start: -5, source: 0xabc };
        assert_eq!(interval.to_string(), "1f.-5.abc");
        assert_eq!("1f.-5.abc".parse(), Ok(interval));
        for text in ["", "1f.-5", "1f.-5.abc.1", "1f.x.abc", "..", "../../etc", "ffffffffffffffffff.0.1"] {
            assert_eq!(text.parse::<PicturedInterval>(), Err(()), "{text}");
        }
    }

    #[test]
    fn pictures_are_those_of_their_interval_and_are_listed_while_they_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let name = "door-20260102T030000Z.timeline.jsonl";
        let opened = header("door", &["drinking", "other"], "2026-01-02T03:00:00Z", 0.0);
        let mut journal = Journal::create(&folder.path().join(name), opened).unwrap();
        journal.append(&pictured("drinking", 0.0, 2000.0, 0)).unwrap();
        journal.append(&interval("other", 2000.0, 3000.0)).unwrap();
        journal.append(&pictured("drinking", 3000.0, 5000.0, 30)).unwrap();
        let pictures = folder.path().join("door-20260102T030000Z.pictures.mjpg");
        let listed = || {
            let reader = reader(folder.path());
            let listed = page(&reader, &filter(ZERO, ZERO + 10_000), 100, None).unwrap();
            let of = |interval: &Interval| -> Vec<(&'static str, i64, u64)> {
                let id = interval.pictured(&reader.streams[0]);
                for known in &interval.pictures {
                    assert_eq!(picture(&reader, id, known.kind).unwrap(), Some(("door".into(), known.clone())));
                }
                interval.pictures.iter().map(|found| (found.kind.name(), found.at - ZERO, found.offset)).collect()
            };
            listed.intervals.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(listed(), [vec![], vec![], vec![]]);
        std::fs::write(&pictures, [0; 60]).unwrap();
        let late = vec![("start", 3000, 30), ("peak", 4000, 40), ("end", 4960, 50)];
        let early = vec![("start", 0, 0), ("peak", 1000, 10), ("end", 1960, 20)];
        assert_eq!(listed(), [late, vec![], early.clone()]);
        // Cut in the middle of a picture.
        std::fs::File::options().write(true).open(&pictures).unwrap().set_len(35).unwrap();
        assert_eq!(listed(), [vec![], vec![], early]);
        // A link, or another thing of that name.
        let elsewhere = folder.path().join("elsewhere");
        std::fs::rename(&pictures, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &pictures).unwrap();
        assert_eq!(listed(), [vec![], vec![], vec![]]);
        std::fs::remove_file(&pictures).unwrap();
        std::fs::create_dir(&pictures).unwrap();
        assert_eq!(listed(), [vec![], vec![], vec![]]);
    }
}
