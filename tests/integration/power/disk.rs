//! A folder as a loss of power leaves it.
//!
//! What was synced is there. Names are those of a file system with a journal, like ext4 and XFS: creations, renames and deletions
//! happened in their order, up to some moment that is not before the last sync of a folder. The content of files that was not synced is
//! independent of that: it is missing, there in part, or a longer file has zeros where its pages were not written.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use fastrand::Rng;

use crate::power::log::{Kind, Log, Record};

const PAGE: usize = 4096;
/// A disk writes this much as a whole.
const SECTOR: usize = 512;

/// The content of a folder: files with their bytes and the time of their last change in nanoseconds, and folders.
#[derive(Debug, Default, PartialEq)]
pub struct Tree(pub BTreeMap<PathBuf, Option<(Vec<u8>, u64)>>);

/// A moment, after a number of records, and what decides about all that was not synced.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub records: usize,
    pub seed: u64,
}

/// The records of a run, by file.
pub struct Disk<'a> {
    log: &'a Log,
    /// Changes of each file's content.
    changes: HashMap<usize, Vec<usize>>,
    /// Changes of names.
    names: Vec<usize>,
}

impl<'a> Disk<'a> {
    pub fn new(log: &'a Log) -> Self {
        let mut disk = Self { log, changes: HashMap::new(), names: Vec::new() };
        for (number, record) in log.0.iter().enumerate() {
            match (record.kind, record.file) {
                (Kind::Write | Kind::Truncate, file) => {
                    let file = file.unwrap_or_else(|| panic!("{}: is older than the log", record.path.display()));
                    disk.changes.entry(file).or_default().push(number);
                }
                (Kind::Sync | Kind::SyncAll, _) => {}
                _ => disk.names.push(number),
            }
        }
        disk
    }

    /// Returns the moments of `count` cuts: half of them at random records, half at random times, and the first one after the end.
    pub fn cuts(&self, count: u64) -> Vec<Cut> {
        let all: Vec<usize> = (1..=self.log.0.len()).collect();
        (0..count).map(|seed| self.cut(seed, &all)).collect()
    }

    /// Returns the moments of `count` cuts: half of them right after a record that changes a name or syncs something, half at random
    /// times.
    pub fn moments(&self, count: u64) -> Vec<Cut> {
        let is_content = |record: &Record| matches!(record.kind, Kind::Write | Kind::Truncate);
        let all = self.log.0.iter().enumerate().filter(|(_, record)| !is_content(record));
        let all: Vec<usize> = all.map(|(number, _)| number + 1).collect();
        (0..count).map(|seed| self.cut(seed, &all)).collect()
    }

    fn cut(&self, seed: u64, places: &[usize]) -> Cut {
        let log = &self.log.0;
        let mut random = Rng::with_seed(seed);
        let records = match seed {
            0 => log.len(),
            _ if seed.is_multiple_of(2) => places[random.usize(..places.len())],
            _ => {
                let time = random.u64(log[0].time..=log[log.len() - 1].time);
                log.partition_point(|record| record.time <= time)
            }
        };
        Cut { records, seed }
    }

    /// Returns the time of a cut, in nanoseconds since 1970. What was reported before it must be there.
    pub fn time(&self, cut: Cut) -> u64 {
        self.log.0.get(cut.records).map_or(u64::MAX, |record| record.time)
    }

    /// Returns the folder without a cut.
    pub fn whole(&self) -> Tree {
        let records = self.log.0.len();
        self.tree(self.names.len(), |file| self.content(file, self.changes_before(file, records)))
    }

    /// Returns the length that a file had at a time, in bytes.
    pub fn length(&self, path: &Path, time: u64) -> usize {
        let records = self.log.0.partition_point(|record| record.time <= time);
        let names = self.names.partition_point(|&name| name < records);
        let tree = self.tree(names, |file| self.content(file, self.changes_before(file, records)));
        tree.0.get(path).and_then(Option::as_ref).map_or(0, |(bytes, _)| bytes.len())
    }

