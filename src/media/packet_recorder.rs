//! Writes a camera's packets to a file as they are: Matroska, or fragmented MP4, with its sound. Nothing is encoded.
//!
//! GStreamer's own thread writes. Packets that the disk is too slow for are left out up to the next key frame, so that
//! nothing waits for the disk and memory is bounded.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::media::audio_queue::{AudioFormat, AudioPacket};
use crate::media::caps::is_byte_stream;
use crate::media::encoder::Taps;
use crate::media::file_sink::{count, failures};
use crate::media::packets::{Packet, PacketFormat};
use crate::media::recorder::Container;
use crate::media::{element, media_type};

/// Longest wait for the file to be closed.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes that may wait for the disk.
const MAX_WAITING: u64 = 32 << 20;
/// Bytes of sound that may wait for the disk.
const MAX_SOUND_WAITING: u64 = 4 << 20;
/// Longest time without sound, in nanoseconds: muxers wait for it, so a file's sound ends there.
const MAX_SILENCE: u64 = 2_000_000_000;
/// How much later than the video sound may begin, in nanoseconds: fragmented MP4s move it to the beginning. A packet of AAC at 8 kHz is
/// shorter.
const LATEST_IN_MP4: u64 = 150_000_000;
/// Length of an MP4's fragments, in milliseconds: what a kill may cost.
const FRAGMENT: u32 = 1000;

/// A file that is being written. Dropping it without [`PacketRecorder::finish`] leaves the file without an index.
pub struct PacketRecorder {
    pipeline: gst::Pipeline,
    input: gst_app::AppSrc,
    failure: Receiver<Error>,
    path: PathBuf,
    /// Packets pushed to the pipeline.
    packets: Cell<u64>,
    /// Decoding time of the last packet, in nanoseconds of the file.
    dts: Cell<u64>,
    /// Whether packets are left out until the next key frame.
    behind: Cell<bool>,
    sound: Option<Sound>,
}

/// The sound of a file.
struct Sound {
    input: gst_app::AppSrc,
    format: Arc<AudioFormat>,
    /// End of the last packet, in nanoseconds of the file.
    end: Cell<u64>,
    /// Whether no more can be written.
    ended: Cell<bool>,
}

impl PacketRecorder {
    /// Returns how much later than the video sound may begin in a file, in nanoseconds.
    pub fn latest_sound(container: Container) -> u64 {
        if container == Container::Mp4 { LATEST_IN_MP4 } else { MAX_SILENCE }
    }

    /// Creates the file, whose time 0 is at `began`, with sound of a format if it has any.
    ///
    /// # Errors
    /// Failed if the file cannot be created.
    pub fn create(
        path: &Path,
        container: Container,
        format: &PacketFormat,
        sound: Option<Arc<AudioFormat>>,
        began: OffsetDateTime,
        taps: Taps,
    ) -> Result<Self> {
        let input = gst_app::AppSrc::builder().caps(&format.caps).format(gst::Format::Time).max_bytes(0).build();
        let mux = match container {
            Container::Mp4 => {
                let mux = element("mp4mux")?;
                mux.set_property("fragment-duration", FRAGMENT);
                mux
            }
            Container::Matroska | Container::Avi => {
                let mux = element("matroskamux")?;
                mux.set_property("creation-time", creation_time(began));
                mux
            }
        };
        let file = element("filesink")?;
        count(&file, taps.written);
        file.set_property("location", path);
        file.set_property("sync", false);
        // A kill loses no more than the packet that is being written.
        file.set_property_from_str("buffer-mode", "unbuffered");
        let chain: Vec<gst::Element> =
            [Some(input.clone().upcast()), converter(format)?].into_iter().flatten().collect();
        let pipeline = gst::Pipeline::new();
        let built =
            |cause: gst::glib::BoolError| Error::internal("the recording pipeline cannot be built").because(cause);
        pipeline.add_many(&chain).map_err(built)?;
        pipeline.add_many([&mux, &file]).map_err(built)?;
        gst::Element::link_many(&chain).map_err(built)?;
        // By itself GStreamer would choose the first pad that takes anything: one for sound.
        let video = mux.request_pad_simple("video_%u").map(|pad| pad.name());
        let last = chain.last().ok_or_else(|| Error::internal("the recording pipeline is empty"))?;
        last.link_pads(None, &mux, video.as_deref()).and_then(|()| mux.link(&file)).map_err(built)?;
        let sound = sound.map(|format| Sound::create(format, &pipeline, &mux)).transpose()?;
        let failure = failures(&pipeline, path)?;
        let recorder = Self {
            pipeline,
            input,
            failure,
            path: path.to_path_buf(),
            packets: Cell::new(0),
            dts: Cell::new(0),
            behind: Cell::new(false),
            sound,
        };
        recorder.pipeline.set_state(gst::State::Playing).map_err(|_| recorder.error())?;
        Ok(recorder)
    }

