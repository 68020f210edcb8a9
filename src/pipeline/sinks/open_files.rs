//! The files that a stream is writing. Retention must not delete them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The open files, shared by the sinks of one stream.
#[derive(Clone, Default)]
pub struct OpenFiles(Arc<Mutex<Vec<PathBuf>>>);

/// A guard: its file counts as open until the guard is dropped, on any thread.
pub struct OpenFile {
    files: OpenFiles,
    path: PathBuf,
}

impl OpenFiles {
    pub fn add(&self, path: PathBuf) -> OpenFile {
        self.lock().push(path.clone());
        OpenFile { files: self.clone(), path }
    }

    pub fn paths(&self) -> Vec<PathBuf> {
        self.lock().clone()
    }

    /// Returns the file with this suffix that was opened last.
    pub fn last_with(&self, suffix: &str) -> Option<PathBuf> {
        let paths = self.lock();
        paths.iter().rev().find(|path| path.to_string_lossy().ends_with(suffix)).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let mut paths = self.files.lock();
        if let Some(index) = paths.iter().position(|path| *path == self.path) {
            paths.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_open_until_its_guard_is_dropped() {
        let files = OpenFiles::default();
        let (first, second) = (files.add("a.mkv".into()), files.add("b.mkv".into()));
        assert_eq!((files.last_with(".mkv"), files.last_with(".avi")), (Some("b.mkv".into()), None));
        let closing = std::thread::spawn(move || first);
        let first = closing.join().unwrap();
        assert_eq!(files.paths(), [PathBuf::from("a.mkv"), "b.mkv".into()]);
        drop(first);
        assert_eq!(files.paths(), [PathBuf::from("b.mkv")]);
        drop(second);
        assert!(files.paths().is_empty());
    }
}
