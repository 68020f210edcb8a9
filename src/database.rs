//! SQLite databases of this program: opens one of a known kind and version, and says why another one cannot be used.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{Error, Result};

/// How long a statement waits for another program that writes.
const BUSY: Duration = Duration::from_secs(5);
/// Bytes that the write-ahead log keeps once it is empty.
const LOG: i64 = 16 << 20;

/// A kind of database.
pub struct Schema {
    /// Tells it from other databases.
    pub application: i64,
    /// Increased with every change of the tables.
    pub version: i64,
    /// Statements that create the tables.
    pub tables: &'static str,
    /// Whether a transaction that was committed outlives a loss of power. Otherwise the last ones may be lost then.
    pub durable: bool,
}

/// Why a database cannot be used.
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

impl Schema {
    /// Opens a database to write it, and creates it if it is missing. With `check`, reads all of it to find damage.
    ///
    /// # Errors
    /// Returns why it cannot be used.
    pub fn open(&self, path: &Path, check: bool) -> Result<Connection, Unusable> {
        let db = Connection::open(path)?;
        db.busy_timeout(BUSY)?;
        let (application, version) = identity(&db)?;
        if (application, version) == (0, 0) && is_blank(&db)? {
            self.prepare(&db)?;
            return Ok(db);
        }
        self.verify(application, version)?;
        if check {
            let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if found != "ok" {
                return Err(Unusable::Damaged(found));
            }
        }
        self.configure(&db)?;
        Ok(db)
    }

    /// Opens a database to read it. With `immutable`, without files beside it, for folders that cannot be written. Returns `None`
    /// if it has no tables yet: who writes it has just begun.
    ///
    /// # Errors
    /// Returns why it cannot be used.
    pub fn open_to_read(&self, path: &Path, immutable: bool) -> Result<Option<Connection>, Unusable> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
        let bytes = std::os::unix::ffi::OsStrExt::as_bytes(absolute.as_os_str());
        let escaped = percent_encoding::percent_encode(bytes, percent_encoding::NON_ALPHANUMERIC).to_string();
        let escaped = escaped.replace("%2F", "/");
        let uri = format!("file:{escaped}?mode=ro{}", if immutable { "&immutable=1" } else { "" });
        let db = Connection::open_with_flags(uri, flags)?;
        db.busy_timeout(BUSY)?;
        // One state of the database, although it may change meanwhile.
        let state = db.unchecked_transaction()?;
        let (application, version) = identity(&state)?;
        let blank = (application, version) == (0, 0) && is_blank(&state)?;
        state.finish()?;
        if blank {
            return Ok(None);
        }
        self.verify(application, version)?;
        Ok(Some(db))
    }

    /// Creates a database in memory.
    ///
    /// # Errors
    /// Those of SQLite.
    #[cfg(test)]
    pub fn in_memory(&self) -> rusqlite::Result<Connection> {
        let db = Connection::open_in_memory()?;
        self.prepare(&db)?;
        Ok(db)
    }

    /// Creates a database in a new file, without the safety that one in use needs: it is thrown away when that fails.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn create(&self, path: &Path) -> rusqlite::Result<Connection> {
        let db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "OFF")?;
        db.pragma_update(None, "synchronous", "OFF")?;
        self.make_tables(&db)?;
        Ok(db)
    }

    fn prepare(&self, db: &Connection) -> rusqlite::Result<()> {
        self.configure(db)?;
        self.make_tables(db)
    }

    fn make_tables(&self, db: &Connection) -> rusqlite::Result<()> {
        let Self { application, version, tables, .. } = self;
        db.execute_batch(&format!(
            "BEGIN; {tables} PRAGMA application_id = {application}; PRAGMA user_version = {version}; COMMIT;"
        ))
    }

    fn configure(&self, db: &Connection) -> rusqlite::Result<()> {
        // A file system without shared memory keeps the rollback journal.
        db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        db.pragma_update(None, "synchronous", if self.durable { "FULL" } else { "NORMAL" })?;
        db.pragma_update_and_check(None, "journal_size_limit", LOG, |_| Ok(()))
    }

    fn verify(&self, application: i64, version: i64) -> Result<(), Unusable> {
        match application == self.application {
            true if version == self.version => Ok(()),
            true => Err(Unusable::Other(version)),
            false => Err(Unusable::Damaged("it is another kind of database".into())),
        }
    }
}

fn identity(db: &Connection) -> rusqlite::Result<(i64, i64)> {
    let number = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
    Ok((number("application_id")?, number("user_version")?))
}

fn is_blank(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| Ok(row.get::<_, i64>(0)? == 0))
}

/// Returns whether an error says that the file itself is wrong.
fn is_damage(cause: &rusqlite::Error) -> bool {
    matches!(cause.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || cause.to_string().contains("no such table")
        || cause.to_string().contains("no such column")
        || cause.to_string().contains("malformed database schema")
}

/// Returns whether an error says that the disk is full.
pub fn is_full(cause: &rusqlite::Error) -> bool {
    cause.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// Gives a database, with the files beside it, another name in its folder. Replaces one that has the name already.
///
/// # Errors
/// Returns a failure if it cannot be moved.
pub fn move_aside(path: &Path, name: &str) -> Result<()> {
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
    Ok(())
}
