//! Writes labelled frames to a video file: MJPG in AVI or Matroska.
//!
//! GStreamer's own thread encodes and writes. The frame pool bounds how far drawing can run ahead of it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::error::{Error, Result};
use crate::media::encoder::{Encoded, Taps, attach};
use crate::media::frame::{FramePool, PooledFrame, RenderedFrame};
use crate::media::video_format::{VideoFormat, jpeg_caps, raw_caps};
use crate::media::{POLL, element, error_text};

/// Longest wait for the encoder to accept a frame, or to close the file.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longest gap, in nanoseconds, that an AVI fills with repeated frames; a longer gap is left out.
pub const LONGEST_FILL: u64 = 10_000_000_000;
/// Widths and heights that GStreamer's AVI muxer supports.
const AVI_SIDES: std::ops::RangeInclusive<usize> = 16..=4096;
/// Frame rate of an AVI if the clip states none: that of a common camera.
const DEFAULT_RATE: (i32, i32) = (25, 1);

/// The container format.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema, clap::ValueEnum,
)]
pub enum Container {
    /// Constant frame rate: frames are repeated or left out where the input's rate varies
    #[serde(rename = "avi")]
    Avi,
    /// Each frame keeps its own time, to the millisecond
    #[serde(rename = "mkv")]
    #[value(name = "mkv")]
    Matroska,
    /// In fragments of a second; only for the segments of a camera's own video
    #[serde(rename = "mp4")]
    Mp4,
}

impl Container {
    /// Derives the container of a labelled video from a file's extension.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "avi" => Some(Container::Avi),
            "mkv" => Some(Container::Matroska),
            _ => None,
        }
    }

    /// The extension of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Container::Avi => "avi",
            Container::Matroska => "mkv",
            Container::Mp4 => "mp4",
        }
    }
}

/// The result of a recording.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recorded {
    /// Frames that were repeated, or left out, to keep an AVI's frame rate constant.
    pub repeated: u64,
    pub left_out: u64,
}

/// A file that is being written. Dropping it without [`Recorder::finish`] leaves the file incomplete.
pub struct Recorder {
    pipeline: gst::Pipeline,
    input: gst_app::AppSrc,
    rate: Option<gst::Element>,
    failure: Receiver<Error>,
    path: PathBuf,
    /// Frames pushed to the pipeline.
    frames: Cell<u64>,
}

impl Recorder {
    /// Creates the file for frames of `format`. `frame_rate` is that of an AVI.
    ///
    /// # Errors
    /// Input if the container cannot hold frames of that size; failed if the file cannot be created.
    pub fn create(
        path: &Path,
        container: Container,
        format: &VideoFormat,
        frame_rate: Option<(i32, i32)>,
        taps: Taps,
    ) -> Result<Self> {
        Self::of(path, container, format, frame_rate, taps, true)
    }

    /// Like [`Recorder::create`], for frames that are already encoded.
    ///
    /// # Errors
    /// Those of [`Recorder::create`].
    pub fn for_encoded(
        path: &Path,
        container: Container,
        format: &VideoFormat,
        frame_rate: Option<(i32, i32)>,
        taps: Taps,
    ) -> Result<Self> {
        Self::of(path, container, format, frame_rate, taps, false)
    }

    fn of(
        path: &Path,
        container: Container,
        format: &VideoFormat,
        frame_rate: Option<(i32, i32)>,
        taps: Taps,
        encodes: bool,
    ) -> Result<Self> {
        let layout = format.layout;
        if container == Container::Avi && ![layout.width, layout.height].iter().all(|side| AVI_SIDES.contains(side)) {
            let (least, most) = (AVI_SIDES.start(), AVI_SIDES.end());
            return Err(Error::input(format!(
                "{}: an AVI cannot hold frames of {}x{}, only {least} to {most} pixels a side",
                path.display(),
                layout.width,
                layout.height
            ))
            .remedy("write .mkv, or use --format mkv"));
        }
        let (numerator, denominator) = frame_rate.unwrap_or(DEFAULT_RATE);
        let frame_rate = gst::Fraction::new(numerator, denominator);
        let caps = if encodes { raw_caps } else { jpeg_caps }(format, (numerator, denominator));
        let input =
            gst_app::AppSrc::builder().caps(&caps).format(gst::Format::Time).max_buffers(0).max_bytes(0).build();
        let encode = encodes.then(super::encoder).transpose()?;
        if let Some(encode) = &encode {
            attach(encode, taps.picture);
        }
        let file = element("filesink")?;
        count(&file, taps.written);
        file.set_property("location", path);
        file.set_property("sync", false);
        let (rate, middle) = match container {
            Container::Avi => {
                let rate = element("videorate")?;
                rate.set_property("max-duplication-time", LONGEST_FILL);
                let constant = element("capsfilter")?;
                constant.set_property("caps", gst::Caps::builder("image/jpeg").field("framerate", frame_rate).build());
                (Some(rate.clone()), vec![rate, constant, element("avimux")?])
            }
            Container::Matroska => (None, vec![element("matroskamux")?]),
            Container::Mp4 => return Err(Error::internal("an MP4 holds no MJPG")),
        };
        let chain: Vec<gst::Element> =
            std::iter::once(input.clone().upcast()).chain(encode).chain(middle).chain([file]).collect();
        let pipeline = gst::Pipeline::new();
        let built =
            |cause: gst::glib::BoolError| Error::internal("the recording pipeline cannot be built").because(cause);
        pipeline.add_many(&chain).map_err(built)?;
        gst::Element::link_many(&chain).map_err(built)?;

        let failure = failures(&pipeline, path)?;
        let recorder = Self { pipeline, input, rate, failure, path: path.to_path_buf(), frames: Cell::new(0) };
        recorder.pipeline.set_state(gst::State::Playing).map_err(|_| recorder.error())?;
        Ok(recorder)
    }

