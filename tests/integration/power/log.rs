//! What a process does to the files below a folder, as `layer.c` records it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// Bytes before the paths and the data of a record.
const HEAD: usize = 48;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Create,
    Write,
    Truncate,
    Sync,
    Rename,
    Unlink,
    Mkdir,
    Rmdir,
    Link,
    SyncAll,
}

/// A call that changed or synced something. Paths are below the folder; its own is empty.
pub struct Record {
    pub kind: Kind,
    pub path: PathBuf,
    /// Of a rename and a link: the new name.
    pub other: PathBuf,
    pub data: Vec<u8>,
    /// When it had happened, in nanoseconds since 1970.
    pub time: u64,
    /// The file: the number of the record that created it.
    pub file: Option<usize>,
    /// Where it was written, or the new length.
    pub offset: u64,
    /// Of a sync: the number of records before it began. They are on the disk.
    pub covers: usize,
}

/// The records of a process, in their order.
pub struct Log(pub Vec<Record>);

impl Log {
    /// Reads a log, and checks that it holds nothing that cannot be rebuilt.
    pub fn read(log: &Path, root: &Path) -> Self {
        let bytes = std::fs::read(log).expect("a log");
        let (mut records, mut starts, mut files, mut at) = (Vec::new(), Vec::new(), HashMap::new(), 0);
        while at < bytes.len() {
            let number = |from: usize, length: usize| {
                bytes[at + from..][..length].iter().rev().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte))
            };
            let lengths = [4, 8, 12].map(|from| number(from, 4) as usize);
            let (kind, time, inode, offset, covers) =
                (number(0, 4), number(16, 8), number(24, 8), number(32, 8), number(40, 8));
            starts.push(at as u64);
            at += HEAD;
            let [path, other, data] = lengths.map(|length| {
                at += length;
                bytes[at - length..at].to_vec()
            });
            let below = |path: Vec<u8>| {
                let path = PathBuf::from(String::from_utf8(path).expect("a path in UTF-8"));
                path.strip_prefix(root).map(Path::to_path_buf).unwrap_or_default()
            };
            let (path, other) = (below(path), below(other));
            let kind = match kind {
                1 => Kind::Create,
                2 => Kind::Write,
                3 => Kind::Truncate,
                4 => Kind::Sync,
                5 => Kind::Rename,
                6 => Kind::Unlink,
                7 => Kind::Mkdir,
                8 => Kind::Rmdir,
                9 => Kind::Link,
                10 => Kind::SyncAll,
                _ => panic!("{} {}: this call cannot be followed", path.display(), other.display()),
            };
            if kind == Kind::Create {
                // The number of a deleted file is given again.
                files.insert(inode, records.len());
            }
            let is_folder = kind == Kind::Sync && offset == 1;
            let file = files.get(&inode).copied().filter(|_| inode != 0 && !is_folder);
            let covers = starts.partition_point(|&start| start < covers);
            records.push(Record { kind, path, other, data, time, file, offset, covers });
        }
        Self(records)
    }

    /// Has a command record what it does below `root`, a path without links.
    pub fn record(command: &mut Command, root: &Path, log: &Path) {
        command.env("LD_PRELOAD", layer()).env("POWER_ROOT", root).env("POWER_LOG", log);
    }
}

/// Returns the layer, built once for all tests.
fn layer() -> PathBuf {
    static BUILT: OnceLock<TempDir> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/power/layer.c");
        let given = ["-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-o"];
        let built = Command::new("cc").args(given).arg(folder.path().join("layer.so")).arg(source).status();
        assert!(built.expect("a C compiler").success());
        folder
    });
    folder.path().join("layer.so")
}
