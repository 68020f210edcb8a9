//! The labelled video of a clip. Waits for the disk, so that no frame is skipped.

use std::fs;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::media::frame::{FramePool, PooledFrame};
use crate::media::frame_rate::constant_rate;
use crate::media::recorder::Recorder;
use crate::media::video_format::VideoFormat;
use crate::pipeline::context::StreamContext;
use crate::pipeline::outcome::Outcome;
use crate::pipeline::sinks::sink::{LabeledFrame, Sink};
use crate::report::{LockedFile, lock_output, remove_empty};
use crate::system::durable;

/// Writes one file from the first frame to the last.
pub struct VideoSink {
    path: PathBuf,
    recorder: Recorder,
    /// Lock that keeps other runs from writing the video.
    _lock: LockedFile,
}

impl VideoSink {
    /// Creates the video file; `None` if the job has no video.
    ///
    /// # Errors
    /// Returns an error if the file cannot be created. It is removed then.
    pub fn create(context: &StreamContext, format: &VideoFormat) -> Result<Option<Self>> {
        let Some((path, container)) = &context.job.outputs.video else { return Ok(None) };
        let lock = lock_output(path)?;
        let rate = constant_rate(&context.job.input, format.frame_rate, &|| context.shutdown.requested());
        let recorder = Recorder::parallel(path, *container, format, rate, context.state.taps(0), context.encoders)
            .inspect_err(|_| remove_empty(&lock, path))?;
        Ok(Some(Self { path: path.clone(), recorder, _lock: lock }))
    }

    /// Removes the file, which is empty.
    pub fn discard(self) {
        drop(self.recorder);
        let _ = fs::remove_file(&self.path);
    }
}

impl Sink for VideoSink {
    fn wants_picture(&mut self) -> bool {
        true
    }

    fn acquire(&mut self, pool: &FramePool) -> Result<Option<PooledFrame>> {
        self.recorder.acquire(pool).map(Some)
    }

    fn frame(&mut self, labeled: &LabeledFrame) -> Result<()> {
        let Some(picture) = labeled.picture else { return Ok(()) };
        self.recorder.write(&picture.picture, picture.pts, picture.duration)
    }

    fn finish(self: Box<Self>, outcome: &mut Outcome) -> Result<()> {
        if let Some(recorded) = self.recorder.finish()? {
            // Before the timeline, which says that the clip is complete.
            durable::sync(&self.path).map_err(|cause| Error::unwritable(&self.path, cause))?;
            outcome.recorded = recorded;
            outcome.files.push(self.path);
        }
        Ok(())
    }
}
