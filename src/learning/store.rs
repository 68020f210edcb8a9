//! The database of kept frames, and the pictures beside it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::database::{self, Schema, Unusable};
use crate::error::{Error, Result};
use crate::learning::frame::NewFrame;
use crate::learning::rows::insert;
use crate::learning::selection::{Bucket, RECENT};
use crate::learning::{files, restore};
use crate::picture::DifferenceHash;
use crate::report::{LockedFile, lock_output};
use crate::system::utc;
use crate::system::words::count;

const FILE: &str = "learning.sqlite";
const LOCK: &str = "learning.lock";
/// The largest picture that is served, in bytes. One of 640 by 640 pixels at this quality has at most half a megabyte.
const MAX_PICTURE: u64 = 4 << 20;
/// Frames that are deleted at once to make room.
const ROOM: i64 = 64;

/// Times are in milliseconds since 1970 (UTC), of a clip since its beginning; margins in hundred thousandths. `answer` is null while a
/// frame has none, and empty if nobody can tell. `own` says that the answer was given to the frame itself; `disputed` is what an
/// interval's answer says otherwise. `turn` counts the answers. Each pair of contradicting frames has two rows.
const LEARNING: Schema = Schema {
    // `LLLF`.
    application: 0x4c4c_4c46,
    version: 1,
    durable: true,
    tables: "
CREATE TABLE streams(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, tokens REAL NOT NULL, filled INTEGER NOT NULL);
CREATE TABLE labels(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE frames(
    id INTEGER PRIMARY KEY AUTOINCREMENT, stream INTEGER NOT NULL, time INTEGER NOT NULL, clip INTEGER NOT NULL,
    reason INTEGER NOT NULL, margin INTEGER NOT NULL, model TEXT, said TEXT NOT NULL, hash BLOB NOT NULL,
    file TEXT NOT NULL, bytes INTEGER NOT NULL,
    answer TEXT, own INTEGER NOT NULL, disputed TEXT, turn INTEGER NOT NULL, version INTEGER NOT NULL
);
CREATE INDEX frames_open ON frames(reason, margin, id DESC) WHERE answer IS NULL;
CREATE INDEX frames_answered ON frames(turn) WHERE answer IS NOT NULL;
CREATE INDEX frames_time ON frames(stream, time);
CREATE TABLE contradictions(frame INTEGER NOT NULL, other INTEGER NOT NULL, PRIMARY KEY(frame, other)) WITHOUT ROWID;
CREATE INDEX contradictions_other ON contradictions(other);
",
};

/// The frames of a folder. This program is the only one that writes it.
pub struct Store {
    pub(super) folder: PathBuf,
    pub(super) limit: u64,
    db: Mutex<Connection>,
    bytes: AtomicU64,
    /// Whether it was said that only answered frames are left.
    full: AtomicBool,
    _lock: LockedFile,
}

impl Store {
    /// Opens a folder, and creates it if it is missing. A damaged database is moved aside, and the answers are read from the table.
    ///
    /// # Errors
    /// `Usage` if the folder cannot be used or another program writes it, `Input` if the database is of another version, and
    /// `Failed` if it cannot be opened.
    pub fn open(folder: &Path, limit: u64) -> Result<Self> {
        let unusable = |cause| {
            Error::usage(format!("{}: the folder cannot be created", folder.display()))
                .because(cause)
                .remedy("choose a writable folder with --learn")
        };
        files::make_folder(&folder.join(files::FRAMES)).map_err(unusable)?;
        let lock = folder.join(LOCK);
        files::touch(&lock).map_err(unusable)?;
        let lock = lock_output(&lock)
            .map_err(|error| error.remedy("wait for it to end, or name another folder with --learn"))?;
        let path = folder.join(FILE);
        files::touch(&path).map_err(unusable)?;
        let db = match LEARNING.open(&path, true) {
            Ok(db) => db,
            Err(Unusable::Damaged(cause)) => again(folder, &path, &cause)?,
            Err(Unusable::Other(version)) => {
                return Err(Error::input(format!(
                    "{}: has version {version}, and this program knows {}",
                    path.display(),
                    LEARNING.version
                ))
                .remedy("name another folder with --learn, or use the program that wrote it"));
            }
            Err(Unusable::Failed(cause)) => return Err(failed(folder, &cause)),
        };
        let store = Self {
            folder: folder.into(),
            limit,
            db: Mutex::new(db),
            bytes: AtomicU64::new(0),
            full: AtomicBool::new(false),
            _lock: lock,
        };
        store.tidy()?;
        Ok(store)
    }

    /// Deletes pictures without a frame, and frames without a picture that nobody has answered.
    fn tidy(&self) -> Result<()> {
        let db = self.db();
        let known: Vec<(i64, String, bool)> = db
            .prepare("SELECT id, file, answer IS NULL FROM frames")
            .and_then(|mut rows| rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect())
            .map_err(|cause| self.failed(&cause))?;
        let lost = known.iter().filter(|(_, file, open)| *open && !self.folder.join(file).is_file());
        for (id, ..) in lost {
            db.execute("DELETE FROM frames WHERE id = ?1", [id]).map_err(|cause| self.failed(&cause))?;
        }
        let known: HashSet<String> = known.into_iter().map(|(_, file, _)| file).collect();
        let swept = files::sweep(&self.folder, &known);
        if swept > 0 {
            tracing::info!("{}: removed {} of no frame", self.folder.display(), count(swept as u64, "picture"));
        }
        let bytes: i64 = db
            .query_row("SELECT coalesce(sum(bytes), 0) FROM frames", [], |row| row.get(0))
            .map_err(|cause| self.failed(&cause))?;
        self.bytes.store(bytes.unsigned_abs(), Ordering::Relaxed);
        Ok(())
    }

    /// Returns what earlier runs left of a stream: its bucket, and the hashes of its last frames, the oldest first.
    ///
    /// # Errors
    /// `Failed` if the database cannot be read.
    pub fn stream(&self, name: &str) -> Result<(Option<Bucket>, Vec<DifferenceHash>)> {
        let db = self.db();
        let read = || {
            let row = db
                .query_row("SELECT id, tokens, filled FROM streams WHERE name = ?1", [name], |row| {
                    Ok((row.get::<_, i64>(0)?, Bucket { tokens: row.get(1)?, filled: row.get(2)? }))
                })
                .optional()?;
            let Some((stream, bucket)) = row else { return Ok((None, Vec::new())) };
            let mut rows = db.prepare("SELECT hash FROM frames WHERE stream = ?1 ORDER BY id DESC LIMIT ?2")?;
            let hashes =
                rows.query_map(params![stream, RECENT as i64], |row| row.get(0).map(DifferenceHash::from_bytes))?;
            let mut hashes = hashes.collect::<rusqlite::Result<Vec<_>>>()?;
            hashes.reverse();
            Ok((Some(bucket), hashes))
        };
        read().map_err(|cause| self.failed(&cause))
    }

    /// Returns the hashes of a stream's frames from `from` to before `to`.
    ///
    /// # Errors
    /// `Failed` if the database cannot be read.
    pub fn hashes(&self, stream: &str, (from, to): (i64, i64)) -> Result<Vec<DifferenceHash>> {
        let db = self.db();
        let read = || -> rusqlite::Result<Vec<DifferenceHash>> {
            let mut rows = db.prepare_cached(
                "SELECT hash FROM frames WHERE stream = (SELECT id FROM streams WHERE name = ?1) AND time >= ?2 AND time < ?3",
            )?;
            rows.query_map(params![stream, from, to], |row| row.get(0).map(DifferenceHash::from_bytes))?.collect()
        };
        read().map_err(|cause| self.failed(&cause))
    }

    /// Keeps a frame, and deletes the oldest ones that nobody has answered if it would not fit. Returns its id; `None` if only answered
    /// frames are left to delete.
    ///
    /// # Errors
    /// `Failed` or `Unavailable` if picture or database cannot be written. Neither has the frame then.
    pub fn add(&self, frame: &NewFrame) -> Result<Option<i64>> {
        let mut db = self.db();
        if !self.make_room(&mut db, frame.jpeg.len() as u64)? {
            return Ok(None);
        }
        let transaction = self.begin(&mut db)?;
        let (id, file) = insert(&transaction, frame).map_err(|cause| self.failed(&cause))?;
        let path = self.folder.join(&file);
        let written = path.parent().map_or(Ok(()), files::make_folder).map_err(|cause| Error::unwritable(&path, cause));
        let stored = written
            .and_then(|()| files::replace(&path, &frame.jpeg))
            .and_then(|()| transaction.commit().map_err(|cause| self.failed(&cause)));
        if let Err(error) = stored {
            files::remove(&self.folder, &file);
            return Err(error);
        }
        self.bytes.fetch_add(frame.jpeg.len() as u64, Ordering::Relaxed);
        Ok(Some(id))
    }

    /// Deletes frames until `wanted` bytes fit: the oldest ones without an answer, then the oldest of which nobody can tell. Returns
    /// whether they fit.
    fn make_room(&self, db: &mut Connection, wanted: u64) -> Result<bool> {
        while self.bytes().saturating_add(wanted) > self.limit {
            let victims: Vec<(i64, String, i64)> = db
                .prepare_cached(
                    "SELECT id, file, bytes FROM frames WHERE answer IS NULL OR answer = ''
                     ORDER BY answer IS NOT NULL, id LIMIT ?1",
                )
                .and_then(|mut rows| {
                    rows.query_map([ROOM], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
                })
                .map_err(|cause| self.failed(&cause))?;
            if victims.is_empty() {
                if !self.full.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "{}: --learn-limit is reached and no frame without an answer is left to delete; no more frames are kept",
                        self.folder.display()
                    );
                }
                return Ok(false);
            }
            let mut freed = 0;
            let excess = self.bytes().saturating_add(wanted) - self.limit;
            let transaction = self.begin(db)?;
            let mut gone = Vec::new();
            for (id, file, bytes) in victims {
                if freed >= excess {
                    break;
                }
                transaction.execute("DELETE FROM frames WHERE id = ?1", [id]).map_err(|cause| self.failed(&cause))?;
                freed += bytes.unsigned_abs();
                gone.push(file);
            }
            transaction.commit().map_err(|cause| self.failed(&cause))?;
            self.bytes.fetch_sub(freed, Ordering::Relaxed);
            gone.iter().for_each(|file| files::remove(&self.folder, file));
        }
        self.full.store(false, Ordering::Relaxed);
        Ok(true)
    }

    /// Returns a frame's picture, a JPEG; `None` if there is none.
    ///
    /// # Errors
    /// `Failed` if the database cannot be read.
    pub fn picture(&self, id: i64) -> Result<Option<Vec<u8>>> {
        let file: Option<String> = self
            .db()
            .query_row("SELECT file FROM frames WHERE id = ?1", [id], |row| row.get(0))
            .optional()
            .map_err(|cause| self.failed(&cause))?;
        Ok(file.and_then(|file| files::read(&self.folder, &file, MAX_PICTURE)))
    }

    /// Returns the bytes of all pictures.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin<'a>(&self, db: &'a mut Connection) -> Result<Transaction<'a>> {
        db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|cause| self.failed(&cause))
    }

    pub(super) fn failed(&self, cause: &rusqlite::Error) -> Error {
        failed(&self.folder, cause)
    }
}

