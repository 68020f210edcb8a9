//! Results that are not complete: a folder of their own. It gets its place when it is complete, so a name is never that of half a
//! result, and a later worker changes nothing.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::cluster::job::JobId;
use crate::error::{Error, Result};
use crate::system::durable;

/// The folder of what is not complete, with a folder for each job, and what is being deleted in it.
const PARTS: &str = ".part";
const DELETED: &str = ".deleted-";
/// What the folder of a clip that failed ends with.
const FAILED: &str = ".failed";
/// What was not changed for this long belongs to no worker any more.
const ABANDONED: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Bytes that a disk must take that is not full.
const PROBE: usize = 1 << 20;

/// A folder with results that are not complete. Dropping it deletes them.
pub struct Part {
    pub folder: PathBuf,
    /// For a copy of the clip, beside it.
    clip: PathBuf,
}

impl Part {
    /// Makes a folder for a job's results. What a killed worker left of this job is deleted.
    ///
    /// # Errors
    /// Failed, if nothing can be written there.
    pub fn create(output: &Path, id: &JobId) -> Result<Self> {
        let parts = output.join(PARTS).join(id.as_str());
        let made = || -> io::Result<PathBuf> {
            fs::create_dir_all(&parts)?;
            fs::read_dir(&parts)?.flatten().for_each(|entry| remove(&entry.path(), output));
            let folder = parts.join(format!("{:016x}", fastrand::u64(..)));
            // Another worker may have deleted the empty folder of the job.
            fs::create_dir_all(&folder)?;
            Ok(folder)
        };
        made()
            .map(|folder| Self { clip: folder.with_extension("clip"), folder })
            .map_err(|cause| Error::unwritable(output, cause))
    }

    /// Makes a folder for a copy of the clip, which is deleted with the rest.
    ///
    /// # Errors
    /// Failed, if nothing can be written there.
    pub fn clip_folder(&self) -> Result<&Path> {
        fs::create_dir_all(&self.clip).map_err(|cause| Error::unwritable(&self.clip, cause))?;
        Ok(&self.clip)
    }

    /// Returns the names of its files, sorted.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn files(&self) -> Result<Vec<String>> {
        names(&self.folder).map_err(|cause| Error::unwritable(&self.folder, cause))
    }

    /// Gives the results their place, unless another worker's are there; then these are deleted. Returns whether they are in place.
    /// With `again`, those that are there are replaced.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn complete(self, output: &Path, id: &JobId, again: bool) -> Result<bool> {
        let place = place(output, id);
        let _ = fs::remove_dir_all(failed(&place));
        if again {
            remove(&place, output);
        }
        let placed = fs::rename(&self.folder, &place).and_then(|()| durable::sync_names(&place));
        match placed {
            Ok(()) => Ok(true),
            Err(_) if place.is_dir() => Ok(false),
            Err(cause) => Err(Error::unwritable(&place, cause)),
        }
    }

    /// Keeps what was labelled before a failure, beside the place of the results.
    pub fn keep_failed(self, output: &Path, id: &JobId) {
        if names(&self.folder).is_ok_and(|names| !names.is_empty()) {
            let name = failed(&place(output, id));
            let _ = fs::remove_dir_all(&name);
            let _ = fs::rename(&self.folder, name);
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.clip);
        // It is gone if it is complete.
        let _ = fs::remove_dir_all(&self.folder);
        // The job's folder, and that of all jobs, if they are empty.
        for folder in self.folder.ancestors().skip(1).take(2) {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Returns where the results of a job are.
pub fn place(output: &Path, id: &JobId) -> PathBuf {
    output.join(id.as_str())
}

/// Deletes what workers left that were killed: what was being deleted, and what nobody has changed for a week.
pub fn sweep(output: &Path) {
    let parts = output.join(PARTS);
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().collect::<Vec<_>>();
    for job in entries(&parts) {
        if job.file_name().to_string_lossy().starts_with(DELETED) {
            let _ = fs::remove_dir_all(job.path());
            continue;
        }
        for part in entries(&job.path()).into_iter().filter(|part| is_abandoned(&part.path())) {
            let _ = fs::remove_dir_all(part.path());
        }
        let _ = fs::remove_dir(job.path());
    }
    let _ = fs::remove_dir(parts);
}

/// Returns whether neither a folder nor a file in it was changed for a week.
fn is_abandoned(folder: &Path) -> bool {
    let is_old = |path: &Path| {
        let changed = fs::metadata(path).and_then(|metadata| metadata.modified());
        changed.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > ABANDONED))
    };
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    is_old(folder) && files.into_iter().all(|file| is_old(&file.path()))
}

