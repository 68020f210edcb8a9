//! Monitors the free space of a disk, to stop while there is still enough to finalise every file.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::system::clock::SharedClock;
use crate::system::disk;
use crate::system::folders;

/// Reserve for the plot, the subtitles and the file system's own data, in bytes.
const MARGIN: u64 = 4 << 20;
/// Frames that may still be in flight to the disk, at a byte a pixel each: MJPG needs less.
const FRAMES_IN_FLIGHT: u64 = 8;
/// An AVI index needs 16 bytes a frame, twice with OpenDML.
const INDEX_BYTES: u64 = 32;
/// The disk is checked again when this much may have been written, or after this time, as other programs write too.
const STEP: u64 = MARGIN / 2;
const INTERVAL: Duration = Duration::from_millis(500);

/// Monitors the disk of a folder.
pub struct DiskSpace {
    clock: SharedClock,
    folder: PathBuf,
    frame_bytes: u64,
    /// Time of the last check, and the bytes that could have been written by then.
    checked: Option<(Instant, u64)>,
}

impl DiskSpace {
    /// Monitors the disk of `folder`, for frames of `pixels`.
    pub fn new(folder: &Path, pixels: usize, clock: &SharedClock) -> Self {
        Self {
            clock: SharedClock::clone(clock),
            folder: folders::named(folder).to_path_buf(),
            frame_bytes: pixels as u64,
            checked: None,
        }
    }

    pub fn watches(&self, folder: &Path) -> bool {
        self.folder == folders::named(folder)
    }

    /// Checks the free space.
    ///
    /// # Errors
    /// Returns a failure if the free space is less than what finalising the files needs after `frames` frames and
    /// `journal` bytes of records. A disk that does not report its space passes.
    pub fn check(&mut self, frames: u64, journal: u64) -> Result<()> {
        if !self.is_due(frames * self.frame_bytes + journal, self.clock.instant()) {
            return Ok(());
        }
        let Some(free) = disk::free(&self.folder) else { return Ok(()) };
        // Until the timeline is complete, its numbers exist three times: in the journal, in the timeline and in its
        // lists.
        let needed = MARGIN + FRAMES_IN_FLIGHT * self.frame_bytes + INDEX_BYTES * frames + 3 * journal;
        if free >= needed {
            return Ok(());
        }
        Err(Error::failed(format!("{}: the disk is full ({} MiB left)", self.folder.display(), free >> 20))
            .remedy("free some space, or write elsewhere with --output-dir"))
    }

    /// Returns whether to ask for the free space now that at most `written` bytes have been written.
    fn is_due(&mut self, written: u64, now: Instant) -> bool {
        if self.checked.is_some_and(|(at, before)| written < before + STEP && now - at < INTERVAL) {
            return false;
        }
        self.checked = Some((now, written));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::clock::SystemClock;

    #[test]
    fn the_disk_is_asked_after_enough_bytes_or_time_only() {
        let mut disk = DiskSpace::new(Path::new(""), 100, &SystemClock::shared());
        let start = Instant::now();
        let due: Vec<bool> = [(0, 0), (STEP - 1, 499), (STEP, 499), (STEP + 1, 998), (STEP + 1, 999)]
            .map(|(written, ms)| disk.is_due(written, start + Duration::from_millis(ms)))
            .into();
        assert_eq!(due, [true, false, true, false, true]);
    }
}