/// Moves a damaged database aside, and begins another one with the answers of the table.
fn again(folder: &Path, path: &Path, cause: &str) -> Result<Connection> {
    let name = format!("learning.damaged-{}.sqlite", utc::stamp(utc::now()));
    database::move_aside(path, &name)?;
    files::touch(path).map_err(|cause| Error::unwritable(path, cause))?;
    let mut db = LEARNING.open(path, false).map_err(|why| match why {
        Unusable::Failed(cause) => failed(folder, &cause),
        Unusable::Damaged(_) | Unusable::Other(_) => Error::failed(format!("{}: cannot be created", path.display())),
    })?;
    let restored = restore::restore(folder, &mut db).map_err(|cause| failed(folder, &cause))?;
    tracing::warn!(
        "{}: is damaged ({cause}); it was moved to {name}, and {} were read from the table",
        path.display(),
        count(restored, "answer")
    );
    Ok(db)
}

fn failed(folder: &Path, cause: &rusqlite::Error) -> Error {
    let message = format!("{}: cannot be read or written", folder.join(FILE).display());
    match database::is_full(cause) {
        true => Error::unavailable(message).because(cause.to_string()).remedy("free some space"),
        false => Error::failed(message).because(cause.to_string()).remedy("check the folder's permissions"),
    }
}
