//! The disk that a folder is on.

use std::path::Path;

use nix::sys::statvfs::{Statvfs, statvfs};

/// Returns how many bytes this user can still write; `None` if the disk does not report its space.
pub fn free(folder: &Path) -> Option<u64> {
    state(folder).map(|disk| disk.blocks_available() * disk.fragment_size())
}

/// Returns how many bytes the disk has, full or free; `None` if it does not report that.
pub fn size(folder: &Path) -> Option<u64> {
    state(folder).map(|disk| disk.blocks() * disk.fragment_size())
}

fn state(folder: &Path) -> Option<Statvfs> {
    statvfs(folder).ok().filter(|disk| disk.blocks() > 0)
}
