//! The on-disk cache of features: rows of equal length, found by the content of their picture.
//!
//! A store is a folder of two append-only files: `rows`, read through a memory map, and `index.jsonl`, with one line
//! for each item, written after its rows. After a kill at any time, it opens with all complete items.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use half::f16;
use half::slice::HalfFloatSliceExt;
use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The number format of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    /// float32.
    Float,
    /// float16, with 11 significant bits.
    Half,
}

/// The rows of one item: all views of the first time, then of the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Identifies content and views.
    pub key: String,
    pub first_row: usize,
    pub views: usize,
    /// Times in the clip in milliseconds; a single zero for a picture.
    pub times: Vec<u64>,
}

/// An open store. A lock allows one process at a time.
pub struct FeatureCache {
    folder: PathBuf,
    length: usize,
    format: RowFormat,
    rows: File,
    index: File,
    entries: HashMap<String, Entry>,
    count: usize,
    map: Option<Mmap>,
}

impl FeatureCache {
    /// Opens or creates the store `folder`, with rows of `length` numbers.
    ///
    /// # Errors
    /// `Failed` if it cannot be written; `Unavailable` if another process uses it.
    pub fn open(folder: &Path, length: usize, format: RowFormat) -> Result<Self> {
        let failed = |cause| unwritable(folder, cause);
        fs::create_dir_all(folder).map_err(failed)?;
        let open = |name: &str| OpenOptions::new().read(true).append(true).create(true).open(folder.join(name));
        let (rows, index) = (open("rows").map_err(failed)?, open("index.jsonl").map_err(failed)?);
        if index.try_lock().is_err() {
            return Err(Error::unavailable(format!("{}: another training uses these features", folder.display()))
                .remedy("wait for it to end, or choose another folder with --cache"));
        }
        let row = row_bytes(length, format);
        let stored = rows.metadata().map_err(failed)?.len() as usize / row;
        let (mut entries, mut whole, mut count) = (HashMap::new(), 0, 0);
        for line in BufReader::new(&index).split(b'\n') {
            let line = line.map_err(failed)?;
            let Ok(entry) = serde_json::from_slice::<Entry>(&line) else { break };
            let end = entry.first_row + entry.views * entry.times.len();
            if end > stored {
                break;
            }
            whole += line.len() as u64 + 1;
            count = count.max(end);
            entries.insert(entry.key.clone(), entry);
        }
        // Truncates incomplete items of a killed process.
        index.set_len(whole).and_then(|()| rows.set_len((count * row) as u64)).map_err(failed)?;
        Ok(Self { folder: folder.to_path_buf(), length, format, rows, index, entries, count, map: None })
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Returns the number of rows.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the size of all rows in bytes.
    pub fn bytes(&self) -> u64 {
        (self.count * row_bytes(self.length, self.format)) as u64
    }

    /// Appends rows, given one after the other in `values`.
    ///
    /// # Errors
    /// `Failed` if the disk is full.
    pub fn append(&mut self, values: &[f32]) -> Result<()> {
        let bytes: Vec<u8> = match self.format {
            RowFormat::Float => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            RowFormat::Half => {
                let mut halves = vec![f16::ZERO; values.len()];
                halves.convert_from_f32_slice(values);
                halves.iter().flat_map(|half| half.to_le_bytes()).collect()
            }
        };
        self.rows.write_all(&bytes).map_err(|cause| unwritable(&self.folder, cause))?;
        self.count += values.len() / self.length;
        self.map = None;
        Ok(())
    }

    /// Adds an item whose rows were appended to the index.
    ///
    /// # Errors
    /// `Failed` if the disk is full.
    pub fn finish(&mut self, entry: Entry) -> Result<()> {
        let line = serde_json::to_string(&entry).map_err(|cause| Error::internal("an index entry").because(cause))?;
        self.index.write_all(format!("{line}\n").as_bytes()).map_err(|cause| unwritable(&self.folder, cause))?;
        self.entries.insert(entry.key.clone(), entry);
        Ok(())
    }

    /// Reads the given rows, one after the other.
    ///
    /// # Errors
    /// `Failed` if the file cannot be mapped; `Internal` for a missing row.
    pub fn read(&mut self, rows: &[usize]) -> Result<Vec<f32>> {
        let map = match &self.map {
            Some(map) => map,
            None => {
                // SAFETY: `open` has locked the file, so only this process writes to it, and it never shrinks
                // afterwards.
                let map = unsafe { Mmap::map(&self.rows) }.map_err(|cause| unwritable(&self.folder, cause))?;
                self.map.insert(map)
            }
        };
        let size = row_bytes(self.length, self.format);
        let mut values = vec![0.0; rows.len() * self.length];
        for (&row, out) in rows.iter().zip(values.chunks_exact_mut(self.length)) {
            let bytes = map.get(row * size..(row + 1) * size).ok_or_else(|| Error::internal("a row is missing"))?;
            match self.format {
                RowFormat::Float => {
                    for (out, four) in out.iter_mut().zip(bytes.chunks_exact(4)) {
                        *out = f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
                    }
                }
                RowFormat::Half => {
                    let halves: Vec<f16> =
                        bytes.chunks_exact(2).map(|two| f16::from_le_bytes([two[0], two[1]])).collect();
                    halves.convert_to_f32_slice(out);
                }
            }
        }
        Ok(values)
    }
}

/// Returns the size of a row in bytes.
pub fn row_bytes(length: usize, format: RowFormat) -> usize {
    match format {
        RowFormat::Float => 4 * length,
        RowFormat::Half => 2 * length,
    }
}

/// Frees space for `needed` bytes of the store `keep`, within `limit` bytes of all stores in `folder`, by removing the
/// least recently written stores.
///
/// # Errors
/// `Unavailable` if that store alone exceeds the limit.
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
            tracing::info!("removing old features {} to free space", path.display());
            let _ = fs::remove_dir_all(&path);
            total -= size;
        }
    }
    Ok(())
}

