//! Result files of a run: a journal during the run, and from it timeline, plot and subtitles; and the table of intervals
//! and the overview of all inputs.

pub mod interval_table;
pub mod journal;
pub mod last_run;
mod lists;
pub mod overview;
pub mod picture_file;
pub mod plot;
pub mod rotating_journal;
pub mod stamped_name;
pub mod subtitles;
pub mod summary;
pub mod timeline;
pub mod timeline_reader;

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Error, Result};
use crate::system::{durable, folders};

/// Converts to milliseconds, the unit of time in all files.
pub fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

/// Rounds a confidence to five decimals, as the original does.
pub fn rounded(confidence: f64) -> f64 {
    (confidence * 1e5).round() / 1e5
}

/// A file that no other run can write until it is dropped or this process ends.
pub(crate) struct LockedFile(pub(crate) File);

impl Deref for LockedFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl DerefMut for LockedFile {
    fn deref_mut(&mut self) -> &mut File {
        &mut self.0
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // Closing it is not enough: a child process that is just being started has the file, too.
        let _ = self.0.unlock();
    }
}

/// Opens and locks the file at `path`, and creates it if needed; its content is kept.
///
/// # Errors
/// Returns a usage error if another run holds the lock, and a failure if the file cannot be written.
pub(crate) fn lock_output(path: &Path) -> Result<LockedFile> {
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let file = LockedFile(opened.map_err(|cause| Error::unwritable(path, cause))?);
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let writer = lock_holder(&file).map_or("another run".into(), |process| format!("process {process}"));
            Err(Error::usage(format!("{}: is being written by {writer}", path.display()))
                .remedy("wait for it to end, or write elsewhere with --output-dir"))
        }
        // Some network file systems have no locks, which must not prevent a run.
        Err(TryLockError::Error(cause)) => {
            tracing::debug!("{}: cannot be locked ({cause})", path.display());
            Ok(file)
        }
    }
}

/// Removes a claimed file if it is empty and `path` still names it.
pub(crate) fn remove_empty(lock: &File, path: &Path) {
    let same = |found: Metadata| lock.metadata().is_ok_and(|file| file.len() == 0 && file.ino() == found.ino());
    if std::fs::metadata(path).is_ok_and(same) {
        let _ = std::fs::remove_file(path);
    }
}

/// Finds the process that holds a lock on `file` in Linux' list of locks, with lines like
/// `1: FLOCK ADVISORY WRITE PROCESS MAJOR:MINOR:INODE 0 EOF`.
fn lock_holder(file: &File) -> Option<u32> {
    let inode = format!(":{}", file.metadata().ok()?.ino());
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let line = locks.lines().find(|line| line.split_whitespace().nth(5).is_some_and(|file| file.ends_with(&inode)))?;
    line.split_whitespace().nth(4)?.parse().ok()
}

/// Calls `write` with a temporary file beside `path`, and renames it to `path` when it is complete and on the disk. On a failure the
/// temporary file is removed. Its name is unique, so no other file is touched.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let part = part(path).map_err(|cause| Error::unwritable(path, cause))?;
    write(&part)?;
    durable::persist(part, path).map_err(|cause| Error::unwritable(path, cause))
}

/// Creates a temporary file beside `path`, which is removed when it is dropped. It keeps the extension, from which some
/// writers derive the format.
pub(crate) fn part(path: &Path) -> std::io::Result<tempfile::TempPath> {
    let folder = folders::of(path);
    let suffix = format!(".part.{}", path.extension().unwrap_or_default().to_string_lossy());
    // Permissions of an ordinary new file: the umask applies.
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let file = tempfile::Builder::new().suffix(&suffix).permissions(permissions).tempfile_in(folder)?;
    Ok(file.into_temp_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_with_its_file_although_a_child_process_may_have_that_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let file = lock_output(&path).unwrap();
        let of_child = file.try_clone().unwrap();
        assert_eq!(lock_output(&path).err().unwrap().exit_code(), 2);
        drop(file);
        assert!(lock_output(&path).is_ok());
        drop(of_child);
    }
}
