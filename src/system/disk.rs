//! The disk that a folder is on.

use std::path::Path;

use nix::sys::statvfs::statvfs;

/// Returns how many bytes this user can still write; `None` if the disk does not report its space.
pub fn free(folder: &Path) -> Option<u64> {
    let disk = statvfs(folder).ok().filter(|disk| disk.blocks() > 0)?;
    Some(disk.blocks_available() * disk.fragment_size())
}
