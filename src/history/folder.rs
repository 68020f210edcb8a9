//! Compares a folder with its index, and reads what the index lacks.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rusqlite::{Connection, OptionalExtension};

use crate::error::{Error, Result};
use crate::history::journal_reader::JournalReader;
use crate::history::names::{self, Kind};
use crate::history::rows::{Rows, SegmentRow};
use crate::history::{clips, database, ids};
use crate::report::stamped_name::StampedName;
use crate::report::{LockedFile, lock_output};
use crate::system::folders;

/// Lines that are parsed before they are stored.
pub const LINES: usize = 4096;
/// The longest recording whose end only the file's date says, in milliseconds: a day.
const LONGEST_RECORDING: i64 = 86_400_000;

/// A file of which the index lacks something, or that the index has and the folder lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    Read(Kind, String),
    RemoveSource(i64),
    RemoveSegment(i64),
    RemoveLabels,
}

/// Returns whether a folder holds nothing that an index is made from.
///
/// # Errors
/// Returns an error if the folder cannot be read.
pub fn is_empty(folder: &Path) -> Result<bool> {
    Ok(list(folder)?.is_empty())
}

/// Lists the files that the index is made from, in the order in which they are read, with their sizes.
fn list(folder: &Path) -> Result<Vec<(Kind, String, u64)>> {
    let unreadable = |cause| {
        Error::input(format!("{}: cannot be read", folders::named(folder).display()))
            .because(cause)
            .remedy("name the output folder of a run")
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folders::named(folder)).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // A name that is not UTF-8 is none that livelabel gives to a camera's files.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let Some(kind) = names::kind(&name) else { continue };
        if let Some(file) = entry.metadata().ok().filter(fs::Metadata::is_file) {
            files.push((kind, name, file.len()));
        }
    }
    files.sort_by(|(a, a_name, _), (b, b_name, _)| {
        (a, StampedName::parse(a_name), a_name).cmp(&(b, StampedName::parse(b_name), b_name))
    });
    Ok(files)
}

/// Returns what must be done so that the index has what the folder has. `open` are the journals that are read as they grow.
///
/// # Errors
/// Returns an error if the folder or the index cannot be read.
pub fn compare(folder: &Path, db: &Connection, open: &HashSet<String>) -> Result<VecDeque<Work>> {
    let failed = |cause: rusqlite::Error| database::failed(&database::path(folder), &cause);
    let numbers = |sql: &str| -> rusqlite::Result<HashMap<i64, (i64, i64)>> {
        let mut rows = db.prepare(sql)?;
        rows.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?.collect()
    };
    let mut sources = numbers("SELECT id, bytes, modified FROM sources").map_err(failed)?;
    let mut segments = numbers("SELECT id, bytes, 0 FROM segments").map_err(failed)?;
    let (mut read, mut removed) = (VecDeque::new(), VecDeque::new());
    for (kind, name, bytes) in list(folder)? {
        let id = ids::of(&[&name]);
        let known = match kind {
            Kind::Video => segments.remove(&id).map(|(bytes, _)| (bytes, 0)),
            Kind::Journal | Kind::Timeline => sources.remove(&id),
        };
        let now = match kind {
            Kind::Timeline => clips::version(&folder.join(&name)),
            Kind::Journal | Kind::Video => Some((bytes as i64, 0)),
        };
        if !open.contains(&name) && (known.is_none() || known != now) {
            read.push_back(Work::Read(kind, name));
        }
    }
    removed.extend(sources.into_keys().map(Work::RemoveSource));
    // One whose name has no time is known from a journal only.
    let file = |id: &i64| db.query_row("SELECT file FROM segments WHERE id = ?1", [id], |row| row.get::<_, String>(0));
    let is_gone = |id: &i64| !file(id).is_ok_and(|name| folder.join(name).is_file());
    removed.extend(segments.into_keys().filter(is_gone).map(Work::RemoveSegment));
    if !removed.is_empty() {
        removed.push_back(Work::RemoveLabels);
    }
    // First what is gone, so that a recording whose journal is gone is read from its name.
    removed.append(&mut read);
    Ok(removed)
}

/// Compares the folder with the index, and does what must be done.
///
/// # Errors
/// Returns an error if the folder or the index cannot be read, or the index not written.
pub fn update<E: From<Error> + From<rusqlite::Error>>(folder: &Path, db: &Connection) -> Result<(), E> {
    loop {
        let list = compare(folder, db, &HashSet::new())?;
        // A recording whose journal is gone is read from its name, once the journal's rows are gone.
        let again = list.iter().any(|piece| matches!(piece, Work::RemoveSource(_)));
        list.iter().try_for_each(|piece| work(folder, db, piece))?;
        if !again {
            return Ok(());
        }
    }
}