    /// Appends a packet to the file, whose time 0 is at `start` of the stream, in nanoseconds. Returns whether it is
    /// written: not if the disk is too slow.
    ///
    /// # Errors
    /// The error of the disk.
    pub fn write(&self, packet: &Packet, start: u64) -> Result<bool> {
        if let Ok(error) = self.failure.try_recv() {
            return Err(error);
        }
        let late = self.input.current_level_bytes() + packet.bytes() as u64 > MAX_WAITING;
        self.behind.set((self.behind.get() && !packet.is_key()) || late);
        if self.behind.get() {
            return Ok(false);
        }
        let dts = packet.dts().saturating_sub(start).max(self.dts.get());
        self.dts.set(dts);
        let mut buffer = packet.buffer.copy();
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::from_nseconds(packet.pts().saturating_sub(start).max(dts)));
            buffer.set_dts(gst::ClockTime::from_nseconds(dts));
            buffer.set_duration(gst::ClockTime::from_nseconds(packet.duration()));
        }
        self.input.push_buffer(buffer).map_err(|_| self.error())?;
        self.packets.set(self.packets.get() + 1);
        Ok(true)
    }

    /// Appends a packet of sound. Returns whether it is written: not if the file has no such sound, or not any more.
    ///
    /// # Errors
    /// The error of the disk.
    pub fn write_sound(&self, packet: &AudioPacket, start: u64) -> Result<bool> {
        let Some(sound) = self.sound.as_ref().filter(|sound| sound.takes(packet)) else { return Ok(false) };
        let pts = packet.pts().saturating_sub(start);
        let mut buffer = packet.buffer.copy();
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::from_nseconds(pts));
            buffer.set_dts(gst::ClockTime::from_nseconds(pts));
        }
        sound.end.set(pts + packet.duration());
        sound.input.push_buffer(buffer).map_err(|_| self.error())?;
        Ok(true)
    }

    /// The video has reached `until` of the stream, in nanoseconds, with the sound before it. Returns whether the sound is missing for
    /// so long that it ends here, and the video goes on without it.
    pub fn ends_sound(&self, until: u64, start: u64) -> bool {
        let silent = |sound: &&Sound| until.saturating_sub(start) > sound.end.get() + MAX_SILENCE;
        self.sound.as_ref().filter(silent).is_some_and(Sound::finish)
    }

    /// Writes the waiting packets and the index, and closes the file. Returns whether there is one: a file without
    /// packets is deleted.
    ///
    /// # Errors
    /// The reason why the file could not be completed.
    pub fn finish(self) -> Result<bool> {
        if self.packets.get() == 0 {
            let _ = self.pipeline.set_state(gst::State::Null);
            let _ = std::fs::remove_file(&self.path);
            return Ok(false);
        }
        let bus = self.pipeline.bus().ok_or_else(|| Error::internal("a pipeline has no bus"))?;
        let _ = self.input.end_of_stream();
        self.sound.as_ref().map(Sound::finish);
        let ended = bus.timed_pop_filtered(
            Some(gst::ClockTime::from_seconds(TIMEOUT.as_secs())),
            &[gst::MessageType::Eos, gst::MessageType::Error],
        );
        match ended.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Eos(_)) => Ok(true),
            _ => Err(self.error()),
        }
    }

    fn error(&self) -> Error {
        self.failure.try_recv().unwrap_or_else(|_| {
            Error::failed(format!("{}: the video cannot be written", self.path.display()))
                .remedy("check the folder and the free space on its disk")
        })
    }
}

impl Sound {
    fn create(format: Arc<AudioFormat>, pipeline: &gst::Pipeline, mux: &gst::Element) -> Result<Self> {
        let built =
            |cause: gst::glib::BoolError| Error::internal("the recording of sound cannot be built").because(cause);
        let input = gst_app::AppSrc::builder().caps(&format.caps).format(gst::Format::Time).max_bytes(0).build();
        pipeline.add(&input).map_err(built)?;
        let pad = mux.request_pad_simple("audio_%u").map(|pad| pad.name());
        input.link_pads(None, mux, pad.as_deref()).map_err(built)?;
        Ok(Self { input, format, end: Cell::new(0), ended: Cell::new(false) })
    }

    fn takes(&self, packet: &AudioPacket) -> bool {
        let waiting = self.input.current_level_bytes() + packet.buffer.size() as u64;
        !self.ended.get() && packet.format().continues(&self.format) && waiting <= MAX_SOUND_WAITING
    }

    /// Ends it. Returns whether it had not ended.
    fn finish(&self) -> bool {
        let had_ended = self.ended.replace(true);
        if !had_ended {
            let _ = self.input.end_of_stream();
        }
        !had_ended
    }
}

impl Drop for PacketRecorder {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Returns the parser that converts a byte stream to the form that files hold; `None` if the packets have it.
fn converter(format: &PacketFormat) -> Result<Option<gst::Element>> {
    if !is_byte_stream(&format.caps) {
        return Ok(None);
    }
    let h265 = media_type(&format.caps).is_some_and(|kind| kind == "video/x-h265");
    element(if h265 { "h265parse" } else { "h264parse" }).map(Some)
}

/// Converts a time for the file's header. `None` lets the muxer take the current time.
pub(super) fn creation_time(time: OffsetDateTime) -> Option<gst::glib::DateTime> {
    let seconds = f64::from(time.second()) + f64::from(time.nanosecond()) / 1e9;
    let (month, day) = (i32::from(u8::from(time.month())), i32::from(time.day()));
    gst::glib::DateTime::from_utc(time.year(), month, day, time.hour().into(), time.minute().into(), seconds).ok()
}
