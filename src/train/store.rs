//! What the frozen part of the network said of each picture, on disk: rows of one length, found by content.
//!
//! A store is a folder of two files that only grow: `rows`, read through a memory map, and `index.jsonl`, a line an item,
//! written when its rows are. Killed at any time, it opens again with all whole items.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use half::f16;
use half::slice::HalfFloatSliceExt;
use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How a row's numbers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Exactly.
    Float,
    /// With 11 significant bits, at half the size.
    Half,
}

/// The rows of one item: for each of its times one after the other, its views.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Tells content and views.
    pub key: String,
    pub first_row: usize,
    pub views: usize,
    /// Milliseconds in the clip; one zero for a picture.
    pub times: Vec<u64>,
}

/// An opened store. One process at a time writes to it.
pub struct Store {
    folder: PathBuf,
    length: usize,
    kept: Kept,
    rows: File,
    index: File,
    entries: HashMap<String, Entry>,
    count: usize,
    map: Option<Mmap>,
}

impl Store {
    /// Opens or makes the store `folder` of rows of `length` numbers.
    ///
    /// # Errors
    /// Unavailable, where it cannot be written or another process has it.
    pub fn open(folder: &Path, length: usize, kept: Kept) -> Result<Self> {
        let failed = |cause| unwritable(folder, cause);
        fs::create_dir_all(folder).map_err(failed)?;
        let open = |name: &str| OpenOptions::new().read(true).append(true).create(true).open(folder.join(name));
        let (rows, index) = (open("rows").map_err(failed)?, open("index.jsonl").map_err(failed)?);
        if index.try_lock().is_err() {
            return Err(Error::unavailable(format!("{}: another training uses these features", folder.display()))
                .remedy("wait for it to end, or take another folder with --cache"));
        }
        let row = row_bytes(length, kept);
        let there = rows.metadata().map_err(failed)?.len() as usize / row;
        let (mut entries, mut whole, mut count) = (HashMap::new(), 0, 0);
        for line in BufReader::new(&index).split(b'\n') {
            let line = line.map_err(failed)?;
            let Ok(entry) = serde_json::from_slice::<Entry>(&line) else { break };
            let end = entry.first_row + entry.views * entry.times.len();
            if end > there {
                break;
            }
            whole += line.len() as u64 + 1;
            count = count.max(end);
            entries.insert(entry.key.clone(), entry);
        }
        // What a killed process left half done is cut off.
        index.set_len(whole).and_then(|()| rows.set_len((count * row) as u64)).map_err(failed)?;
        Ok(Self { folder: folder.to_path_buf(), length, kept, rows, index, entries, count, map: None })
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Rows that are there.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> u64 {
        (self.count * row_bytes(self.length, self.kept)) as u64
    }

    /// Appends rows, which stand one after the other in `values`.
    ///
    /// # Errors
    /// Failed, where the disk is full.
    pub fn append(&mut self, values: &[f32]) -> Result<()> {
        let bytes: Vec<u8> = match self.kept {
            Kept::Float => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Kept::Half => values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
        };
        self.rows.write_all(&bytes).map_err(|cause| unwritable(&self.folder, cause))?;
        self.count += values.len() / self.length;
        self.map = None;
        Ok(())
    }

    /// Makes appended rows findable.
    ///
    /// # Errors
    /// Failed, where the disk is full.
    pub fn finish(&mut self, entry: Entry) -> Result<()> {
        let line = serde_json::to_string(&entry).map_err(|cause| Error::internal("an index entry").because(cause))?;
        self.index.write_all(format!("{line}\n").as_bytes()).map_err(|cause| unwritable(&self.folder, cause))?;
        self.entries.insert(entry.key.clone(), entry);
        Ok(())
    }

    /// The numbers of the given rows, one row after the other.
    ///
    /// # Errors
    /// Failed, where the file cannot be mapped; internal, for a row that is not there.
    pub fn read(&mut self, rows: &[usize]) -> Result<Vec<f32>> {
        let map = match &self.map {
            Some(map) => map,
            None => {
                // SAFETY: only this process writes to the file, as `open` has locked it, and it never shrinks after that.
                let map = unsafe { Mmap::map(&self.rows) }.map_err(|cause| unwritable(&self.folder, cause))?;
                self.map.insert(map)
            }
        };
        let size = row_bytes(self.length, self.kept);
        let mut values = vec![0.0; rows.len() * self.length];
        for (&row, out) in rows.iter().zip(values.chunks_exact_mut(self.length)) {
            let bytes = map.get(row * size..(row + 1) * size).ok_or_else(|| Error::internal("a row is not there"))?;
            match self.kept {
                Kept::Float => {
                    for (out, four) in out.iter_mut().zip(bytes.chunks_exact(4)) {
                        *out = f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
                    }
                }
                Kept::Half => {
                    let halves: Vec<f16> =
                        bytes.chunks_exact(2).map(|two| f16::from_le_bytes([two[0], two[1]])).collect();
                    halves.convert_to_f32_slice(out);
                }
            }
        }
        Ok(values)
    }
}

/// Bytes of a row.
pub fn row_bytes(length: usize, kept: Kept) -> usize {
    match kept {
        Kept::Float => 4 * length,
        Kept::Half => 2 * length,
    }
}

/// Makes room for the store `keep` to have `needed` bytes within `limit` bytes under `folder`, by removing the stores that
/// were not used for longest.
///
/// # Errors
/// Unavailable, where it alone would be too much.
pub fn make_room(folder: &Path, keep: &Path, needed: u64, limit: u64) -> Result<()> {
    let size = |store: &Path| -> u64 {
        ["rows", "index.jsonl"].iter().filter_map(|name| fs::metadata(store.join(name)).ok()).map(|m| m.len()).sum()
    };
    let needed = needed.max(size(keep));
    check_limit(needed, limit)?;
    let stores = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut stores: Vec<_> = stores
        .filter(|path| path != keep && path.join("index.jsonl").is_file())
        .map(|path| (fs::metadata(path.join("index.jsonl")).and_then(|m| m.modified()).ok(), size(&path), path))
        .collect();
    stores.sort();
    let mut total: u64 = needed + stores.iter().map(|(_, size, _)| size).sum::<u64>();
    for (_, size, path) in stores {
        if total <= limit {
            break;
        }
        if File::open(path.join("index.jsonl")).is_ok_and(|index| index.try_lock().is_ok()) {
            tracing::info!("removing old features {} to make room", path.display());
            let _ = fs::remove_dir_all(&path);
            total -= size;
        }
    }
    Ok(())
}

/// # Errors
/// Unavailable, where a store of `bytes` is too large.
pub fn check_limit(bytes: u64, limit: u64) -> Result<()> {
    if bytes <= limit {
        return Ok(());
    }
    let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
    Err(Error::unavailable(format!("the features need {:.1} GiB, the cache may have {:.1}", gib(bytes), gib(limit)))
        .remedy("take fewer --views, raise --cache-limit, or for clips raise --every"))
}

fn unwritable(folder: &Path, cause: std::io::Error) -> Error {
    Error::failed(format!("{}: features cannot be kept there", folder.display()))
        .because(cause)
        .remedy("free some room, or choose another folder with --cache")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, first_row: usize, times: usize) -> Entry {
        Entry { key: key.into(), first_row, views: 1, times: vec![0; times] }
    }

