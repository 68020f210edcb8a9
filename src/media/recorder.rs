//! Writes labelled frames to a video file: MJPG in AVI or Matroska.
//!
//! GStreamer's threads encode and write. The frame pool bounds how far drawing can run ahead of the encoders, and
//! [`Recorder::acquire`] how far these can run ahead of the disk.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::error::{Error, Result};
use crate::media::encoder::{Encoded, Tap, Taps, attach};
use crate::media::file_sink::{count, failures};
use crate::media::frame::{FramePool, PooledFrame, RenderedFrame};
use crate::media::parallel_encoder::ParallelEncoder;
use crate::media::video_format::{VideoFormat, jpeg_caps, raw_caps};
use crate::media::{POLL, element};

/// Longest wait for the encoder to accept a frame, or to close the file.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of encoded frames that may wait for the disk: as many as a camera's pre-roll brings at once.
const MAX_WAITING: u64 = 64 << 20;
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
    frames: u64,
    /// Encodes the frames on several threads, before they get to the pipeline.
    encoder: Option<ParallelEncoder>,
    /// Gets the frames of `encoder`.
    tap: Option<Tap>,
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

    /// Like [`Recorder::create`], with frames that are encoded on `threads`.
    ///
    /// # Errors
    /// Those of [`Recorder::create`], and of [`Encoder::new`](crate::media::encoder::Encoder::new).
    pub fn parallel(
        path: &Path,
        container: Container,
        format: &VideoFormat,
        frame_rate: Option<(i32, i32)>,
        mut taps: Taps,
        threads: usize,
    ) -> Result<Self> {
        if threads == 1 {
            return Self::create(path, container, format, frame_rate, taps);
        }
        let (encoder, tap) = (ParallelEncoder::new(format, threads)?, taps.picture.take());
        let mut recorder = Self::of(path, container, format, frame_rate, taps, false)?;
        (recorder.encoder, recorder.tap) = (Some(encoder), tap);
        Ok(recorder)
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
        let recorder =
            Self { pipeline, input, rate, failure, path: path.to_path_buf(), frames: 0, encoder: None, tap: None };
        recorder.pipeline.set_state(gst::State::Playing).map_err(|_| recorder.error())?;
        Ok(recorder)
    }

    fn has_room(&self) -> bool {
        self.input.current_level_bytes() < MAX_WAITING
    }

    /// Returns a frame to draw on for the next frame. Blocks while the encoders hold all of them, or too many encoded
    /// frames wait for the disk.
    ///
    /// # Errors
    /// The error of the encoder or the disk.
    pub fn acquire(&self, pool: &FramePool) -> Result<PooledFrame> {
        let began = Instant::now();
        loop {
            if let Ok(error) = self.failure.try_recv() {
                return Err(error);
            }
            // Frames that the pipeline encodes itself wait for the disk in the pool.
            if self.encoder.is_some() && !self.has_room() {
                std::thread::sleep(POLL);
            } else if let Some(target) = pool.acquire(POLL) {
                return Ok(target);
            }
            if began.elapsed() > TIMEOUT {
                return Err(Error::failed(format!("{}: the disk has not responded for a minute", self.path.display()))
                    .remedy("write to another disk"));
            }
        }
    }

    /// Pushes a frame to the encoder. Times in nanoseconds.
    ///
    /// # Errors
    /// The error of the encoder or the disk.
    pub fn write(&mut self, frame: &RenderedFrame, pts: u64, duration: u64) -> Result<()> {
        if let Ok(error) = self.failure.try_recv() {
            return Err(error);
        }
        let Some(encoder) = &mut self.encoder else { return self.push(frame.timed(pts, duration)) };
        encoder.put(frame, pts, duration)?;
        while let Some(encoded) = self.encoder.as_mut().and_then(ParallelEncoder::take) {
            self.add(encoded)?;
        }
        Ok(())
    }

    /// Pushes a frame of the parallel encoder.
    fn add(&mut self, encoded: Encoded) -> Result<()> {
        if let Some(tap) = &self.tap {
            tap(encoded.clone());
        }
        self.push(encoded.0)
    }

    /// Pushes an encoded frame at `pts` of the file, in nanoseconds. Returns whether it is written: not if the disk is too
    /// slow.
    ///
    /// # Errors
    /// The error of the disk.
    pub fn write_encoded(&mut self, frame: Encoded, pts: u64) -> Result<bool> {
        if let Ok(error) = self.failure.try_recv() {
            return Err(error);
        }
        if !self.has_room() {
            return Ok(false);
        }
        let mut buffer = frame.0;
        buffer.make_mut().set_pts(gst::ClockTime::from_nseconds(pts));
        self.push(buffer)?;
        Ok(true)
    }

    fn push(&mut self, mut buffer: gst::Buffer) -> Result<()> {
        buffer.make_mut().set_dts(gst::ClockTime::NONE);
        self.input.push_buffer(buffer).map_err(|_| self.error())?;
        self.frames += 1;
        Ok(())
    }

    /// Encodes the waiting frames, writes the index and closes the file. Players reject a file without frames: such a
    /// file is deleted, and `None` returned.
    ///
    /// # Errors
    /// The reason why the file could not be finalised.
    pub fn finish(mut self) -> Result<Option<Recorded>> {
        for encoded in self.encoder.take().map(ParallelEncoder::finish).unwrap_or_default() {
            self.add(encoded)?;
        }
        if self.frames == 0 {
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::media::encoder::Encoder;
    use crate::media::video_format::FrameLayout;

    fn format(width: usize, height: usize) -> VideoFormat {
        VideoFormat {
            layout: FrameLayout { width, height },
            frame_rate: Some((25, 1)),
            pixel_aspect: (1, 1),
            duration: None,
            decoder: None,
        }
    }

    /// Draws a frame of noise, different for each `number`.
    fn noise(mut frame: PooledFrame, number: u64) -> RenderedFrame {
        let mut state = number + 1;
        for plane in &mut frame.picture_mut().planes {
            for byte in plane.data.iter_mut() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = (state >> 56) as u8;
            }
        }
        frame.finish()
    }

    #[test]
    fn a_file_without_frames_is_deleted() {
        crate::media::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let format = VideoFormat { frame_rate: None, ..format(64, 32) };
        for (name, container) in [("a.mkv", Container::Matroska), ("a.avi", Container::Avi)] {
            let path = folder.path().join(name);
            let recorder = Recorder::create(&path, container, &format, None, Taps::default()).unwrap();
            assert!(recorder.finish().unwrap().is_none() && !path.exists(), "{name}");
            let recorder = Recorder::parallel(&path, container, &format, None, Taps::default(), 2).unwrap();
            assert!(recorder.finish().unwrap().is_none() && !path.exists(), "{name}");
        }
    }

    #[test]
    fn several_threads_write_the_same_file_as_one() {
        const FRAMES: u64 = 41;
        // Identifiers of Matroska's elements: with frames, and of the index after them.
        const CLUSTER: [u8; 4] = [0x1f, 0x43, 0xb6, 0x75];
        const CUES: [u8; 4] = [0x1c, 0x53, 0xbb, 0x6b];
        crate::media::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let format = format(162, 98);
        for container in [Container::Matroska, Container::Avi] {
            let files = [1, 2, 3].map(|threads| {
                let path = folder.path().join(format!("{threads}.{}", container.extension()));
                let shown = Arc::new(Mutex::new(Vec::new()));
                let tapped = Arc::clone(&shown);
                let tap = move |encoded: Encoded| tapped.lock().unwrap().push((encoded.pts(), encoded.bytes()));
                let taps = Taps { picture: Some(Box::new(tap)), written: None };
                let mut recorder =
                    Recorder::parallel(&path, container, &format, format.frame_rate, taps, threads).unwrap();
                let pool = FramePool::new(format.layout, 3 + threads);
                for number in 0..FRAMES {
                    let frame = noise(recorder.acquire(&pool).unwrap(), number);
                    recorder.write(&frame, number * 40_000_000, 40_000_000).unwrap();
                }
                let recorded = recorder.finish().unwrap().unwrap();
                assert_eq!((recorded.repeated, recorded.left_out), (0, 0));
                let shown = std::mem::take(&mut *shown.lock().unwrap());
                assert!(shown.iter().map(|(pts, _)| *pts).eq((0..FRAMES).map(|number| number * 40_000_000)));
                let file = std::fs::read(&path).unwrap();
                // A Matroska's header has random numbers of 7 or 8 bytes, so the positions in its index differ.
                let compared = match container {
                    Container::Matroska => {
                        let mut four = file.windows(4);
                        four.clone().position(|bytes| bytes == CLUSTER).unwrap()
                            ..four.rposition(|bytes| bytes == CUES).unwrap()
                    }
                    _ => 0..file.len(),
                };
                (file[compared].to_vec(), shown)
            });
            assert!(files[0].0.len() > 41 * 10_000, "{}", files[0].0.len());
            assert!(files[1] == files[0] && files[2] == files[0], "{container:?}");
        }
    }

    #[test]
    fn encoded_frames_do_not_pile_up_while_the_disk_does_not_respond() {
        crate::media::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mkv");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // A reader that reads nothing.
        let reader = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        let format = format(1280, 720);
        let encoder = Encoder::new(&format, None).unwrap();
        let frame = noise(FramePool::new(format.layout, 1).acquire(POLL).unwrap(), 0);
        encoder.put(&frame, 0, 40_000_000).unwrap();
        let encoded = encoder.next(TIMEOUT).unwrap();
        let bytes = encoded.bytes() as u64;

        let mut recorder =
            Recorder::for_encoded(&path, Container::Matroska, &format, format.frame_rate, Taps::default()).unwrap();
        let most = MAX_WAITING / bytes + 20;
        let written = (0..=most)
            .take_while(|number| recorder.write_encoded(encoded.clone(), number * 40_000_000).unwrap())
            .count() as u64;
        assert!(written * bytes >= MAX_WAITING && written < most, "{written} frames of {bytes} bytes");
        drop(reader);
    }
}
