//! Keeps a camera's files within an age or a size: the oldest of its own go, no other file is touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::settings::Keep;

/// How the files of a live run end.
const ENDINGS: [&str; 4] = [".mkv", ".avi", ".timeline.jsonl", ".summary.json"];
/// `-20260102T030405Z`, which stands between a name and its ending.
const STAMP: usize = 17;

/// Deletes the oldest files of `stem` in `folder` that are beyond `keep`, but none of `open`. Returns what was deleted.
pub fn apply(folder: &Path, stem: &str, keep: Keep, open: &[&Path]) -> Vec<PathBuf> {
    let mut files = own(folder, stem);
    // By name is by time.
    files.sort_by(|a, b| stamp(&a.path, stem).cmp(&stamp(&b.path, stem)));
    let now = SystemTime::now();
    let mut total: u64 = files.iter().map(|file| file.bytes).sum();
    let mut deleted = Vec::new();
    for file in files {
        let surplus = match keep {
            Keep::Age(age) => now.duration_since(file.modified).unwrap_or(Duration::ZERO) > age,
            Keep::Bytes(most) => total > most,
        };
        if !surplus || open.contains(&file.path.as_path()) {
            continue;
        }
        match fs::remove_file(&file.path) {
            Ok(()) => {
                total -= file.bytes;
                deleted.push(file.path);
            }
            Err(cause) => tracing::warn!("{}: cannot be deleted ({cause})", file.path.display()),
        }
    }
    deleted
}

struct Own {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

fn own(folder: &Path, stem: &str) -> Vec<Own> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| is_own(&entry.file_name().to_string_lossy(), stem))
        .filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            let path = if folder == Path::new(".") { entry.file_name().into() } else { entry.path() };
            Some(Own { path, bytes: metadata.len(), modified: metadata.modified().ok()? })
        })
        .collect()
}

fn stamp<'a>(path: &'a Path, stem: &str) -> Option<&'a str> {
    path.file_name()?.to_str()?.strip_prefix(stem)
}

/// Whether a file was named by a run of `stem`: the name, a time, an optional number, a known ending.
fn is_own(name: &str, stem: &str) -> bool {
    let Some((stamp, ending)) = name.strip_prefix(stem).and_then(|rest| rest.split_at_checked(STAMP)) else {
        return false;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let timed = stamp.is_ascii()
        && stamp.starts_with('-')
        && digits(&stamp[1..9])
        && &stamp[9..10] == "T"
        && digits(&stamp[10..16])
        && stamp.ends_with('Z');
    let ending = match ending.strip_prefix('-').and_then(|rest| rest.split_once('.')) {
        Some((number, _)) if digits(number) => &ending[1 + number.len()..],
        _ => ending,
    };
    timed && ENDINGS.contains(&ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_files_are_known() {
        for name in ["door-20260102T030405Z.mkv", "door-20260102T030405Z-2.timeline.jsonl", "door-20260102T030405Z.avi"]
        {
            assert!(is_own(name, "door"), "{name}");
        }
        for name in [
            "door.mkv",
            "door-2-20260102T030405Z.mkv",
            "door-holiday.mkv",
            "door-20260102T030405Z.jpg",
            "dööööööööööööööööör",
        ] {
            assert!(!is_own(name, "door"), "{name}");
        }
    }

    #[test]
    fn the_oldest_go_until_the_rest_fits() {
        let folder = tempfile::tempdir().unwrap();
        let path = |hour: u32| folder.path().join(format!("door-20260102T{hour:02}0000Z.mkv"));
        (0..5).for_each(|hour| fs::write(path(hour), [0; 100]).unwrap());
        fs::write(folder.path().join("door.mkv"), [0; 1000]).unwrap();
        let deleted = apply(folder.path(), "door", Keep::Bytes(250), &[&path(0)]);
        assert_eq!(deleted, [path(1), path(2), path(3)]);
        assert!(path(0).exists() && path(4).exists() && folder.path().join("door.mkv").exists());
    }

    #[test]
    fn what_is_too_old_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |hour: u32| folder.path().join(format!("door-20260102T{hour:02}0000Z.mkv"));
        (0..3).for_each(|hour| fs::write(path(hour), "x").unwrap());
        let old = SystemTime::now() - Duration::from_secs(3600);
        fs::File::options().append(true).open(path(1)).unwrap().set_modified(old).unwrap();
        assert_eq!(apply(folder.path(), "door", Keep::Age(Duration::from_secs(60)), &[]), [path(1)]);
    }
}
