//! Networks as a device has compiled them, kept from run to run: loading one takes less than half the time of compiling it.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::inference::model::Model;

/// Overrides where they are kept; where it is empty nothing is.
const VARIABLE: &str = "LIVELABEL_CACHE";
/// Raised when what is kept changes its form. The program's version stands for those of the libraries.
const FORM: &str = concat!(env!("CARGO_PKG_VERSION"), "-2");
/// Models whose networks are kept; those used longest ago go.
const KEPT: usize = 8;
/// A file that is written last and holds the sizes of all others.
const COMPLETE: &str = "complete";

/// What is kept of one model.
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// `None` where there is no place for it.
    pub fn of(model: &Model) -> Option<Self> {
        let all = root()?;
        let folder = all.join(&model.sha256[..16]);
        fs::create_dir_all(&folder).ok()?;
        // Its time is that of the last use.
        fs::write(folder.join("used"), []).ok()?;
        tidy(&all);
        Some(Self { folder })
    }

    /// The folder of the network that was compiled in the way that `how` describes. One that is not as it was left is
    /// removed: what is in use would be written over otherwise.
    pub fn find(&self, how: &str) -> Option<PathBuf> {
        let folder = self.place(how);
        let told = fs::read_to_string(folder.join(COMPLETE)).ok()?;
        if sizes(&folder).ok()? == told {
            return Some(folder);
        }
        let _ = fs::remove_dir_all(&folder);
        None
    }

    /// Keeps the network that `compile` writes to the folder it is given. Returns where that is then.
    ///
    /// # Errors
    /// Those of `compile`.
    pub fn keep<E>(&self, how: &str, compile: impl FnOnce(&Path) -> Result<(), E>) -> Result<Option<PathBuf>, E> {
        // Made beside its place and renamed, so that another process never finds half of it.
        let Ok(part) = tempfile::tempdir_in(&self.folder) else { return Ok(None) };
        compile(part.path())?;
        let place = self.place(how);
        let kept = sizes(part.path()).and_then(|sizes| fs::write(part.path().join(COMPLETE), sizes)).and_then(|()| {
            match fs::remove_dir_all(&place) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(cause),
                _ => fs::rename(part.path(), &place),
            }
        });
        Ok(kept.ok().map(|()| place))
    }

    /// Hands back the memory of what a session has read from `folder`: it has laid the weights out anew by then.
    /// Whatever is looked at once more is read again.
    pub fn page_out(folder: &Path) {
        for mapping in mappings().into_iter().filter(|mapping| mapping.file.starts_with(folder)) {
            // SAFETY: the advice changes no content, and an address that is not mapped any more is only refused.
            unsafe { libc::madvise(mapping.start as *mut libc::c_void, mapping.len, libc::MADV_PAGEOUT) };
        }
    }

    /// What is compiled holds for one kind of processor, and a home folder may be shared by several.
    fn place(&self, how: &str) -> PathBuf {
        let told = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let own = |line: &&str| line.starts_with("model name") || line.starts_with("flags");
        let mut hash = Sha256::new();
        told.lines().filter(own).take(2).for_each(|line| hash.update(line));
        let processor: String = hash.finalize()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{how}-{processor}-{FORM}"))
    }
}

/// A file, or a part of one, that this process has mapped.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    start: usize,
    len: usize,
    file: PathBuf,
}

/// As Linux lists them, see proc_pid_maps(5).
fn mappings() -> Vec<Mapping> {
    let told = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    told.lines().filter_map(mapping).collect()
}

/// From a line such as `7f00-7f10 r--p 00000000 fe:01 42   /a/file`.
fn mapping(line: &str) -> Option<Mapping> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let [start, end] = [start, end].map(|digits| usize::from_str_radix(digits, 16));
    let (start, end) = (start.ok()?, end.ok()?);
    let file = &rest[rest.find('/')?..];
    Some(Mapping { start, len: end.checked_sub(start)?, file: file.into() })
}

