//! Files that hold the bytes of a target.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::history::database;

/// A folder of one thread, whose files are written again and again.
pub struct Scratch(TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder for temporary files"))
    }

    /// Calls `with` on the thread's folder.
    pub fn with<T>(with: impl FnOnce(&Self) -> T) -> T {
        thread_local!(static SCRATCH: OnceCell<Scratch> = const { OnceCell::new() });
        SCRATCH.with(|scratch| with(scratch.get_or_init(Self::new)))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Creates an empty index of the folder.
    pub fn index(&self) -> Connection {
        let path = database::path(self.path());
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        database::create(&path).expect("a new index")
    }

    /// Writes a file and returns its path.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, bytes).expect("space for a temporary file");
        path
    }
}

/// Splits bytes at the first `mark`. Without one, the second part is empty.
pub fn split(bytes: &[u8], mark: u8) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == mark) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[]),
    }
}
