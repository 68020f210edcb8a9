//! What a run leaves to read: a journal while it goes, and from it the timeline, the plot and the subtitles.

pub mod journal;
pub mod plot;
pub mod subtitles;
pub mod timeline;

use std::path::Path;

use crate::error::Error;

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

/// The name under which a file is written before it is complete.
fn part(path: &Path) -> std::path::PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    path.with_file_name(name)
}
