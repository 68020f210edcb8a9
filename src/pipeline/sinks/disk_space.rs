//! Stops a clip while there is still enough disk space to finalise its files. It is the first sink, so that a frame for
//! which there is no space reaches no other sink.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

use crate::config::inputs::Outputs;
use crate::error::Result;
use crate::media::video_format::VideoFormat;
use crate::pipeline::disk_space::DiskSpace;
use crate::pipeline::sinks::sink::{LabeledFrame, Sink};
use crate::system::clock::SharedClock;

/// Monitors the disks of all files.
pub struct DiskSpaceSink {
    disks: Vec<DiskSpace>,
    frames: u64,
    /// Bytes of the journal so far.
    journal: Rc<Cell<u64>>,
}

impl DiskSpaceSink {
    /// Checks the disks of all outputs.
    ///
    /// # Errors
    /// Returns a failure if a disk is full already.
    pub fn new(outputs: &Outputs, format: &VideoFormat, journal: Rc<Cell<u64>>, clock: &SharedClock) -> Result<Self> {
        let pixels = format.layout.width * format.layout.height;
        let mut disks: Vec<DiskSpace> = Vec::new();
        for folder in outputs.all().filter_map(Path::parent) {
            if disks.iter().all(|disk| !disk.watches(folder)) {
                disks.push(DiskSpace::new(folder, pixels, clock));
            }
        }
        disks.iter_mut().try_for_each(|disk| disk.check(0, 0))?;
        Ok(Self { disks, frames: 0, journal })
    }
}

impl Sink for DiskSpaceSink {
    fn frame(&mut self, _frame: &LabeledFrame) -> Result<()> {
        self.frames += 1;
        let (frames, journal) = (self.frames, self.journal.get());
        self.disks.iter_mut().try_for_each(|disk| disk.check(frames, journal))
    }
}
