//! Files of videos and pictures: their extensions, and the files of a folder.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

const VIDEO: [&str; 13] = ["3gp", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "ts", "webm", "wmv"];

/// File extensions of pictures.
pub const PICTURE: [&str; 7] = ["bmp", "jpeg", "jpg", "png", "tif", "tiff", "webp"];

/// Returns whether `path` is a file with a video's extension.
pub fn is_video(path: &Path) -> bool {
    is_file_of(path, &VIDEO)
}

/// Returns whether `path` is a file with a picture's extension.
pub fn is_picture(path: &Path) -> bool {
    is_file_of(path, &PICTURE)
}

/// Returns whether a name is that of a video, by its extension.
pub fn has_video_extension(path: &Path) -> bool {
    has_extension(path, &VIDEO)
}

fn is_file_of(path: &Path, extensions: &[&str]) -> bool {
    path.is_file() && has_extension(path, extensions)
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|extension| extensions.contains(&extension.as_str()))
}

/// Returns the paths in a folder, sorted.
///
/// # Errors
/// `Input` if it cannot be read.
pub fn list_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let paths = std::fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> = paths.map_err(|cause: std::io::Error| {
        Error::input(format!("{}: cannot be read", folder.display())).because(cause).remedy("check its permissions")
    })?;
    paths.sort();
    Ok(paths)
}

/// Returns whether a file is hidden: its name begins with a dot.
pub fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}
