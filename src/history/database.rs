//! The database: where it lies, its tables, and what is done with one that cannot be used.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{Error, Result};

/// Folder and file of the index, inside the folder that it is about.
const FOLDER: &str = ".livelabel";
const FILE: &str = "index.sqlite";
const LOCK: &str = "index.lock";
/// `LLIX`: tells an index from other databases.
const APPLICATION: i64 = 0x4c4c_4958;
/// Increased with every change of the tables. An index of another version is made again.
pub const VERSION: i64 = 2;
/// How long a statement waits for another program that writes.
const BUSY: Duration = Duration::from_secs(5);

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

/// Why an index cannot be used.
#[derive(Debug)]
pub enum Unusable {
    Damaged(String),
    /// Its version.
    Other(i64),
    /// The disk, a permission, a lock.
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Unusable {
    fn from(cause: rusqlite::Error) -> Self {
        if is_damage(&cause) { Self::Damaged(cause.to_string()) } else { Self::Failed(cause) }
    }
}

/// Returns the path of a folder's index.
pub fn path(folder: &Path) -> PathBuf {
    folder.join(FOLDER).join(FILE)
}

/// Returns the path of the lock that the only writer holds.
pub fn lock_path(folder: &Path) -> PathBuf {
    folder.join(FOLDER).join(LOCK)
}

/// Opens an index to write it, and creates it if it is missing. With `check`, reads all of it to find damage.
///
/// # Errors
/// Returns why it cannot be used.
pub fn open(path: &Path, check: bool) -> std::result::Result<Connection, Unusable> {
    let db = Connection::open(path)?;
    db.busy_timeout(BUSY)?;
    let (application, version) = identity(&db)?;
    if (application, version) == (0, 0) && is_blank(&db)? {
        prepare(&db)?;
        return Ok(db);
    }
    verify(application, version)?;
    if check {
        let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            return Err(Unusable::Damaged(found));
        }
    }
    configure(&db)?;
    Ok(db)
}

/// Opens an index to read it. With `immutable`, without files beside it, for folders that cannot be written.
///
/// # Errors
/// Returns why it cannot be used.
pub fn open_to_read(path: &Path, immutable: bool) -> std::result::Result<Connection, Unusable> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let escaped = percent_encoding::percent_encode(
        std::os::unix::ffi::OsStrExt::as_bytes(std::path::absolute(path).unwrap_or_else(|_| path.into()).as_os_str()),
        percent_encoding::NON_ALPHANUMERIC,
    )
    .to_string()
    .replace("%2F", "/");
    let uri = format!("file:{escaped}?mode=ro{}", if immutable { "&immutable=1" } else { "" });
    let db = Connection::open_with_flags(uri, flags)?;
    db.busy_timeout(BUSY)?;
    let (application, version) = identity(&db)?;
    verify(application, version)?;
    Ok(db)
}

/// Creates an index in memory.
///
/// # Errors
/// Those of SQLite.
#[cfg(test)]
pub fn in_memory() -> rusqlite::Result<Connection> {
    let db = Connection::open_in_memory()?;
    prepare(&db)?;
    Ok(db)
}

/// Creates an index in a new file, without the safety that a database in use needs: it is thrown away when that
/// fails.
///
/// # Errors
/// Those of SQLite.
pub fn create(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "OFF")?;
    db.pragma_update(None, "synchronous", "OFF")?;
    tables(&db)?;
    Ok(db)
}

fn prepare(db: &Connection) -> rusqlite::Result<()> {
    configure(db)?;
    tables(db)
}

fn tables(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(&format!(
        "BEGIN; {TABLES} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
    ))
}

fn configure(db: &Connection) -> rusqlite::Result<()> {
    // A file system without shared memory keeps the rollback journal.
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update_and_check(None, "journal_size_limit", 16 << 20, |_| Ok(()))
}

fn identity(db: &Connection) -> rusqlite::Result<(i64, i64)> {
    let number = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
    Ok((number("application_id")?, number("user_version")?))
}

fn is_blank(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| Ok(row.get::<_, i64>(0)? == 0))
}

fn verify(application: i64, version: i64) -> std::result::Result<(), Unusable> {
    match (application, version) {
        (APPLICATION, VERSION) => Ok(()),
        (APPLICATION, version) => Err(Unusable::Other(version)),
        _ => Err(Unusable::Damaged("it is not an index".into())),
    }
}

/// Returns whether an error says that the file itself is wrong.
pub fn is_damage(cause: &rusqlite::Error) -> bool {
    matches!(cause.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || cause.to_string().contains("no such table")
        || cause.to_string().contains("no such column")
        || cause.to_string().contains("malformed database schema")
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
    let aside = path.with_file_name(name);
    for suffix in ["", "-wal", "-shm"] {
        let with = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        let moved = fs::rename(with(path), with(&aside));
        if suffix.is_empty() {
            moved.map_err(|cause| Error::unwritable(path, cause))?;
        } else if moved.is_err() {
            let _ = fs::remove_file(with(&aside));
        }
    }
    tracing::warn!("{}: {reason}; it was moved to {name}, and is made again from the files", path.display());
    Ok(())
}

/// Returns the error for an index that cannot be read or written.
pub fn failed(path: &Path, cause: &rusqlite::Error) -> Error {
    let full = cause.sqlite_error_code() == Some(ErrorCode::DiskFull);
    let remedy = if full { "free some space" } else { "check the folder's permissions, or use --index=false" };
    Error::failed(format!("{}: the index cannot be used", path.display())).because(cause.to_string()).remedy(remedy)
}
