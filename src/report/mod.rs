//! What a run leaves to read: a journal while it goes, and from it the timeline, the plot and the subtitles.

pub mod journal;
mod lists;
pub mod plot;
pub mod rotating_journal;
pub mod subtitles;
pub mod summary;
pub mod timeline;

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Error, Result};

/// Milliseconds, as every file outside the program tells time.
pub fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

/// Five digits behind the point, as the original rounds confidences.
pub fn rounded(confidence: f64) -> f64 {
    (confidence * 1e5).round() / 1e5
}

/// Opens the file `path`, which is made where it is not there, for this run alone: no other run writes to it as long as what
/// is returned is held, or longer than this process lives. What is in it stays.
///
/// # Errors
/// Usage, where another run has it; failed, where it cannot be written.
pub(crate) fn claim(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let file = opened.map_err(|cause| Error::unwritable(path, cause))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let by = holder(&file).map_or("another run".into(), |process| format!("process {process}"));
            Err(Error::usage(format!("{}: is being written by {by}", path.display()))
                .remedy("wait for it to end, or write elsewhere with --output-dir"))
        }
        // Some network file systems have no locks; the run is not refused for that.
        Err(TryLockError::Error(cause)) => {
            tracing::debug!("{}: cannot be locked ({cause})", path.display());
            Ok(file)
        }
    }
}

/// Removes a claimed file into which nothing came, where no other has taken its place.
pub(crate) fn remove_empty(claim: &File, path: &Path) {
    let same = |there: Metadata| claim.metadata().is_ok_and(|file| file.len() == 0 && file.ino() == there.ino());
    if std::fs::metadata(path).is_ok_and(same) {
        let _ = std::fs::remove_file(path);
    }
}

/// The process that holds a lock on `file`, as Linux lists it: `1: FLOCK ADVISORY WRITE PROCESS MAJOR:MINOR:INODE 0 EOF`.
fn holder(file: &File) -> Option<u32> {
    let inode = format!(":{}", file.metadata().ok()?.ino());
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let line = locks.lines().find(|line| line.split_whitespace().nth(5).is_some_and(|file| file.ends_with(&inode)))?;
    line.split_whitespace().nth(4)?.parse().ok()
}

/// Has `write` write a new file beside `path`, and renames it when it is complete; on a failure nothing is left of it. No
/// other file is touched: the new one has a name of its own.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let part = part(path).map_err(|cause| Error::unwritable(path, cause))?;
    write(&part)?;
    part.persist(path).map_err(|cause| Error::unwritable(path, cause.error))
}

/// A new file beside `path`, which is gone when it is dropped. The extension stays in its place, as some writers tell the
/// format by it.
pub(crate) fn part(path: &Path) -> std::io::Result<tempfile::TempPath> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let suffix = format!(".part.{}", path.extension().unwrap_or_default().to_string_lossy());
    // As any new file, readable by whom the user's mask lets.
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let made = tempfile::Builder::new().suffix(&suffix).permissions(everybody).tempfile_in(folder)?;
    Ok(made.into_temp_path())
}