    /// Returns a frame to draw on for the next frame. Blocks while the encoder holds all of them.
    ///
    /// # Errors
    /// The error of the encoder or the disk.
    pub fn acquire(&self, pool: &FramePool) -> Result<PooledFrame> {
        let began = Instant::now();
        loop {
            if let Ok(error) = self.failure.try_recv() {
                return Err(error);
            }
            match pool.acquire(POLL) {
                Some(target) => return Ok(target),
                None if began.elapsed() > TIMEOUT => {
                    return Err(Error::failed(format!(
                        "{}: the disk has not responded for a minute",
                        self.path.display()
                    ))
                    .remedy("write to another disk"));
                }
                None => {}
            }
        }
    }

    /// Pushes a frame to the encoder. Times in nanoseconds.
    ///
    /// # Errors
    /// The error of the encoder or the disk.
    pub fn write(&self, frame: &RenderedFrame, pts: u64, duration: u64) -> Result<()> {
        if let Ok(error) = self.failure.try_recv() {
            return Err(error);
        }
        self.push(frame.timed(pts, duration))
    }

    /// Pushes an encoded frame at `pts` of the file, in nanoseconds.
    ///
    /// # Errors
    /// The error of the disk.
    pub fn write_encoded(&self, frame: Encoded, pts: u64) -> Result<()> {
        if let Ok(error) = self.failure.try_recv() {
            return Err(error);
        }
        let mut buffer = frame.0;
        let writable = buffer.make_mut();
        writable.set_pts(gst::ClockTime::from_nseconds(pts));
        writable.set_dts(gst::ClockTime::NONE);
        self.push(buffer)
    }

    fn push(&self, buffer: gst::Buffer) -> Result<()> {
        self.input.push_buffer(buffer).map_err(|_| self.error())?;
        self.frames.set(self.frames.get() + 1);
        Ok(())
    }

    /// Encodes the waiting frames, writes the index and closes the file. Players reject a file without frames: such a
    /// file is deleted, and `None` returned.
    ///
    /// # Errors
    /// The reason why the file could not be finalised.
    pub fn finish(self) -> Result<Option<Recorded>> {
        if self.frames.get() == 0 {
            let _ = self.pipeline.set_state(gst::State::Null);
            let _ = std::fs::remove_file(&self.path);
            return Ok(None);
        }
        let bus = self.pipeline.bus().ok_or_else(|| Error::internal("a pipeline has no bus"))?;
        let _ = self.input.end_of_stream();
        let ended = bus.timed_pop_filtered(
            Some(gst::ClockTime::from_seconds(TIMEOUT.as_secs())),
            &[gst::MessageType::Eos, gst::MessageType::Error],
        );
        if !matches!(ended.as_ref().map(|message| message.view()), Some(gst::MessageView::Eos(_))) {
            return Err(self.error());
        }
        let count = |property: &str| self.rate.as_ref().map_or(0, |rate| rate.property::<u64>(property));
        Ok(Some(Recorded { repeated: count("duplicate"), left_out: count("drop") }))
    }

    fn error(&self) -> Error {
        self.failure.try_recv().unwrap_or_else(|_| {
            Error::failed(format!("{}: the video cannot be written", self.path.display()))
                .remedy("check the folder and the free space on its disk")
        })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Calls `written` with the number of bytes of each write to the file.
pub(super) fn count(file: &gst::Element, written: Option<Box<dyn Fn(u64) + Send + Sync>>) {
    if let (Some(written), Some(pad)) = (written, file.static_pad("sink")) {
        pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |_, info| {
            let bytes = match &info.data {
                Some(gst::PadProbeData::Buffer(buffer)) => buffer.size(),
                Some(gst::PadProbeData::BufferList(list)) => list.iter().map(gst::BufferRef::size).sum(),
                _ => 0,
            };
            written(bytes as u64);
            gst::PadProbeReturn::Ok
        });
    }
}

/// Returns a channel for the first error of the pipeline. The message stays on the bus for [`Recorder::finish`].
pub(super) fn failures(pipeline: &gst::Pipeline, path: &Path) -> Result<Receiver<Error>> {
    let (sender, failure) = bounded(1);
    let origin = path.display().to_string();
    let bus = pipeline.bus().ok_or_else(|| Error::internal("a pipeline has no bus"))?;
    bus.set_sync_handler(move |_, message| {
        if let gst::MessageView::Error(error) = message.view() {
            let cause = error.error();
            let error = match cause.kind::<gst::ResourceError>() {
                Some(gst::ResourceError::NoSpaceLeft) => {
                    Error::failed(format!("{origin}: the disk is full")).remedy("free some space, or write elsewhere")
                }
                _ => Error::failed(format!("{origin}: the video cannot be written"))
                    .because(error_text(&cause))
                    .remedy("check the folder and its permissions"),
            };
            let _ = sender.try_send(error);
        }
        gst::BusSyncReply::Pass
    });
    Ok(failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::video_format::FrameLayout;

    #[test]
    fn a_file_without_frames_is_deleted() {
        crate::media::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let format = VideoFormat {
            layout: FrameLayout { width: 64, height: 32 },
            frame_rate: None,
            pixel_aspect: (1, 1),
            duration: None,
            decoder: None,
        };
        for (name, container) in [("a.mkv", Container::Matroska), ("a.avi", Container::Avi)] {
            let path = folder.path().join(name);
            let recorder = Recorder::create(&path, container, &format, None, Taps::default()).unwrap();
            assert!(recorder.finish().unwrap().is_none() && !path.exists(), "{name}");
        }
    }
}