    /// Returns what a cut leaves.
    pub fn after(&self, cut: Cut) -> Tree {
        let mut random = Rng::with_seed(cut.seed);
        let happened = self.names.partition_point(|&name| name < cut.records);
        let synced = self.synced_names(cut.records);
        let kept = match random.u8(0..4) {
            0 => synced,
            1 => happened,
            _ => random.usize(synced..=happened),
        };
        self.tree(kept, |file| self.cut_content(file, cut.records, &mut random))
    }

    /// Returns how many changes of names are on the disk for certain.
    fn synced_names(&self, records: usize) -> usize {
        let log = &self.log.0;
        let covered = |sync: &Record| {
            let before = self.names.partition_point(|&name| name < sync.covers);
            let touches = |name: &&usize| {
                let Record { path, other, .. } = &log[**name];
                sync.kind == Kind::SyncAll || [path, other].iter().any(|path| path.parent() == Some(&sync.path))
            };
            self.names[..before].iter().rposition(|name| touches(&name)).map_or(0, |last| last + 1)
        };
        let folders = log[..records]
            .iter()
            .filter(|record| record.kind == Kind::SyncAll || (record.kind == Kind::Sync && record.file.is_none()));
        folders.map(covered).max().unwrap_or(0)
    }

    /// Returns the tree of the first `kept` changes of names.
    fn tree(&self, kept: usize, mut content: impl FnMut(usize) -> (Vec<u8>, u64)) -> Tree {
        let mut names: BTreeMap<PathBuf, Option<usize>> = BTreeMap::new();
        for &number in &self.names[..kept] {
            let Record { kind, path, other, .. } = &self.log.0[number];
            match kind {
                Kind::Create => drop(names.insert(path.clone(), Some(number))),
                Kind::Mkdir => drop(names.insert(path.clone(), None)),
                Kind::Unlink | Kind::Rmdir => drop(names.remove(path)),
                Kind::Link => drop(names.get(path).copied().map(|file| names.insert(other.clone(), file))),
                _ => {
                    let moved: Vec<PathBuf> = names.keys().filter(|name| name.starts_with(path)).cloned().collect();
                    for old in moved {
                        let file = names.remove(&old).expect("a name");
                        let below = old.strip_prefix(path).expect("a name below");
                        names
                            .insert(if below.as_os_str().is_empty() { other.clone() } else { other.join(below) }, file);
                    }
                }
            }
        }
        // A file with two names is the same under both.
        let mut known: HashMap<usize, (Vec<u8>, u64)> = HashMap::new();
        let mut read = |file: usize| known.entry(file).or_insert_with(|| content(file)).clone();
        Tree(names.into_iter().map(|(path, file)| (path, file.map(&mut read))).collect())
    }

    fn changes_before(&self, file: usize, records: usize) -> &[usize] {
        let changes = self.changes.get(&file).map_or(&[][..], Vec::as_slice);
        &changes[..changes.partition_point(|&change| change < records)]
    }

    /// Returns a file's content after these changes.
    fn content(&self, file: usize, changes: &[usize]) -> (Vec<u8>, u64) {
        let mut bytes = Vec::new();
        changes.iter().for_each(|&change| apply(&mut bytes, &self.log.0[change]));
        (bytes, self.log.0[*changes.last().unwrap_or(&file)].time)
    }