/// Does one piece of work, in a transaction of its own.
///
/// # Errors
/// Those of SQLite. A file that cannot be read is skipped.
pub fn work(folder: &Path, db: &Connection, work: &Work) -> rusqlite::Result<()> {
    let transaction = db.unchecked_transaction()?;
    let mut rows = Rows::new(&transaction);
    match work {
        Work::Read(Kind::Journal, name) => read_journal(folder, name, &mut rows)?,
        Work::Read(Kind::Timeline, name) => clips::store(folder, name, &mut rows)?,
        Work::Read(Kind::Video, name) => read_video(folder, name, &mut rows)?,
        Work::RemoveSource(id) => rows.remove_source(*id)?,
        Work::RemoveSegment(id) => rows.remove_segment(*id)?,
        Work::RemoveLabels => rows.remove_unused_labels()?,
    }
    rows.finish()?;
    transaction.commit()
}

fn read_journal(folder: &Path, name: &str, rows: &mut Rows) -> rusqlite::Result<()> {
    let unreadable = |cause| tracing::debug!("{name}: cannot be read ({cause})");
    let Ok(mut reader) = JournalReader::open(folder, name).map_err(unreadable) else { return Ok(()) };
    loop {
        let Ok(more) = reader.read(LINES).map_err(unreadable) else { return Ok(()) };
        reader.store(rows)?;
        if !more {
            return Ok(());
        }
    }
}

/// Adds a recording of which no journal says when it was made: the run was killed. Its name says when it began, and its date when
/// it ended.
fn read_video(folder: &Path, name: &str, rows: &mut Rows) -> rusqlite::Result<()> {
    let path = folder.join(name);
    let (Some(stamped), Ok(file)) = (StampedName::parse(name), fs::metadata(&path)) else { return Ok(()) };
    let id = ids::of(&[name]);
    // What a journal says stays true if the file was changed later.
    let sql = "UPDATE segments SET bytes = ?2 WHERE id = ?1 AND source != 0";
    let known = rows.db.prepare_cached(sql)?.execute((id, file.len() as i64))? > 0;
    if known || file.len() == 0 || is_being_written(&path) {
        return Ok(());
    }
    let Some(start) = stamped.start() else { return Ok(()) };
    let modified = file.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified = modified.map_or(start, |time| time.as_millis() as i64);
    let end = modified.clamp(start, start + LONGEST_RECORDING);
    let sql = "SELECT id FROM streams WHERE stem = ?1 AND kind = 'camera' ORDER BY id LIMIT 1";
    let stream = rows.db.prepare_cached(sql)?.query_row([stamped.stem], |row| row.get(0)).optional()?;
    let stream = match stream {
        Some(stream) => stream,
        None => {
            let stream = ids::of(&[stamped.stem]);
            rows.stream(stream, stamped.stem, "camera", stamped.stem)?;
            stream
        }
    };
    rows.segment(&SegmentRow { id, file: name, stream, source: 0, start, end, bytes: file.len() as i64 })
}

/// Returns whether a run holds the lock of a video.
fn is_being_written(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Makes the index of `folder` in the new file at `path`.
///
/// # Errors
/// Returns an error if the folder cannot be read or the file cannot be written.
pub fn build(folder: &Path, path: &Path) -> Result<()> {
    let failed = |cause: rusqlite::Error| database::failed(path, &cause);
    let db = database::create(path).map_err(failed)?;
    for piece in compare(folder, &db, &HashSet::new())? {
        work(folder, &db, &piece).map_err(failed)?;
    }
    Ok(())
}

/// Takes the lock of a folder's index, which only its writer has.
///
/// # Errors
/// Returns a usage error if a run has it, and a failure if the folder cannot be written.
pub(crate) fn lock(folder: &Path) -> Result<LockedFile> {
    let path = database::lock_path(folder);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|cause| Error::unwritable(parent, cause))?;
    }
    lock_output(&path)
}

/// Makes a folder's index anew, and replaces the one that is there. Returns its path.
///
/// # Errors
/// Returns a usage error if a run writes the index or the folder holds nothing, and a failure if it cannot be written.
pub fn rebuild(folder: &Path) -> Result<PathBuf> {
    if is_empty(folder)? {
        return Err(nothing(folder));
    }
    let _lock = lock(folder).map_err(|error| {
        if error.exit_code() == 2 { error.remedy("stop the run first; it keeps the index itself") } else { error }
    })?;
    let path = database::path(folder);
    crate::report::replace(&path, |part| {
        build(folder, part)?;
        // What belongs to the database that is replaced.
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{suffix}", path.display()));
        }
        Ok(())
    })?;
    Ok(path)
}

/// Returns the error for a folder without anything to make an index from.
pub fn nothing(folder: &Path) -> Error {
    Error::input(format!("{}: holds no journals, timelines or recordings", folders::named(folder).display()))
        .remedy("name the output folder of a run")
}
