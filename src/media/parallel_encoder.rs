//! Encodes the frames of one video on several threads, and returns them in their order.

use crate::error::Result;
use crate::media::encoder::{Encoded, Encoder};
use crate::media::frame::RenderedFrame;
use crate::media::video_format::VideoFormat;

/// Encoders that take the frames in turn.
pub struct ParallelEncoder {
    encoders: Vec<Encoder>,
    put: usize,
    taken: usize,
}

impl ParallelEncoder {
    /// # Errors
    /// Those of [`Encoder::new`].
    pub fn new(format: &VideoFormat, threads: usize) -> Result<Self> {
        let encoders = (0..threads.max(1)).map(|_| Encoder::new(format, None)).collect::<Result<_>>()?;
        Ok(Self { encoders, put: 0, taken: 0 })
    }

    /// Pushes a frame. Times in nanoseconds.
    ///
    /// # Errors
    /// Those of [`Encoder::put`].
    pub fn put(&mut self, frame: &RenderedFrame, pts: u64, duration: u64) -> Result<()> {
        self.encoders[self.put % self.encoders.len()].put(frame, pts, duration)?;
        self.put += 1;
        Ok(())
    }

    /// Returns the next frame in the order of [`ParallelEncoder::put`], or `None` if it is not encoded yet.
    pub fn take(&mut self) -> Option<Encoded> {
        let encoded = self.encoders[self.taken % self.encoders.len()].take()?;
        self.taken += 1;
        Some(encoded)
    }

    /// Encodes the waiting frames and returns all that were not taken, in their order.
    pub fn finish(self) -> Vec<Encoded> {
        let count = self.encoders.len();
        let mut rests: Vec<_> = self.encoders.into_iter().map(|encoder| encoder.finish().into_iter()).collect();
        (self.taken..self.put).map_while(|number| rests[number % count].next()).collect()
    }
}
