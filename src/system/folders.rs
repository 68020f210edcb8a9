//! Folders, of which the current one has an empty path where a path has no other part.

use std::path::Path;

/// Returns `.` for an empty path.
pub fn named(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// Returns the folder that a file is in; `.` for a name alone.
pub fn of(file: &Path) -> &Path {
    named(file.parent().unwrap_or(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_folder_has_a_name() {
        let folders = ["clip.mp4", "clips/clip.mp4", "/clip.mp4", "/", ""].map(|file| of(Path::new(file)));
        assert_eq!(folders, [".", "clips", "/", "/", "."].map(Path::new));
        assert_eq!(named(Path::new("")), Path::new("."));
    }
}
