//! Reads regular files with a limit on their size.

use std::path::Path;
use std::{fs, io};

/// Reads a regular file of at most `most` bytes. A pipe could block for ever, and a device may never end.
///
/// # Errors
/// Returns an error if it cannot be read, is longer, or is something else.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = fs::metadata(path)?;
    match file.is_file() {
        true if file.len() <= most => fs::read(path),
        true => Err(io::Error::other(format!("it has more than {} MiB", most >> 20))),
        false => Err(io::Error::other("it is not a regular file")),
    }
}
