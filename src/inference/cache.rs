//! The cache of compiled models. Loading one takes less than half the time of compiling it.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::inference::model::Model;
use crate::system::{durable, locate};

/// Overrides the cache's folder; an empty value disables the cache.
const VARIABLE: &str = "LIVELABEL_CACHE";
/// Version of the cache's format. The program's version covers the libraries' versions.
const FORMAT: &str = concat!(env!("CARGO_PKG_VERSION"), "-2");
/// Models in the cache; the least recently used ones are removed.
const MAX_MODELS: usize = 8;
/// A file that is written last and holds the sizes of all other files.
const COMPLETE: &str = "complete";

/// The cache of one model.
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Returns the cache of `model`; `None` if it is disabled or its folder cannot be created.
    pub fn of(model: &Model) -> Option<Self> {
        let all = root()?;
        let folder = all.join(&model.sha256[..16]);
        fs::create_dir_all(&folder).ok()?;
        // The modification time of this file is the time of the last use.
        fs::write(folder.join("used"), []).ok()?;
        tidy(&all);
        Some(Self { folder })
    }

    /// Returns the folder of the model that was compiled with `key`. An incomplete folder is removed, since files in
    /// use would be overwritten otherwise.
    pub fn find(&self, key: &str) -> Option<PathBuf> {
        let folder = self.entry(key);
        let expected = fs::read_to_string(folder.join(COMPLETE)).ok()?;
        if sizes(&folder).ok()? == expected {
            return Some(folder);
        }
        let _ = fs::remove_dir_all(&folder);
        None
    }

    /// Adds the model that `compile` writes to the folder it gets. Returns its final folder; `None` if it cannot be
    /// stored.
    ///
    /// # Errors
    /// Those of `compile`.
    pub fn add<E>(&self, key: &str, compile: impl FnOnce(&Path) -> Result<(), E>) -> Result<Option<PathBuf>, E> {
        // Written to a temporary folder and renamed, so that another process never finds an incomplete entry.
        let Ok(part) = tempfile::tempdir_in(&self.folder) else { return Ok(None) };
        compile(part.path())?;
        let entry = self.entry(key);
        Ok(complete(part.path()).and_then(|()| place(part.path(), &entry)).ok().map(|()| entry))
    }

    /// Releases the memory of files that a session has mapped from `folder`: it has its own copy of the weights by
    /// then. Pages that are accessed again are read again.
    pub fn page_out(folder: &Path) {
        for mapping in mappings().into_iter().filter(|mapping| mapping.file.starts_with(folder)) {
            // SAFETY: the advice changes no content, and fails for an address that is not mapped any more.
            unsafe { libc::madvise(mapping.start as *mut libc::c_void, mapping.len, libc::MADV_PAGEOUT) };
        }
    }

    /// Returns an entry's folder. Its name contains the processor, since machines may share a home folder.
    fn entry(&self, key: &str) -> PathBuf {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let own = |line: &&str| line.starts_with("model name") || line.starts_with("flags");
        let mut hash = Sha256::new();
        cpuinfo.lines().filter(own).take(2).for_each(|line| hash.update(line));
        let processor: String = hash.finalize()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{key}-{processor}-{FORMAT}"))
    }
}

/// A file mapping of this process.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    start: usize,
    len: usize,
    file: PathBuf,
}

/// Lists the mappings of this process, see proc_pid_maps(5).
fn mappings() -> Vec<Mapping> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines().filter_map(mapping).collect()
}

/// Parses a line such as `7f00-7f10 r--p 00000000 fe:01 42   /a/file`.
fn mapping(line: &str) -> Option<Mapping> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let [start, end] = [start, end].map(|digits| usize::from_str_radix(digits, 16));
    let (start, end) = (start.ok()?, end.ok()?);
    let file = &rest[rest.find('/')?..];
    Some(Mapping { start, len: end.checked_sub(start)?, file: file.into() })
}

/// Returns the folder of all models; `None` if the cache is disabled.
pub fn root() -> Option<PathBuf> {
    let all = match std::env::var_os(VARIABLE) {
        Some(named) => PathBuf::from(named),
        None => locate::caches()?.join("livelabel/networks"),
    };
    (!all.as_os_str().is_empty()).then_some(all)
}

