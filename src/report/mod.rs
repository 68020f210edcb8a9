//! What a run leaves to read: a journal while it goes, and from it the timeline, the plot and the subtitles.

pub mod diary;
pub mod journal;
pub mod plot;
pub mod subtitles;
pub mod timeline;

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Milliseconds, as every file outside the program tells time.
pub fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

/// Five digits behind the point, as the original rounds confidences.
pub fn rounded(confidence: f64) -> f64 {
    (confidence * 1e5).round() / 1e5
}

fn unwritable(path: &Path, cause: std::io::Error) -> Error {
    let full = cause.kind() == std::io::ErrorKind::StorageFull;
    let remedy = if full { "free some room, or write elsewhere" } else { "choose a folder that can be written to" };
    Error::failed(format!("{}: cannot be written", path.display())).because(cause).remedy(remedy)
}

/// The name under which a file is written before it is complete. The extension stays in its place, as some writers tell
/// the format by it.
pub fn part(path: &Path) -> PathBuf {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    path.with_extension(format!("part.{extension}"))
}

/// Has `write` write a file beside `path`, and renames it when it is complete; on a failure nothing is left of it.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let part = part(path);
    let written = write(&part).and_then(|()| std::fs::rename(&part, path).map_err(|cause| unwritable(path, cause)));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written
}
