//! Writes frames as picture files, at intervals, for `livelabel frames`.

use std::path::{Path, PathBuf};

use crate::cli::frames::Every;
use crate::error::{Error, Result};
use crate::media::frame::Frame;
use crate::picture::file;
use crate::system::replace::replace;
use crate::telemetry::Progress;

/// Writes the pictures of one input as `NAME_MILLISECONDS.jpg`.
pub(super) struct PictureWriter<'a> {
    folder: PathBuf,
    name: &'a str,
    every: Every,
    /// The earliest time of the next picture, in nanoseconds.
    due: u64,
    /// How many more pictures to write; `None` for any number.
    left: Option<u64>,
    progress: &'a Progress,
}

impl<'a> PictureWriter<'a> {
    /// Creates the folder.
    ///
    /// # Errors
    /// A usage error if it cannot be created.
    pub fn new(
        folder: PathBuf,
        name: &'a str,
        every: Every,
        count: Option<u64>,
        progress: &'a Progress,
    ) -> Result<Self> {
        std::fs::create_dir_all(&folder).map_err(|cause| Error::unwritable(&folder, cause))?;
        Ok(Self { folder, name, every, due: 0, left: count, progress })
    }

    /// Returns whether all pictures are written.
    pub fn is_complete(&self) -> bool {
        self.left == Some(0)
    }

    /// Writes a frame if it is due. One that was decoded with errors is unfit for training. Existing pictures are kept.
    ///
    /// # Errors
    /// Those of encoding and writing.
    pub fn put(&mut self, frame: &Frame) -> Result<()> {
        if frame.pts < self.due || frame.damaged || self.is_complete() {
            return Ok(());
        }
        if let Every::Nanoseconds(interval) = self.every {
            self.due = (frame.pts / interval + 1) * interval;
        }
        self.progress.counters.arrived(frame.arrival);
        let path = self.folder.join(format!("{}_{:09}.jpg", self.name, frame.pts / 1_000_000));
        let is_new = !path.exists();
        if is_new {
            save(&path, &file::jpeg(&frame.picture())?)?;
        }
        self.progress.counters.labelled(is_new);
        self.left = self.left.map(|left| left - 1);
        Ok(())
    }
}

/// Writes a temporary file and renames it, so that every picture is complete.
fn save(path: &Path, jpeg: &[u8]) -> Result<()> {
    replace(path, jpeg).map_err(|cause| Error::unwritable(path, cause))
}