/// Writes [`COMPLETE`], once the disk has all other files of a folder: after a loss of power their sizes alone may be right.
fn complete(folder: &Path) -> std::io::Result<()> {
    fs::read_dir(folder)?.try_for_each(|entry| durable::sync_content(&entry?.path()))?;
    fs::write(folder.join(COMPLETE), sizes(folder)?)
}

/// Renames a folder to `entry`, in the place of what was there.
fn place(folder: &Path, entry: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(entry) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(cause),
        _ => fs::rename(folder, entry),
    }
}

/// Lists every file of a folder except [`COMPLETE`] with its size, to detect truncated files.
fn sizes(folder: &Path) -> std::io::Result<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() != COMPLETE {
            lines.push(format!("{} {}\n", entry.file_name().to_string_lossy(), entry.metadata()?.len()));
        }
    }
    lines.sort();
    Ok(lines.concat())
}

/// Deletes the least recently used models. A failure is retried at the next start.
fn tidy(all: &Path) {
    let Ok(entries) = fs::read_dir(all) else { return };
    let used = |path: PathBuf| Some((path.join("used").metadata().ok()?.modified().ok()?, path));
    let mut models: Vec<_> = entries.flatten().filter_map(|entry| used(entry.path())).collect();
    models.sort();
    for (_, path) in models.iter().rev().skip(MAX_MODELS) {
        let _ = fs::remove_dir_all(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_recently_used_models_are_kept() {
        let all = tempfile::tempdir().unwrap();
        for i in 0..MAX_MODELS + 3 {
            let own = all.path().join(format!("model{i:02}"));
            fs::create_dir_all(&own).unwrap();
            let used = fs::File::create(own.join("used")).unwrap();
            let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(i as u64);
            used.set_modified(time).unwrap();
        }
        tidy(all.path());
        let mut kept: Vec<_> = fs::read_dir(all.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        kept.sort();
        assert_eq!(
            kept,
            (3..MAX_MODELS + 3).map(|i| format!("model{i:02}").into()).collect::<Vec<std::ffi::OsString>>()
        );
    }

    #[test]
    fn mappings_are_parsed() {
        let file = |start, len, file: &str| Some(Mapping { start, len, file: file.into() });
        let line = "7f0000-7f2000 r--p 00001000 fe:01 42                    /a folder/network.bin";
        assert_eq!(mapping(line), file(0x7f_0000, 0x2000, "/a folder/network.bin"));
        assert_eq!(mapping("7f0000-7f2000 rw-p 00000000 00:00 0 "), None);
        assert_eq!(mapping("7f0000-7f2000 rw-p 00000000 00:00 0          [heap]"), None);
    }

    #[test]
    fn paged_out_files_keep_their_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.blob");
        fs::write(&path, vec![7; 1 << 20]).unwrap();
        let file = fs::File::open(&path).unwrap();
        let map = |at| {
            use std::os::fd::AsRawFd;
            // SAFETY: a new mapping of an open file.
            unsafe { libc::mmap(at, 1 << 20, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) }
        };
        let address = map(std::ptr::null_mut());
        assert_ne!(address, libc::MAP_FAILED);
        // SAFETY: a megabyte is mapped there.
        let bytes = unsafe { std::slice::from_raw_parts(address.cast::<u8>(), 1 << 20) };
        assert!(bytes.iter().all(|&byte| byte == 7));
        assert!(mappings().iter().any(|mapping| mapping.file == path && mapping.len == 1 << 20));
        Cache::page_out(folder.path());
        assert!(bytes.iter().all(|&byte| byte == 7));
        // SAFETY: `bytes` is not used any more.
        unsafe { libc::munmap(address, 1 << 20) };
    }

    #[test]
    fn only_complete_entries_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache { folder: folder.path().into() };
        assert_eq!(cache.find("one"), None);
        let failed = cache.add("one", |_| Err("no"));
        assert_eq!((failed, cache.find("one")), (Err("no"), None));
        let write = |folder: &Path| fs::write(folder.join("a.blob"), "a network").map_err(|cause| cause.to_string());
        let kept = cache.add("one", write).unwrap().unwrap();
        assert_eq!(cache.find("one"), Some(kept.clone()));
        assert_eq!(cache.find("other"), None);
        fs::write(kept.join("a.blob"), "a net").unwrap();
        assert_eq!((cache.find("one"), kept.exists()), (None, false));
        cache.add("one", write).unwrap();
        assert_eq!(fs::read_to_string(cache.find("one").unwrap().join("a.blob")).unwrap(), "a network");
    }
}
