//! The sound of a camera's recording: which of its packets belong to which segment. A segment's sound begins with its first key frame
//! and ends where the next segment begins.

use std::sync::Arc;

use crate::error::Result;
use crate::media::audio_queue::{AudioFormat, AudioQueue};
use crate::media::packet_recorder::PacketRecorder;

/// Length from which on a segment without sound ends once there is some, in nanoseconds.
const MIN_SILENT: u64 = 10_000_000_000;

/// The sound of one recording.
pub struct SegmentSound {
    /// `None` if sound is not recorded.
    queue: Option<Arc<AudioQueue>>,
    /// Whether there was sound that the current segment does not hold.
    missed: bool,
    /// Packets that were left out because they are not in a segment that shows their time.
    left_out: u64,
}

impl SegmentSound {
    pub fn new(queue: Option<&Arc<AudioQueue>>) -> Self {
        Self { queue: queue.cloned(), missed: false, left_out: 0 }
    }

    /// Returns how long to wait for the sound of a picture, in nanoseconds.
    pub fn delay(&self) -> u64 {
        self.queue.as_ref().map_or(0, |queue| queue.delay())
    }

    /// Returns whether a segment that began at `start` should end at `pts` of the stream, so that the next one has sound.
    pub fn is_missed(&self, start: u64, pts: u64) -> bool {
        self.missed && pts >= start + MIN_SILENT
    }

    /// A segment begins with the key frame at `pts` of the stream, in nanoseconds. Returns the format of its sound, if there is any.
    pub fn begin(&mut self, pts: u64) -> Option<Arc<AudioFormat>> {
        self.skip(pts);
        self.missed = false;
        let queue = self.queue.as_ref()?;
        let (first, format) = queue.first()?;
        (first.saturating_sub(pts) <= PacketRecorder::latest_sound(queue.container())).then_some(format)
    }

    /// Writes the sound before `until` to the file that begins at `start` of the stream, in nanoseconds.
    ///
    /// # Errors
    /// The error of the disk.
    pub fn write(&mut self, recorder: &PacketRecorder, start: u64, until: u64) -> Result<()> {
        let Some(queue) = &self.queue else { return Ok(()) };
        while let Some(packet) = queue.take(until) {
            if !recorder.write_sound(&packet, start)? {
                self.missed = true;
                self.left_out += 1;
            }
        }
        if recorder.ends_sound(until, start) {
            let text = "the camera's sound stops, and the recording goes on without it; a segment with sound begins when it is back";
            queue.warn_once("stopped", text);
        }
        Ok(())
    }

    /// Drops the sound before `until` of the stream, in nanoseconds: no segment shows that time.
    pub fn skip(&mut self, until: u64) {
        if let Some(queue) = &self.queue {
            while queue.take(until).is_some() {}
        }
    }

    /// Reports what was left out.
    pub fn finish(&self) {
        let Some(queue) = &self.queue else { return };
        let packets = queue.dropped() + self.left_out;
        if packets > 0 {
            queue.warn_once("total", &format!("{packets} packets of sound are not in the recording"));
        }
    }
}