/// # Errors
/// `Unavailable` if a store of `bytes` is too large.
pub fn check_limit(bytes: u64, limit: u64) -> Result<()> {
    if bytes <= limit {
        return Ok(());
    }
    let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
    Err(Error::unavailable(format!("the features need {:.1} GiB; --cache-limit is {:.1}", gib(bytes), gib(limit)))
        .remedy("reduce --views, raise --cache-limit, or for clips raise --every"))
}

fn unwritable(folder: &Path, cause: std::io::Error) -> Error {
    Error::failed(format!("{}: features cannot be written", folder.display()))
        .because(cause)
        .remedy("free some space, or choose another folder with --cache")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, first_row: usize, times: usize) -> Entry {
        Entry { key: key.into(), first_row, views: 1, times: vec![0; times] }
    }

    #[test]
    fn rows_survive_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = FeatureCache::open(folder.path(), 2, RowFormat::Float).unwrap();
        store.append(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        store.finish(entry("a", 0, 2)).unwrap();
        assert_eq!(store.read(&[1, 0]).unwrap(), [3.0, 4.0, 1.0, 2.0]);
        drop(store);
        let mut store = FeatureCache::open(folder.path(), 2, RowFormat::Float).unwrap();
        assert_eq!(store.entry("a"), Some(&entry("a", 0, 2)));
        assert_eq!(store.read(&[1]).unwrap(), [3.0, 4.0]);
    }

    #[test]
    fn incomplete_items_are_discarded() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = FeatureCache::open(folder.path(), 1, RowFormat::Half).unwrap();
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
        let mut store = FeatureCache::open(folder.path(), 1, RowFormat::Half).unwrap();
        assert_eq!((store.count(), store.entry("b")), (1, None));
        store.append(&[0.75]).unwrap();
        store.finish(entry("c", 1, 1)).unwrap();
        assert_eq!(store.read(&[0, 1]).unwrap(), [0.5, 0.75]);
    }

    #[test]
    fn a_second_process_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let _store = FeatureCache::open(folder.path(), 1, RowFormat::Float).unwrap();
        assert!(
            FeatureCache::open(folder.path(), 1, RowFormat::Float)
                .is_err_and(|e| e.to_string().contains("another training"))
        );
    }

    #[test]
    fn the_oldest_store_is_removed_when_space_is_short() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["old", "new"] {
            let mut store = FeatureCache::open(&folder.path().join(name), 100, RowFormat::Float).unwrap();
            store.append(&[0.0; 100]).unwrap();
            store.finish(entry("a", 0, 1)).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let keep = folder.path().join("mine");
        make_room(folder.path(), &keep, 400, 1000).unwrap();
        assert!(!folder.path().join("old").exists() && folder.path().join("new").exists());
        assert!(make_room(folder.path(), &keep, 2000, 1000).is_err());
        // Existing rows count only once.
        make_room(folder.path(), &folder.path().join("new"), 400, 500).unwrap();
    }
}