/// Deletes a folder with results. It gets another name first: a worker that comes back late must not complete what is being deleted.
fn remove(folder: &Path, output: &Path) {
    let aside = output.join(PARTS).join(format!("{DELETED}{:016x}", fastrand::u64(..)));
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

/// Writes something to a folder, which is made if it is missing.
///
/// # Errors
/// Those of the file system.
pub fn check_writable(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(&vec![0; PROBE])?;
    file.sync_all()
}

/// Returns whether a text is the name of a file, and leads to no other folder.
pub fn is_name(text: &str) -> bool {
    Path::new(text).file_name().is_some_and(|name| name == text)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(output: &Path, id: &JobId, content: &str) -> Part {
        let part = Part::create(output, id).unwrap();
        fs::write(part.folder.join("a.vtt"), content).unwrap();
        part
    }

    #[test]
    fn results_are_in_place_once_and_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (output, id) = (folder.path(), "a-1".parse().unwrap());
        let left = with_file(output, &id, "left by a killed worker");
        std::mem::forget(left);
        let first = with_file(output, &id, "first");
        assert_eq!(names(&output.join(PARTS).join("a-1")).unwrap().len(), 1);
        assert!(first.complete(output, &id, false).unwrap());
        let read = || fs::read_to_string(output.join("a-1/a.vtt")).unwrap();
        assert!(!with_file(output, &id, "second").complete(output, &id, false).unwrap());
        assert_eq!(read(), "first");
        assert!(with_file(output, &id, "again").complete(output, &id, true).unwrap());
        assert_eq!(read(), "again");
        assert_eq!(names(output).unwrap(), ["a-1"]);
    }

    #[test]
    fn what_was_labelled_before_a_failure_stays_until_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let (output, id) = (folder.path(), "a-1".parse().unwrap());
        Part::create(output, &id).unwrap().keep_failed(output, &id);
        assert_eq!(names(output).unwrap(), [""; 0]);
        with_file(output, &id, "half").keep_failed(output, &id);
        assert_eq!(names(output).unwrap(), ["a-1.failed"]);
        with_file(output, &id, "whole").complete(output, &id, false).unwrap();
        assert_eq!(names(output).unwrap(), ["a-1"]);
    }

    #[test]
    fn what_is_abandoned_is_deleted_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (output, id) = (folder.path(), "a-1".parse().unwrap());
        let [kept, old] = ["kept", "old"].map(|content| {
            let part = with_file(output, &format!("{content}-1").parse().unwrap(), content);
            std::mem::ManuallyDrop::new(part).folder.clone()
        });
        let long_ago = SystemTime::now() - 2 * ABANDONED;
        fs::File::open(old.join("a.vtt")).unwrap().set_modified(long_ago).unwrap();
        fs::File::open(&old).unwrap().set_modified(long_ago).unwrap();
        fs::create_dir(output.join(PARTS).join(format!("{DELETED}1"))).unwrap();
        with_file(output, &id, "done").complete(output, &id, false).unwrap();
        sweep(output);
        assert!(kept.join("a.vtt").exists());
        assert_eq!(names(&output.join(PARTS)).unwrap(), ["kept-1"]);
        assert_eq!(names(output).unwrap(), [PARTS, "a-1"]);
    }
}
