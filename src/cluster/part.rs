//! Results that are not complete: a folder beside their place. It gets its name when it is complete, so a name is never that of half a
//! result, and whoever comes second changes nothing.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cluster::job::JobId;
use crate::error::{Error, Result};
use crate::system::durable;

/// What names a folder that is not complete, and one of a clip that failed.
const PART: &str = ".part-";
const FAILED: &str = ".failed";
/// Bytes that a disk must take that is not full.
const PROBE: usize = 1 << 20;

/// A folder with results that are not complete. Dropping it deletes them.
pub struct Part {
    pub folder: PathBuf,
}

impl Part {
    /// Makes a folder for a job's results. What a worker left of this job that was killed is deleted.
    ///
    /// # Errors
    /// Failed, if nothing can be written there.
    pub fn create(output: &Path, id: &JobId) -> Result<Self> {
        let made = || -> io::Result<PathBuf> {
            fs::create_dir_all(output)?;
            let prefix = format!("{PART}{id}.");
            for entry in fs::read_dir(output)?.flatten() {
                if entry.file_name().to_string_lossy().starts_with(&prefix) {
                    remove(&entry.path());
                }
            }
            let folder = output.join(format!("{prefix}{:016x}", fastrand::u64(..)));
            fs::create_dir(&folder)?;
            Ok(folder)
        };
        made().map(|folder| Self { folder }).map_err(|cause| Error::unwritable(output, cause))
    }

    /// Returns the names of its files, sorted.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn files(&self) -> Result<Vec<String>> {
        names(&self.folder).map_err(|cause| Error::unwritable(&self.folder, cause))
    }

    /// Gives the results their place, unless another worker has been there; then these are deleted. Returns whether they are in place.
    /// With `again`, those that are there are replaced.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn complete(self, place: &Path, again: bool) -> Result<bool> {
        let _ = fs::remove_dir_all(failed(place));
        if again {
            remove(place);
        }
        let placed = fs::rename(&self.folder, place).and_then(|()| durable::sync_names(place));
        match placed {
            Ok(()) => Ok(true),
            Err(_) if place.is_dir() => Ok(false),
            Err(cause) => Err(Error::unwritable(place, cause)),
        }
    }

    /// Keeps what was labelled before a failure, beside the place of the results.
    pub fn keep_failed(self, place: &Path) {
        if names(&self.folder).is_ok_and(|names| !names.is_empty()) {
            let name = failed(place);
            let _ = fs::remove_dir_all(&name);
            let _ = fs::rename(&self.folder, name);
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It is gone if it is complete.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Deletes a folder with results. It gets another name first: a worker that comes back late must not complete what is being deleted.
fn remove(folder: &Path) {
    let aside = folder.with_file_name(format!("{PART}deleted.{:016x}", fastrand::u64(..)));
    if fs::rename(folder, &aside).is_ok() {
        let _ = fs::remove_dir_all(&aside);
    }
}

/// Returns where results before a failure are kept.
fn failed(place: &Path) -> PathBuf {
    let mut name = place.as_os_str().to_os_string();
    name.push(FAILED);
    name.into()
}

/// Returns whether something can be written to a folder.
pub fn is_writable(folder: &Path) -> bool {
    let written = || -> io::Result<()> {
        let mut file = tempfile::tempfile_in(folder)?;
        file.write_all(&vec![0; PROBE])?;
        file.sync_all()
    };
    written().is_ok()
}

/// Returns the names of the files in a folder, sorted.
///
/// # Errors
/// Those of the file system.
pub fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let mut names: Vec<String> = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}
