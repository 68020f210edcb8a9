//! Has the disk keep what was written, so that a loss of power does not take it: what the system has not written yet is only in memory.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use tempfile::TempPath;

use crate::system::folders;

/// Waits until the disk has a file's content and its name. Others may be writing it.
///
/// # Errors
/// Those of the file system: the disk may be full or failing, or the file gone.
pub fn sync(path: &Path) -> io::Result<()> {
    sync_content(path)?;
    sync_names(path)
}

/// Waits until the disk has a file's content.
///
/// # Errors
/// Those of [`sync`].
pub fn sync_content(path: &Path) -> io::Result<()> {
    tolerated(File::open(path)?.sync_data())
}

/// Waits until the disk has the names in the folder of `path`: what was created, renamed and deleted there.
///
/// # Errors
/// Those of [`sync`].
pub fn sync_names(path: &Path) -> io::Result<()> {
    match File::open(folders::of(path)) {
        // A folder may be writable and not readable.
        Err(cause) if cause.kind() == ErrorKind::PermissionDenied => Ok(()),
        opened => tolerated(opened?.sync_all()),
    }
}

/// Gives a complete temporary file its name, once the disk has its content, and waits until the disk has the name, too.
///
/// # Errors
/// Those of [`sync`]. The temporary file is deleted then.
pub fn persist(part: TempPath, path: &Path) -> io::Result<()> {
    sync_content(&part)?;
    part.persist(path)?;
    sync_names(path)
}

/// Some network file systems, and pipes, cannot be asked to keep anything.
fn tolerated(synced: io::Result<()>) -> io::Result<()> {
    match synced {
        Err(cause) if matches!(cause.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_devices_and_folders_are_synced_and_a_missing_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        assert_eq!(sync(&path).unwrap_err().kind(), ErrorKind::NotFound);
        std::fs::write(&path, "a").unwrap();
        sync(&path).unwrap();
        sync(Path::new("Cargo.toml")).unwrap();
        sync_content(Path::new("/dev/null")).unwrap();
    }
}
