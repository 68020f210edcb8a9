//! Writes packets to an open file that need not have a name: Matroska, or MP4 with its index at the end.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::media::element;
use crate::media::file_sink::failures;
use crate::media::packet_recorder::creation_time;
use crate::media::recorder::Container;

/// Bytes that may wait for the disk.
const MAX_WAITING: u64 = 8 << 20;
/// Interval at which a wait for the disk looks.
const POLL: Duration = Duration::from_millis(2);
/// Longest wait for the disk.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Writes one file. It must stay open meanwhile.
pub(super) struct PacketWriter<'a> {
    pipeline: gst::Pipeline,
    input: gst_app::AppSrc,
    failure: Receiver<Error>,
    _file: &'a File,
}

impl<'a> PacketWriter<'a> {
    /// Begins to write to the start of `file`. `began` is the time of the first packet.
    ///
    /// # Errors
    /// Unavailable if an element is missing.
    pub fn create(file: &'a File, container: Container, caps: &gst::Caps, began: OffsetDateTime) -> Result<Self> {
        let input = gst_app::AppSrc::builder().caps(caps).format(gst::Format::Time).max_bytes(0).build();
        let mux = muxer(container)?;
        if container == Container::Matroska {
            mux.set_property("creation-time", creation_time(began));
        }
        let sink = element("fdsink")?;
        sink.set_property("fd", file.as_raw_fd());
        sink.set_property("sync", false);
        let pipeline = gst::Pipeline::new();
        let built =
            |cause: gst::glib::BoolError| Error::internal("the pipeline of an export cannot be built").because(cause);
        pipeline.add_many([input.upcast_ref(), &mux, &sink]).map_err(built)?;
        // By itself GStreamer would choose the first pad that takes anything: one for sound.
        let video = mux.request_pad_simple("video_%u").map(|pad| pad.name());
        input.link_pads(None, &mux, video.as_deref()).and_then(|()| mux.link(&sink)).map_err(built)?;
        let failure = failures(&pipeline, Path::new("the export"))?;
        let writer = Self { pipeline, input, failure, _file: file };
        writer.pipeline.set_state(gst::State::Playing).map_err(|_| writer.error())?;
        Ok(writer)
    }

    /// Appends a packet that has its times. Waits for the disk.
    ///
    /// # Errors
    /// The error of the disk.
    pub fn write(&self, packet: gst::Buffer) -> Result<()> {
        let began = Instant::now();
        while self.input.current_level_bytes() > MAX_WAITING {
            if let Ok(error) = self.failure.try_recv() {
                return Err(error);
            }
            if began.elapsed() > TIMEOUT {
                return Err(self.error());
            }
            std::thread::sleep(POLL);
        }
        self.input.push_buffer(packet).map(drop).map_err(|_| self.error())
    }

    /// Writes the waiting packets and the index.
    ///
    /// # Errors
    /// The reason why the file could not be completed.
    pub fn finish(self) -> Result<()> {
        let bus = self.pipeline.bus().ok_or_else(|| Error::internal("a pipeline has no bus"))?;
        let _ = self.input.end_of_stream();
        let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
        let ended = bus.timed_pop_filtered(Some(gst::ClockTime::from_seconds(TIMEOUT.as_secs())), &kinds);
        match ended.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Eos(_)) => Ok(()),
            _ => Err(self.error()),
        }
    }

    fn error(&self) -> Error {
        self.failure.try_recv().unwrap_or_else(|_| {
            Error::failed("the export cannot be written").remedy("check the free space of the recordings' disk")
        })
    }
}

impl Drop for PacketWriter<'_> {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Creates the muxer for files of this kind.
///
/// # Errors
/// Unavailable if it is not installed.
pub(super) fn muxer(container: Container) -> Result<gst::Element> {
    element(match container {
        Container::Mp4 => "mp4mux",
        Container::Matroska | Container::Avi => "matroskamux",
    })
}

/// Returns whether files of this kind hold packets with these caps.
///
/// # Errors
/// Unavailable if an element is missing.
pub(super) fn holds(container: Container, caps: &gst::Caps) -> Result<bool> {
    let template = muxer(container)?.pad_template("video_%u");
    Ok(template.is_some_and(|template| template.caps().can_intersect(caps)))
}
