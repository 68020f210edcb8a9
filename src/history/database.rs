//! The database: where it lies, its tables, and what is done with one that cannot be used.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

pub use crate::database::Unusable;
use crate::database::{self, Schema};
use crate::error::{Error, Result};

/// Folder and file of the index, inside the folder that it is about.
const FOLDER: &str = ".livelabel";
const FILE: &str = "index.sqlite";
const LOCK: &str = "index.lock";
/// `LLIX`: tells an index from other databases.
const APPLICATION: i64 = 0x4c4c_4958;
/// Increased with every change of the tables. An index of another version is made again.
pub const VERSION: i64 = 3;

/// Times are in milliseconds since 1970 (UTC), confidences in hundred thousandths.
const TABLES: &str = "
CREATE TABLE streams(id INTEGER PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, stem TEXT NOT NULL);
CREATE INDEX streams_stem ON streams(stem);
CREATE TABLE labels(id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE runs(
    id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, started INTEGER NOT NULL, input TEXT NOT NULL,
    model TEXT NOT NULL, sha256 TEXT NOT NULL, labels TEXT NOT NULL, action TEXT
);
CREATE INDEX runs_stream ON runs(stream, started);
CREATE TABLE sources(
    id INTEGER PRIMARY KEY, file TEXT NOT NULL, run INTEGER NOT NULL, stream INTEGER NOT NULL,
    bytes INTEGER NOT NULL, modified INTEGER NOT NULL, first INTEGER, last INTEGER,
    ended INTEGER NOT NULL, complete INTEGER NOT NULL, clock_back INTEGER NOT NULL
);
CREATE INDEX sources_run ON sources(run);
CREATE INDEX sources_set_back ON sources(stream) WHERE clock_back > 0;
CREATE TABLE intervals(
    stream INTEGER NOT NULL, label INTEGER NOT NULL, start INTEGER NOT NULL, source INTEGER NOT NULL,
    duration INTEGER NOT NULL, mean INTEGER NOT NULL, peak INTEGER NOT NULL, open INTEGER NOT NULL,
    PRIMARY KEY(stream, label, start, source)
) WITHOUT ROWID;
CREATE INDEX intervals_open ON intervals(stream, label, start) WHERE open = 1;
CREATE TABLE interval_days(
    stream INTEGER NOT NULL, label INTEGER NOT NULL, day INTEGER NOT NULL, intervals BLOB NOT NULL,
    PRIMARY KEY(stream, label, day)
) WITHOUT ROWID;
CREATE TABLE pictures(
    stream INTEGER NOT NULL, start INTEGER NOT NULL, source INTEGER NOT NULL, kind TEXT NOT NULL,
    at INTEGER NOT NULL, offset INTEGER NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY(stream, start, source, kind)
) WITHOUT ROWID;
CREATE TABLE gaps(
    stream INTEGER NOT NULL, start INTEGER NOT NULL, source INTEGER NOT NULL, end INTEGER NOT NULL, reason TEXT,
    PRIMARY KEY(stream, start, source)
) WITHOUT ROWID;
CREATE TABLE losses(
    stream INTEGER NOT NULL, at INTEGER NOT NULL, source INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY(stream, at, source)
) WITHOUT ROWID;
CREATE TABLE watched(
    stream INTEGER NOT NULL, start INTEGER NOT NULL, source INTEGER NOT NULL, end INTEGER NOT NULL,
    PRIMARY KEY(stream, start, source)
) WITHOUT ROWID;
CREATE TABLE segments(
    id INTEGER PRIMARY KEY, file TEXT NOT NULL, stream INTEGER NOT NULL, source INTEGER NOT NULL,
    start INTEGER NOT NULL, end INTEGER NOT NULL, bytes INTEGER NOT NULL
);
CREATE INDEX segments_time ON segments(stream, start, end);
CREATE INDEX segments_source ON segments(source);
CREATE TABLE counts(
    stream INTEGER NOT NULL, day INTEGER NOT NULL, label INTEGER NOT NULL, quarters BLOB NOT NULL,
    PRIMARY KEY(stream, day, label)
) WITHOUT ROWID;
";

/// The index. It is made again from the files, so it need not outlive a loss of power.
const INDEX: Schema = Schema { application: APPLICATION, version: VERSION, tables: TABLES, durable: false };

/// Returns the path of a folder's index.
pub fn path(folder: &Path) -> PathBuf {
    folder.join(FOLDER).join(FILE)
}

/// Returns the path of the lock that the only writer holds.
pub fn lock_path(folder: &Path) -> PathBuf {
    folder.join(FOLDER).join(LOCK)
}

/// Opens an index to write it: see [`Schema::open`].
///
/// # Errors
/// Returns why it cannot be used.
pub fn open(path: &Path, check: bool) -> Result<Connection, Unusable> {
    INDEX.open(path, check)
}

/// Opens an index to read it: see [`Schema::open_to_read`].
///
/// # Errors
/// Returns why it cannot be used.
pub fn open_to_read(path: &Path, immutable: bool) -> Result<Option<Connection>, Unusable> {
    INDEX.open_to_read(path, immutable)
}

/// Creates an index in memory.
///
/// # Errors
/// Those of SQLite.
#[cfg(test)]
pub fn in_memory() -> rusqlite::Result<Connection> {
    INDEX.in_memory()
}

/// Creates an index in a new file that is not in use yet: see [`Schema::create`].
///
/// # Errors
/// Those of SQLite.
pub fn create(path: &Path) -> rusqlite::Result<Connection> {
    INDEX.create(path)
}

/// Moves an index aside that cannot be used, and says so. Replaces one that was moved aside before.
///
/// # Errors
/// Returns a failure if it cannot be moved.
pub fn move_aside(path: &Path, why: &Unusable) -> Result<()> {
    let (name, reason) = match why {
        Unusable::Damaged(cause) => ("index.damaged.sqlite", format!("is damaged ({cause})")),
        Unusable::Other(version) => {
            ("index.other.sqlite", format!("has version {version}, and this program writes {VERSION}"))
        }
        Unusable::Failed(cause) => return Err(failed(path, cause)),
    };
    database::move_aside(path, name)?;
    tracing::warn!("{}: {reason}; it was moved to {name}, and is made again from the files", path.display());
    Ok(())
}

/// Returns the error for an index that cannot be read or written.
pub fn failed(path: &Path, cause: &rusqlite::Error) -> Error {
    let remedy = match database::is_full(cause) {
        true => "free some space",
        false => "check the folder's permissions, or use --index=false",
    };
    Error::failed(format!("{}: the index cannot be used", path.display())).because(cause.to_string()).remedy(remedy)
}
