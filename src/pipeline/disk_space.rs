//! Watches the room on a disk, to stop while there is still enough of it to close every file.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;

use crate::error::{Error, Result};

/// Room for the plot, the subtitles, and what the file system needs itself.
const MARGIN: u64 = 4 << 20;
/// Pictures on their way to the disk, at a byte a pixel each: MJPG needs less.
const PICTURES: u64 = 8;
/// An AVI index has 16 bytes a frame, twice with OpenDML.
const INDEX_BYTES: u64 = 32;
/// The disk is asked again when this much may have been written, or after this time, as others write too.
const STEP: u64 = MARGIN / 2;
const INTERVAL: Duration = Duration::from_millis(500);

/// The folder whose disk is watched, and what closing the files will take.
pub struct DiskSpace {
    folder: PathBuf,
    picture_bytes: u64,
    /// When the disk was asked last, and what could have been written by then.
    asked: Option<(Instant, u64)>,
}

impl DiskSpace {
    /// Watches the disk of `folder` for pictures of `pixels`.
    pub fn new(folder: &Path, pixels: usize) -> Self {
        Self { folder: named(folder).to_path_buf(), picture_bytes: pixels as u64, asked: None }
    }

    pub fn watches(&self, folder: &Path) -> bool {
        self.folder == named(folder)
    }

    /// # Errors
    /// Failed, where less is free than closing the files will take after `frames` frames and `journal` bytes of
    /// records. A disk that does not tell its room is taken to have it.
    pub fn check(&mut self, frames: u64, journal: u64) -> Result<()> {
        let written = frames * self.picture_bytes + journal;
        if self.asked.is_some_and(|(at, before)| written < before + STEP && at.elapsed() < INTERVAL) {
            return Ok(());
        }
        self.asked = Some((Instant::now(), written));
        let Some(disk) = statvfs(&self.folder).ok().filter(|disk| disk.blocks() > 0) else { return Ok(()) };
        let free = disk.blocks_available() * disk.fragment_size();
        // The timeline repeats the journal's numbers, beside it until it is complete, and so do the lists it is made from.
        let needed = MARGIN + PICTURES * self.picture_bytes + INDEX_BYTES * frames + 3 * journal;
        if free >= needed {
            return Ok(());
        }
        Err(Error::failed(format!("{}: the disk is full ({} MiB left)", self.folder.display(), free >> 20))
            .remedy("free some room, or write elsewhere with --output-dir"))
    }
}

/// The current folder has a name too.
fn named(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}
