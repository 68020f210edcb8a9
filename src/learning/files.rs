//! The files of the folder: only their owner may read them, and each is complete or not there.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::system::replace::{PART, replace_private};
use crate::system::utc;

/// The table of settled answers, and its columns.
pub const TABLE: &str = "corrections.tsv";
pub const COLUMNS: [&str; 5] = ["path", "class", "split_group", "stream", "time"];
/// The folder of the pictures.
pub const FRAMES: &str = "frames";

/// Creates a folder that only its owner may enter, if it is missing.
///
/// # Errors
/// Those of the system.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Creates an empty file that only its owner may read, if it is missing.
///
/// # Errors
/// Those of the system.
pub fn touch(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}

/// Replaces a file that only its owner may read: see [`replace_private`].
///
/// # Errors
/// `Failed` if it cannot be written. The old one is untouched then.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_private(path, bytes).map_err(|cause| Error::unwritable(path, cause))
}

/// Returns the path of a frame's picture below the folder: `frames/STREAM/2026-01-02/030405678-ID.jpg`. `stem` is the stream's name as
/// its files have it.
pub fn picture(stem: &str, time: i64, id: i64) -> String {
    let text = utc::milliseconds(utc::of_epoch_ms(time));
    let (day, clock) = text.split_once('T').unwrap_or((&text, ""));
    let clock: String = clock.chars().filter(char::is_ascii_digit).collect();
    format!("{FRAMES}/{stem}/{day}/{clock}-{id}.jpg")
}

/// Returns the id in the name of a picture.
pub fn id_of(path: &str) -> Option<i64> {
    path.strip_suffix(".jpg")?.rsplit_once('-')?.1.parse().ok()
}

/// Deletes a file below `folder`, and the folders that it leaves empty.
pub fn remove(folder: &Path, file: &str) {
    let path = folder.join(file);
    let _ = fs::remove_file(&path);
    // Those of the day and of the stream.
    for parent in path.ancestors().skip(1).take(2) {
        if fs::remove_dir(parent).is_err() {
            break;
        }
    }
}

/// Deletes the pictures that no frame has: a kill between picture and database left them. Returns their number.
pub fn sweep(folder: &Path, known: &HashSet<String>) -> usize {
    let mut removed = 0;
    for stream in list(&folder.join(FRAMES)) {
        for path in list(&stream).iter().flat_map(|day| list(day)) {
            let Ok(below) = path.strip_prefix(folder) else { continue };
            let Some(below) = below.to_str() else { continue };
            let ours = id_of(below).is_some() || path.extension().is_some_and(|ending| ending == PART);
            if ours && !known.contains(below) {
                remove(folder, below);
                removed += 1;
            }
        }
    }
    removed
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect()
}

/// Reads a picture below `folder` that is no larger than `most` bytes.
pub fn read(folder: &Path, file: &str, most: u64) -> Option<Vec<u8>> {
    let path = folder.join(file);
    let found = File::open(&path).ok()?;
    let size = found.metadata().ok().filter(fs::Metadata::is_file)?.len();
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(found, most), &mut bytes).ok()?;
    (size <= most).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_picture_lies_under_its_stream_and_day() {
        assert_eq!(picture("door", 1_764_338_585_120, 17), "frames/door/2025-11-28/140305120-17.jpg");
        assert_eq!(picture("a.mp4", 520, 3), "frames/a.mp4/1970-01-01/000000520-3.jpg");
        assert_eq!([id_of("frames/a/b/000000520-3.jpg"), id_of("a-b.jpg"), id_of("3.jpg")], [Some(3), None, None]);
    }

    #[test]
    fn files_are_private_and_those_of_no_frame_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (kept, orphan) = (picture("door", 0, 1), picture("door", 0, 2));
        let other = picture("garden", 0, 3);
        for file in [&kept, &orphan, &other] {
            let path = folder.path().join(file);
            make_folder(path.parent().unwrap()).unwrap();
            replace(&path, b"x").unwrap();
            assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        }
        let own = folder.path().join("frames/door/notes.txt");
        fs::write(&own, "").unwrap();
        fs::write(folder.path().join(&kept).with_extension("jpg.part"), "half").unwrap();
        assert_eq!(sweep(folder.path(), &HashSet::from([kept.clone()])), 3);
        assert!(folder.path().join(&kept).exists() && own.exists() && !folder.path().join("frames/garden").exists());
        assert_eq!(read(folder.path(), &kept, 1).unwrap(), b"x");
        assert_eq!([read(folder.path(), &kept, 0), read(folder.path(), &orphan, 9)], [None, None]);
    }
}
