//! File name extensions of videos.

use std::path::Path;

const VIDEO: [&str; 13] = ["3gp", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "ts", "webm", "wmv"];

/// Returns whether `path` is a file with a video's extension.
pub fn is_video(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    path.is_file() && extension.is_some_and(|extension| VIDEO.contains(&extension.as_str()))
}