    #[test]
    fn rows_come_back_after_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), 2, Kept::Float).unwrap();
        store.append(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        store.finish(entry("a", 0, 2)).unwrap();
        assert_eq!(store.read(&[1, 0]).unwrap(), [3.0, 4.0, 1.0, 2.0]);
        drop(store);
        let mut store = Store::open(folder.path(), 2, Kept::Float).unwrap();
        assert_eq!(store.entry("a"), Some(&entry("a", 0, 2)));
        assert_eq!(store.read(&[1]).unwrap(), [3.0, 4.0]);
    }

    #[test]
    fn half_done_items_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), 1, Kept::Half).unwrap();
        store.append(&[0.5]).unwrap();
        store.finish(entry("a", 0, 1)).unwrap();
        store.append(&[0.25]).unwrap();
        drop(store);
        fs::write(folder.path().join("index.jsonl"), {
            let mut text = fs::read(folder.path().join("index.jsonl")).unwrap();
            text.extend(b"{\"key\": \"b");
            text
        })
        .unwrap();
        let mut store = Store::open(folder.path(), 1, Kept::Half).unwrap();
        assert_eq!((store.count(), store.entry("b")), (1, None));
        store.append(&[0.75]).unwrap();
        store.finish(entry("c", 1, 1)).unwrap();
        assert_eq!(store.read(&[0, 1]).unwrap(), [0.5, 0.75]);
    }

    #[test]
    fn one_process_writes_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let _store = Store::open(folder.path(), 1, Kept::Float).unwrap();
        assert!(Store::open(folder.path(), 1, Kept::Float).is_err_and(|e| e.to_string().contains("another training")));
    }

    #[test]
    fn the_oldest_store_goes_when_room_is_short() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["old", "new"] {
            let mut store = Store::open(&folder.path().join(name), 100, Kept::Float).unwrap();
            store.append(&[0.0; 100]).unwrap();
            store.finish(entry("a", 0, 1)).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let keep = folder.path().join("mine");
        make_room(folder.path(), &keep, 400, 1000).unwrap();
        assert!(!folder.path().join("old").exists() && folder.path().join("new").exists());
        assert!(make_room(folder.path(), &keep, 2000, 1000).is_err());
        // What is there already counts once.
        make_room(folder.path(), &folder.path().join("new"), 400, 500).unwrap();
    }
}
