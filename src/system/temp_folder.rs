//! A folder for the temporary files of one run, so that a run in a sandbox sees no other program's. It is in a folder of all
//! runs of this user, where the run may delete it.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

const PREFIX: &str = "run-";
/// Who may use the folder of all runs: this user.
const PRIVATE: u32 = 0o700;
/// The variables that say where temporary files go: everybody's, and SQLite's own.
const VARIABLES: [&str; 2] = ["TMPDIR", "SQLITE_TMPDIR"];
/// A folder this young may not be locked yet.
const YOUNG: Duration = Duration::from_secs(60);

/// A folder that is deleted with all its files when it is dropped. What a killed run left is deleted by a later one.
pub struct TempFolder {
    /// The folder of all runs.
    pub all: PathBuf,
    _folder: TempDir,
    /// Says that the run goes on.
    _lock: File,
}

impl TempFolder {
    /// Makes the folder, and has this process use it for all temporary files. Call it before the first thread is started.
    /// Returns `None` if there is no place for one.
    pub fn create() -> Option<Self> {
        let all = folder_of_user(&std::env::temp_dir())?;
        sweep(&all);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&all).ok()?;
        let lock = File::open(folder.path()).ok()?;
        lock.try_lock().ok()?;
        for variable in VARIABLES {
            // SAFETY: no other thread exists that could read the environment.
            unsafe { std::env::set_var(variable, folder.path()) };
        }
        Some(Self { all, _folder: folder, _lock: lock })
    }
}

/// Makes the folder of all runs of this user. Returns `None` if another user could write to it.
fn folder_of_user(folder: &Path) -> Option<PathBuf> {
    let user = nix::unistd::geteuid().as_raw();
    let path = folder.join(format!("livelabel-{user}"));
    // It may be there already.
    let _ = DirBuilder::new().mode(PRIVATE).create(&path);
    let metadata = path.symlink_metadata().ok()?;
    (metadata.is_dir() && metadata.uid() == user && metadata.mode() & 0o777 == PRIVATE).then_some(path)
}

/// Deletes the folders of runs that have ended.
fn sweep(all: &Path) {
    let Ok(entries) = all.read_dir() else { return };
    let ours = |name: &str| name.starts_with(PREFIX);
    let named = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(ours));
    for folder in named.map(|entry| entry.path()).filter(|path| is_abandoned(path, SystemTime::now())) {
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// Returns whether a folder is this user's, and no run uses it.
fn is_abandoned(folder: &PathBuf, now: SystemTime) -> bool {
    let Ok(metadata) = folder.symlink_metadata() else { return false };
    let own = metadata.is_dir() && metadata.uid() == nix::unistd::geteuid().as_raw();
    let age = metadata.modified().ok().and_then(|modified| now.duration_since(modified).ok());
    own && age.is_some_and(|age| age >= YOUNG)
        && File::open(folder).is_ok_and(|file| !matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_folder_of_all_runs_is_for_this_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder_of_user(folder.path()).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, PRIVATE);
        assert_eq!(folder_of_user(folder.path()), Some(path.clone()));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(folder_of_user(folder.path()), None);
        std::fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink(folder.path(), &path).unwrap();
        assert_eq!(folder_of_user(folder.path()), None);
    }

    #[test]
    fn a_folder_is_abandoned_when_its_run_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let (path, later) = (folder.path().to_path_buf(), SystemTime::now() + 2 * YOUNG);
        assert!(is_abandoned(&path, later));
        assert!(!is_abandoned(&path, SystemTime::now()));
        let lock = File::open(&path).unwrap();
        lock.try_lock().unwrap();
        assert!(!is_abandoned(&path, later));
        drop(lock);
        assert!(is_abandoned(&path, later));
        let link = path.join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(!is_abandoned(&link, later));
    }
}
