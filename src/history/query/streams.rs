//! The streams of one or more indexes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{Error, Result};
use crate::history::lookup::Place;
use crate::history::{database, ids};

/// A stream that an index knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// Number of the index that it is in.
    pub place: usize,
    pub id: i64,
    pub name: String,
    /// `camera` or `clip`.
    pub kind: String,
    /// The labels of all its runs, those of the last run first.
    pub labels: Vec<String>,
    pub action: Option<String>,
    /// First and last moment that it was watched or recorded, in milliseconds since 1970.
    pub range: Option<(i64, i64)>,
    pub recorded: bool,
    /// The furthest that the clock was set back during a run, in milliseconds.
    pub clock_back: i64,
}

impl Stream {
    /// Returns the id of each label.
    pub fn label_ids(&self) -> Vec<i64> {
        self.labels.iter().map(|label| ids::of(&[label])).collect()
    }
}

/// Connections to the indexes, and their streams in order of their names.
pub struct Reader {
    connections: Vec<Connection>,
    /// The folders that they are about.
    folders: Vec<PathBuf>,
    pub streams: Vec<Stream>,
}

impl Reader {
    /// Opens every index that is there.
    ///
    /// # Errors
    /// Returns a failure if one cannot be read.
    pub fn open(places: &[Place]) -> Result<Self> {
        let mut reader = Self { connections: Vec::new(), folders: Vec::new(), streams: Vec::new() };
        for place in places {
            let Some(connection) = place.connect()? else { continue };
            reader.folders.push(place.folder().into());
            let found = streams(&connection, reader.connections.len());
            reader.connections.push(connection);
            let found = found.map_err(|cause| reader.failed(reader.connections.len() - 1, &cause))?;
            reader.streams.extend(found);
        }
        reader.streams.sort_by(|a, b| (&a.name, a.id, a.place).cmp(&(&b.name, b.id, b.place)));
        Ok(reader)
    }

    pub fn connection(&self, stream: &Stream) -> &Connection {
        &self.connections[stream.place]
    }

    /// Returns the folder that holds a stream's files.
    pub fn folder(&self, stream: &Stream) -> &Path {
        &self.folders[stream.place]
    }

    /// Returns the streams with one of these names; all streams for no name.
    pub fn named(&self, names: &[String]) -> Vec<&Stream> {
        self.streams.iter().filter(|stream| names.is_empty() || names.contains(&stream.name)).collect()
    }

    fn failed(&self, place: usize, cause: &rusqlite::Error) -> Error {
        database::failed(&database::path(&self.folders[place]), cause)
    }

    /// Asks about a stream.
    ///
    /// # Errors
    /// Returns a failure if the index cannot be read.
    pub fn ask<T>(&self, stream: &Stream, question: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        question(self.connection(stream)).map_err(|cause| self.failed(stream.place, &cause))
    }
}

fn streams(db: &Connection, place: usize) -> rusqlite::Result<Vec<Stream>> {
    let mut rows = db.prepare("SELECT id, name, kind FROM streams")?;
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.map(|row| {
        let (id, name, kind): (i64, String, String) = row?;
        let (labels, action) = labels(db, id)?;
        let back = "SELECT max(clock_back) FROM sources WHERE stream = ?1 AND clock_back > 0";
        let clock_back: Option<i64> = db.query_row(back, [id], |row| row.get(0))?;
        let segments = time(db, "SELECT start FROM segments WHERE stream = ?1 ORDER BY start LIMIT 1", id)?;
        let ends = [
            segments,
            time(db, "SELECT start FROM watched WHERE stream = ?1 ORDER BY start LIMIT 1", id)?,
            time(db, "SELECT end FROM segments WHERE stream = ?1 ORDER BY start DESC LIMIT 1", id)?,
            time(db, "SELECT end FROM watched WHERE stream = ?1 ORDER BY start DESC LIMIT 1", id)?,
        ];
        let ends = ends.into_iter().flatten();
        let range = ends.clone().min().zip(ends.max());
        let (recorded, clock_back) = (segments.is_some(), clock_back.unwrap_or(0));
        Ok(Stream { place, id, name, kind, labels, action, range, recorded, clock_back })
    })
    .collect()
}

fn time(db: &Connection, sql: &str, stream: i64) -> rusqlite::Result<Option<i64>> {
    db.query_row(sql, [stream], |row| row.get(0)).optional()
}

/// Returns the labels of all runs of a stream, and the action of the last one.
fn labels(db: &Connection, stream: i64) -> rusqlite::Result<(Vec<String>, Option<String>)> {
    let sql = "SELECT labels, action FROM runs WHERE stream = ?1 GROUP BY labels, action ORDER BY max(started) DESC";
    let mut rows = db.prepare(sql)?;
    let (mut all, mut seen, mut action) = (Vec::new(), BTreeSet::new(), None);
    let rows = rows.query_map([stream], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    for (number, row) in rows.enumerate() {
        let (list, of_run): (String, Option<String>) = row?;
        if number == 0 {
            action = of_run;
        }
        for label in serde_json::from_str::<Vec<String>>(&list).unwrap_or_default() {
            if seen.insert(label.clone()) {
                all.push(label);
            }
        }
    }
    Ok((all, action))
}

/// A time when a stream should have been watched and was not.
#[derive(Clone, Debug, PartialEq)]
pub struct Outage {
    pub start: i64,
    /// `None` if the camera never came back.
    pub end: Option<i64>,
    pub reason: Option<String>,
}

/// Returns the gaps of a stream that overlap a range, and losses that no gap follows, in order of time, at most `most`.
///
/// # Errors
/// Returns a failure if the index cannot be read.
pub fn outages(reader: &Reader, stream: &Stream, from: i64, to: i64, most: usize) -> Result<Vec<Outage>> {
    reader.ask(stream, |db| {
        let sql = "SELECT start, end, reason FROM gaps
            WHERE stream = ?1 AND start < ?3 AND start >= coalesce(
                (SELECT max(start) FROM gaps WHERE stream = ?1 AND start < ?2), ?2)
            AND end > ?2 ORDER BY start LIMIT ?4";
        let mut rows = db.prepare_cached(sql)?;
        let rows = rows.query_map(params![stream.id, from, to, most as i64], |row| {
            Ok(Outage { start: row.get(0)?, end: Some(row.get(1)?), reason: row.get(2)? })
        })?;
        let mut found: Vec<Outage> = rows.collect::<rusqlite::Result<_>>()?;
        // The last loss of a run, if the camera never came back: what is watched next is of another run.
        let sql = "SELECT at, reason FROM losses AS loss WHERE stream = ?1 AND at < ?3 AND at >= ?2
            AND (SELECT run FROM watched JOIN sources ON sources.id = watched.source
                WHERE watched.stream = ?1 AND watched.start >= loss.at ORDER BY watched.start LIMIT 1)
            IS NOT (SELECT run FROM sources WHERE id = loss.source)
            ORDER BY at LIMIT ?4";
        let mut rows = db.prepare_cached(sql)?;
        let rows = rows.query_map(params![stream.id, from, to, most as i64], |row| {
            Ok(Outage { start: row.get(0)?, end: None, reason: row.get(1)? })
        })?;
        found.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        found.sort_by_key(|outage| outage.start);
        Ok(found)
    })
}
