//! Collects several lists in one pass and writes them one after the other. Memory does not grow with their length: full
//! blocks are spilled to one temporary file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Size at which a list's pending items are spilled to the file, in bytes.
const BLOCK: usize = 8 << 10;

/// Lists of text items, addressed by index.
pub struct Lists {
    file: File,
    /// End of the file.
    length: u64,
    lists: Vec<List>,
}

#[derive(Default)]
struct List {
    pending: Vec<u8>,
    items: u64,
    /// Start and length of each block in the file.
    blocks: Vec<(u64, u32)>,
}

impl Lists {
    /// Creates `count` empty lists. The temporary file is in `folder` and unnamed, so that it never outlives the
    /// process.
    ///
    /// # Errors
    /// Returns an error if it cannot be created.
    pub fn new(folder: &Path, count: usize) -> io::Result<Self> {
        let file = tempfile::tempfile_in(folder)?;
        Ok(Self { file, length: 0, lists: std::iter::repeat_with(List::default).take(count).collect() })
    }

    /// Adds an item to a list.
    ///
    /// # Errors
    /// Returns an error if the disk is full.
    pub fn push(&mut self, list: usize, item: &str) -> io::Result<()> {
        let List { pending, items, blocks } = &mut self.lists[list];
        pending.extend_from_slice(if *items == 0 { b"\n" } else { b",\n" });
        pending.extend_from_slice(item.as_bytes());
        *items += 1;
        if pending.len() >= BLOCK {
            self.file.write_all(pending)?;
            blocks.push((self.length, pending.len() as u32));
            self.length += pending.len() as u64;
            pending.clear();
        }
        Ok(())
    }

    /// Writes a list's items, separated by commas.
    ///
    /// # Errors
    /// Returns an error if reading or writing fails.
    pub fn write(&mut self, list: usize, out: &mut impl Write) -> io::Result<()> {
        for &(start, length) in &self.lists[list].blocks {
            self.file.seek(SeekFrom::Start(start))?;
            io::copy(&mut (&self.file).take(u64::from(length)), out)?;
        }
        out.write_all(&self.lists[list].pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_written_completely_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut lists = Lists::new(folder.path(), 3).unwrap();
        for i in 0..10_000 {
            lists.push(i % 2, &i.to_string()).unwrap();
        }
        let expected = |first: usize| {
            let items: Vec<String> = (first..10_000).step_by(2).map(|i| i.to_string()).collect();
            format!("\n{}", items.join(",\n"))
        };
        for (list, expected) in [(1, expected(1)), (0, expected(0)), (2, String::new())] {
            let mut out = Vec::new();
            lists.write(list, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
