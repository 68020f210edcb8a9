//! The folder of the simulated cameras: a small disk that can be full, and what becomes of each file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::statvfs::statvfs;

use crate::pipeline::simulation::calendar::{DAY, DAYS, START, Space, TICK_SECONDS};
use crate::report::journal;
use crate::report::stamped_name::StampedName;

/// A disk up to this size is filled.
const SMALL: u64 = 128 << 20;
/// What is left when there is little space.
const LITTLE: usize = 3 << 20;

/// A file of a camera.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub bytes: u64,
    /// When it was written last, as the time that recordings can age.
    pub written: Duration,
}

/// The files of all cameras.
pub struct Files {
    pub folder: PathBuf,
    disk: PathBuf,
    /// Whether the disk may be filled.
    pub fills: bool,
    pub seen: BTreeMap<String, Seen>,
    /// Files that are gone, with their age.
    pub gone: Vec<(String, Seen, Duration)>,
    /// Names of all files that ever were.
    pub names: BTreeSet<String>,
}

impl Files {
    pub fn new(disk: &Path) -> Self {
        let size = statvfs(disk).map(|disk| disk.blocks() * disk.fragment_size()).unwrap();
        let folder = disk.join("recordings");
        fs::create_dir_all(&folder).unwrap();
        Self {
            folder,
            disk: disk.into(),
            fills: size <= SMALL,
            seen: BTreeMap::new(),
            gone: Vec::new(),
            names: BTreeSet::new(),
        }
    }

    /// Fills the disk, or empties it.
    pub fn set_space(&self, space: Space) {
        let ballast = self.disk.join("ballast");
        if !self.fills {
            return;
        }
        let _ = fs::remove_file(&ballast);
        let mut file = File::create(&ballast).unwrap();
        let left = match space {
            Space::Enough => return,
            Space::Little => LITTLE,
            Space::None => 0,
        };
        let free = || statvfs(&self.disk).map(|disk| disk.blocks_available() * disk.fragment_size()).unwrap();
        while free() > left as u64 {
            let zeros = vec![0; (free() as usize - left).clamp(1, 1 << 20)];
            if file.write_all(&zeros).is_err() {
                break;
            }
        }
    }

    /// Gives the files that were written since the time of day of the simulation, and finds those that are gone. `age` is the
    /// time that recordings could age so far.
    pub fn look(&mut self, now: SystemTime, age: Duration) {
        let real = UNIX_EPOCH + Duration::from_secs(START + (DAYS + 10) * DAY * TICK_SECONDS);
        let mut missing = std::mem::take(&mut self.seen);
        for entry in fs::read_dir(&self.folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if StampedName::parse(&name).is_none() {
                continue;
            }
            let metadata = entry.metadata().unwrap();
            let before = missing.remove(&name);
            let fresh = metadata.modified().unwrap() > real;
            if fresh {
                File::options().append(true).open(entry.path()).unwrap().set_modified(now).unwrap();
            }
            let written = before.filter(|_| !fresh).map_or(age, |seen| seen.written);
            self.names.insert(name.clone());
            self.seen.insert(name, Seen { bytes: metadata.len(), written });
        }
        self.gone.extend(missing.into_iter().map(|(name, seen)| (name, seen, age - seen.written)));
    }

    /// Returns whether a run writes a file, or pictures beside a journal that it writes.
    pub fn is_open(&self, name: &str) -> bool {
        let locked = |name: &str| {
            File::open(self.folder.join(name))
                .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
        };
        let beside = name.strip_suffix(crate::report::picture_file::SUFFIX);
        locked(name) || beside.is_some_and(|stem| locked(&format!("{stem}{}", journal::SUFFIX)))
    }
}