fn root() -> Option<PathBuf> {
    let all = match std::env::var_os(VARIABLE) {
        Some(named) => PathBuf::from(named),
        None => {
            let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
            let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
            cache.or_else(home)?.join("livelabel/networks")
        }
    };
    (!all.as_os_str().is_empty()).then_some(all)
}

/// Every file of a folder but [`COMPLETE`] with its size, to tell a whole one from one that was cut short.
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

/// Deletes what was not used for long. What cannot be deleted is left for the next time.
fn tidy(all: &Path) {
    let Ok(entries) = fs::read_dir(all) else { return };
    let used = |path: PathBuf| Some((path.join("used").metadata().ok()?.modified().ok()?, path));
    let mut models: Vec<_> = entries.flatten().filter_map(|entry| used(entry.path())).collect();
    models.sort();
    for (_, path) in models.iter().rev().skip(KEPT) {
        let _ = fs::remove_dir_all(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_used_last_are_kept() {
        let all = tempfile::tempdir().unwrap();
        for i in 0..KEPT + 3 {
            let own = all.path().join(format!("model{i:02}"));
            fs::create_dir_all(&own).unwrap();
            let used = fs::File::create(own.join("used")).unwrap();
            let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(i as u64);
            used.set_modified(time).unwrap();
        }
        tidy(all.path());
        let mut left: Vec<_> = fs::read_dir(all.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, (3..KEPT + 3).map(|i| format!("model{i:02}").into()).collect::<Vec<std::ffi::OsString>>());
    }

    #[test]
    fn mappings_are_read_from_their_lines() {
        let file = |start, len, file: &str| Some(Mapping { start, len, file: file.into() });
        let line = "7f0000-7f2000 r--p 00001000 fe:01 42                    /a folder/network.bin";
        assert_eq!(mapping(line), file(0x7f_0000, 0x2000, "/a folder/network.bin"));
        assert_eq!(mapping("7f0000-7f2000 rw-p 00000000 00:00 0 "), None);
        assert_eq!(mapping("7f0000-7f2000 rw-p 00000000 00:00 0          [heap]"), None);
    }

    #[test]
    fn what_is_paged_out_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.blob");
        fs::write(&path, vec![7; 1 << 20]).unwrap();
        let file = fs::File::open(&path).unwrap();
        let map = |at| {
            use std::os::fd::AsRawFd;
            // SAFETY: a new mapping of an open file.
            unsafe { libc::mmap(at, 1 << 20, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) }
        };
        let place = map(std::ptr::null_mut());
        assert_ne!(place, libc::MAP_FAILED);
        // SAFETY: a megabyte is mapped there.
        let bytes = unsafe { std::slice::from_raw_parts(place.cast::<u8>(), 1 << 20) };
        assert!(bytes.iter().all(|&byte| byte == 7));
        assert!(mappings().iter().any(|mapping| mapping.file == path && mapping.len == 1 << 20));
        Cache::page_out(folder.path());
        assert!(bytes.iter().all(|&byte| byte == 7));
        // SAFETY: nobody looks at it any more.
        unsafe { libc::munmap(place, 1 << 20) };
    }

    #[test]
    fn only_what_is_whole_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache { folder: folder.path().into() };
        assert_eq!(cache.find("one"), None);
        let failed = cache.keep("one", |_| Err("no"));
        assert_eq!((failed, cache.find("one")), (Err("no"), None));
        let write = |folder: &Path| fs::write(folder.join("a.blob"), "a network").map_err(|cause| cause.to_string());
        let kept = cache.keep("one", write).unwrap().unwrap();
        assert_eq!(cache.find("one"), Some(kept.clone()));
        assert_eq!(cache.find("other"), None);
        fs::write(kept.join("a.blob"), "a net").unwrap();
        assert_eq!((cache.find("one"), kept.exists()), (None, false));
        cache.keep("one", write).unwrap();
        assert_eq!(fs::read_to_string(cache.find("one").unwrap().join("a.blob")).unwrap(), "a network");
    }
}
