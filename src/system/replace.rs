//! Replaces a file as a whole, so that a reader, a kill, a full disk or a loss of power never leaves half of it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::system::durable;

/// What a file's name ends with until it is complete.
pub const PART: &str = "part";
/// What an ordinary new file permits, apart from the umask; and a file that only its owner may read.
const ORDINARY: u32 = 0o666;
const PRIVATE: u32 = 0o600;

/// Writes `bytes` beside `path`, to the disk, and renames the result to `path`. What was there stays if that fails. Only one
/// thread of one program may write a file at a time.
///
/// # Errors
/// Those of the file system.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_as(ORDINARY, path, bytes)
}

/// The same for a file that only its owner may read.
///
/// # Errors
/// Those of the file system.
pub fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_as(PRIVATE, path, bytes)
}

fn replace_as(mode: u32, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut part = path.as_os_str().to_os_string();
    part.push(format!(".{PART}"));
    let part = PathBuf::from(part);
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        durable::sync_names(path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&part)))
}
