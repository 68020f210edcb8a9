//! Reads small files with a limit on their size.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads the text of a file or pipe of at most `limit` bytes.
///
/// # Errors
/// Returns an error if it cannot be read, is longer, or is not UTF-8.
pub fn text(path: &Path, limit: usize) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(limit as u64 + 1).read_to_string(&mut text);
    // If the limit splits a character, the UTF-8 error would be misleading: report the length instead.
    if text.len() > limit || (read.is_err() && path.metadata().is_ok_and(|file| file.len() > limit as u64)) {
        return Err(io::Error::other(format!("it has more than {limit} bytes")));
    }
    read.map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beyond_the_limit_is_rejected() {
        assert!(text(Path::new("/dev/zero"), 1000).unwrap_err().to_string().contains("more than 1000 bytes"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "ä".repeat(10)).unwrap();
        assert_eq!(text(&path, 20).unwrap().chars().count(), 10);
        assert!(text(&path, 19).unwrap_err().to_string().contains("more than 19 bytes"));
    }
}
