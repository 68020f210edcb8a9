//! Reads the packets of a recorded file as they are, in decoding order.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::error::{Error, Result};
use crate::media::first_frame::{FirstFrameError, NO_TRACK, preroll};
use crate::media::replay::stream_time;
use crate::media::{element, error_text};

/// Longest wait for a packet.
const TIMEOUT: gst::ClockTime = gst::ClockTime::from_seconds(10);
/// Packets that are read ahead.
const AHEAD: u32 = 8;

/// A packet with its time in the file, in nanoseconds.
pub(super) struct FilePacket {
    pub buffer: gst::Buffer,
    pub caps: gst::Caps,
    pub pts: u64,
    pub key: bool,
}

/// The packets of one file.
pub(super) struct PacketReader {
    pipeline: gst::Pipeline,
    sink: gst_app::AppSink,
    origin: String,
    /// Whether a packet was read.
    began: bool,
}

impl PacketReader {
    /// Opens a file. With `from`, in nanoseconds, reading begins at the last key frame at or before it if the container can find it,
    /// or elsewhere.
    ///
    /// # Errors
    /// Input if the file cannot be read or holds no video.
    pub fn open(path: &Path, from: Option<u64>) -> Result<Self> {
        let origin = path.display().to_string();
        let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
        let demuxer = match extension.as_ref().and_then(|extension| extension.to_str()) {
            Some("mp4") => "qtdemux",
            Some("avi") => "avidemux",
            _ => "matroskademux",
        };
        let (file, demuxer) = (element("filesrc")?, element(demuxer)?);
        file.set_property("location", path);
        let sink = gst_app::AppSink::builder().sync(false).max_buffers(AHEAD).build();
        let pipeline = gst::Pipeline::new();
        let reader = Self { pipeline, sink, origin, began: false };
        let built = |cause| Error::internal("the pipeline that reads a recording cannot be built").because(cause);
        reader.pipeline.add_many([&file, &demuxer, reader.sink.upcast_ref()]).map_err(built)?;
        file.link(&demuxer).map_err(built)?;
        link_video(&demuxer, &reader.sink);
        preroll(&reader.pipeline, TIMEOUT.into(), &|| false).map_err(|error| match error {
            FirstFrameError::Failed(cause) => reader.unreadable().because(error_text(&cause)),
            FirstFrameError::NoTrack => reader.unreadable().because(NO_TRACK),
            FirstFrameError::Timeout | FirstFrameError::Interrupted => reader.unreadable(),
        })?;
        if let Some(from) = from {
            let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT | gst::SeekFlags::SNAP_BEFORE;
            let position = gst::ClockTime::from_nseconds(from);
            reader.pipeline.seek_simple(flags, position).map_err(|cause| reader.unreadable().because(cause))?;
        }
        let started = reader.pipeline.set_state(gst::State::Playing);
        started.map_err(|cause| reader.unreadable().because(cause))?;
        Ok(reader)
    }

    /// Returns the next packet; `None` after the last one. A file that was cut off by a kill ends where it was cut off.
    ///
    /// # Errors
    /// Input if no packet can be read.
    pub fn next(&mut self) -> Result<Option<FilePacket>> {
        while let Some(sample) = self.sink.try_pull_sample(TIMEOUT) {
            let (Some(buffer), Some(caps)) = (sample.buffer_owned(), sample.caps_owned()) else { continue };
            let Some(pts) = stream_time(&sample) else { continue };
            self.began = true;
            let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
            return Ok(Some(FilePacket { buffer, caps, pts, key }));
        }
        let error = self.pipeline.bus().and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]));
        let cause = match error.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Error(error)) => error_text(&error.error()),
            _ if self.sink.is_eos() => return Ok(None),
            _ => "the disk is too slow".into(),
        };
        let error = self.unreadable().because(cause);
        if self.began && !self.sink.is_eos() {
            tracing::debug!("{error}");
            return Ok(None);
        }
        Err(error)
    }

    fn unreadable(&self) -> Error {
        Error::input(format!("{}: the recording cannot be read", self.origin)).remedy("check that the file is complete")
    }
}

impl Drop for PacketReader {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Links the first video track to the sink. Others are not read.
fn link_video(demuxer: &gst::Element, sink: &gst_app::AppSink) {
    let (linked, sink) = (Arc::new(AtomicBool::new(false)), sink.clone());
    demuxer.connect_pad_added(move |demuxer, pad| {
        if !pad.name().starts_with("video") || linked.swap(true, Ordering::Relaxed) {
            return;
        }
        let joined = sink.static_pad("sink").map(|target| pad.link(&target));
        if !matches!(joined, Some(Ok(_))) {
            gst::element_error!(demuxer, gst::CoreError::Negotiation, ("the video track cannot be read"));
        }
    });
}