    fn cut_content(&self, file: usize, records: usize, random: &mut Rng) -> (Vec<u8>, u64) {
        let log = &self.log.0;
        let syncs = log[..records]
            .iter()
            .filter(|record| record.kind == Kind::SyncAll || (record.kind == Kind::Sync && record.file == Some(file)));
        let covered = syncs.map(|sync| sync.covers).max().unwrap_or(0);
        let all = self.changes_before(file, records);
        let synced = all.partition_point(|&change| change < covered);
        let rest = all.len() - synced;
        match random.u8(0..4) {
            0 => self.content(file, &all[..synced]),
            1 => self.content(file, all),
            2 if rest > 0 => {
                let whole = synced + random.usize(0..rest);
                let (mut bytes, time) = self.content(file, &all[..whole]);
                let Record { data, offset, kind, .. } = &log[all[whole]];
                if *kind == Kind::Write {
                    place(&mut bytes, *offset as usize, &data[..random.usize(0..=data.len())]);
                }
                (bytes, time)
            }
            _ => {
                let ((old, _), (mut new, time)) = (self.content(file, &all[..synced]), self.content(file, all));
                for (page, bytes) in new.chunks_mut(PAGE).enumerate() {
                    let old: Vec<u8> =
                        old.iter().skip(page * PAGE).chain(std::iter::repeat(&0)).take(bytes.len()).copied().collect();
                    // A page that did not change, one that is on the disk, one that is not, and one in part.
                    match random.u8(0..8) {
                        _ if *bytes == old[..] => {}
                        0..4 => {}
                        4..7 => bytes.copy_from_slice(&old),
                        _ => {
                            let torn = (random.usize(0..=PAGE / SECTOR) * SECTOR).min(bytes.len());
                            bytes[torn..].copy_from_slice(&old[torn..]);
                        }
                    }
                }
                (new, time)
            }
        }
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Record) {
    match change.kind {
        Kind::Truncate => bytes.resize(change.offset as usize, 0),
        _ => place(bytes, change.offset as usize, &change.data),
    }
}

fn place(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if bytes.len() < offset + data.len() {
        bytes.resize(offset + data.len(), 0);
    }
    bytes[offset..offset + data.len()].copy_from_slice(data);
}

impl Tree {
    /// Reads a folder.
    pub fn read(root: &Path) -> Self {
        let mut tree = Self::default();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let below = path.strip_prefix(root).expect("a path below").to_path_buf();
                if path.is_dir() {
                    tree.0.insert(below, None);
                    folders.push(path);
                } else {
                    tree.0.insert(below, Some((fs::read(&path).expect("a file"), 0)));
                }
            }
        }
        tree
    }

    /// Writes the tree to a folder.
    pub fn write(&self, root: &Path) {
        fs::create_dir_all(root).expect("a folder");
        // A folder comes before what is in it.
        for (path, content) in &self.0 {
            let path = root.join(path);
            match content {
                None => fs::create_dir(path).expect("a folder"),
                Some((bytes, time)) => {
                    fs::write(&path, bytes).expect("a file");
                    let changed = UNIX_EPOCH + Duration::from_nanos(*time);
                    File::options()
                        .write(true)
                        .open(&path)
                        .and_then(|file| file.set_modified(changed))
                        .expect("a time");
                }
            }
        }
    }

    /// Returns a file's bytes.
    pub fn bytes(&self, path: impl AsRef<Path>) -> Option<&[u8]> {
        self.0.get(path.as_ref())?.as_ref().map(|(bytes, _)| bytes.as_slice())
    }

    /// Returns the files directly in the folder whose names end so.
    pub fn ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.0.iter().filter_map(move |(path, content)| {
            let name = path.to_str().filter(|name| name.ends_with(ending))?;
            Some((name, content.as_ref()?.0.as_slice()))
        })
    }

    /// Checks that another tree has the same folders and files; shared memory of databases aside, which nobody writes to the disk.
    pub fn assert_same(&self, other: &Self) {
        let names = |tree: &Self| tree.0.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(self), names(other));
        for (path, content) in &self.0 {
            let same = content.as_ref().map(|(bytes, _)| bytes) == other.0[path].as_ref().map(|(bytes, _)| bytes);
            assert!(same || path.to_string_lossy().ends_with("-shm"), "{}", path.display());
        }
    }
}
