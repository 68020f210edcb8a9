//! Encodes the frames of a camera that sends raw video or JPEGs as H.264 for its recording.
//!
//! JPEGs would take 4 to 15 times the space. The encoder has a GStreamer thread of its own; frames that it is too slow for
//! are skipped and counted.

use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use crate::error::{Error, Result};
use crate::media::element;
use crate::media::packets::{PacketFormat, PacketQueue};
use crate::media::video_format::frame_rate;

/// Frames that may wait for the encoder.
const WAITING: u64 = 4;
/// Frames between two key frames, at most: two seconds of a common camera.
const KEY_DISTANCE: u32 = 50;
/// Constant quality of x264; smaller is better, and 6 less is about twice the bits.
const QUALITY: u32 = 25;
/// The bit rate that noise cannot exceed, in bits a pixel and frame.
const MAX_BITS: f64 = 0.2;
/// Frames a second that are assumed where the camera states none.
const USUAL_RATE: f64 = 25.0;

/// Seconds until the frames that wait at the end must be encoded.
const DRAIN: u64 = 2;

/// An encoder for one connection. Dropping it stops its thread.
pub(super) struct VideoEncoder {
    pipeline: gst::Pipeline,
    input: gst_app::AppSrc,
    queue: Arc<PacketQueue>,
}

impl VideoEncoder {
    /// Starts an encoder that puts its packets into `queue`.
    ///
    /// # Errors
    /// Unavailable if no encoder is installed.
    pub fn new(info: &gst_video::VideoInfo, queue: &Arc<PacketQueue>) -> Result<Self> {
        let input = gst_app::AppSrc::builder().format(gst::Format::Time).is_live(true).build();
        let encode = encoder(info)?;
        let caps = gst::Caps::builder("video/x-h264").field("stream-format", "avc").field("alignment", "au").build();
        let output = gst_app::AppSink::builder().sync(false).caps(&caps).build();
        output.set_callbacks(deliver(queue));
        // Converts to the form that files hold, if the encoder outputs another.
        let parse = element("h264parse")?;
        let pipeline = gst::Pipeline::new();
        let built = |cause: gst::glib::BoolError| Error::internal("the encoder cannot be built").because(cause);
        let chain = [input.upcast_ref(), &encode, &parse, output.upcast_ref()];
        pipeline.add_many(chain).map_err(built)?;
        gst::Element::link_many(chain).map_err(built)?;
        let encoder = Self { pipeline, input, queue: Arc::clone(queue) };
        encoder
            .pipeline
            .set_state(gst::State::Playing)
            .map_err(|cause| Error::internal("the encoder does not start").because(cause))?;
        Ok(encoder)
    }

    /// Encodes a frame whose pts is `pts` in the stream, unless too many wait. Times in nanoseconds.
    pub fn put(&self, frame: &gst::BufferRef, caps: &gst::CapsRef, pts: u64, duration: u64) {
        if self.input.current_level_buffers() >= WAITING {
            return self.queue.skipped();
        }
        let mut buffer = frame.copy();
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::from_nseconds(pts));
            buffer.set_dts(gst::ClockTime::NONE);
            buffer.set_duration(gst::ClockTime::from_nseconds(duration));
        }
        let sample = gst::Sample::builder().buffer(&buffer).caps(&caps.to_owned()).build();
        if self.input.push_sample(&sample).is_err() {
            self.queue.fail(Error::failed("a frame cannot be encoded"));
        }
    }
}

/// Dropping it encodes the frames that wait.
impl Drop for VideoEncoder {
    fn drop(&mut self) {
        if self.input.end_of_stream().is_ok()
            && let Some(bus) = self.pipeline.bus()
        {
            let ends = [gst::MessageType::Eos, gst::MessageType::Error];
            let _ = bus.timed_pop_filtered(Some(gst::ClockTime::from_seconds(DRAIN)), &ends);
        }
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Puts each encoded frame into the queue.
fn deliver(queue: &Arc<PacketQueue>) -> gst_app::AppSinkCallbacks {
    let (queue, format) = (Arc::clone(queue), Mutex::<Option<(gst::Caps, Arc<PacketFormat>)>>::default());
    gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let (Some(buffer), Some(caps)) = (sample.buffer_owned(), sample.caps_owned()) else {
                return Err(gst::FlowError::Error);
            };
            // x264enc shifts all times by 1000 hours, and says so in the segment.
            let segment = sample.segment().and_then(|segment| segment.downcast_ref::<gst::ClockTime>());
            let pts = segment.zip(buffer.pts()).and_then(|(segment, pts)| segment.to_running_time(pts));
            let mut format = format.lock().unwrap_or_else(PoisonError::into_inner);
            if format.as_ref().is_none_or(|(before, _)| *before != caps) {
                *format = queue.format(&caps).map(|format| (caps, format));
            }
            if let (Some((_, format)), Some(pts)) = (format.as_ref(), pts) {
                queue.put_encoded(buffer, pts.nseconds(), format);
            }
            Ok(gst::FlowSuccess::Ok)
        })
        .build()
}

/// Creates the H.264 encoder: x264, or else OpenH264.
fn encoder(info: &gst_video::VideoInfo) -> Result<gst::Element> {
    let rate = frame_rate(info).map_or(USUAL_RATE, |(frames, seconds)| f64::from(frames) / f64::from(seconds));
    let most = f64::from(info.width()) * f64::from(info.height()) * rate * MAX_BITS;
    if let Ok(encoder) = element("x264enc") {
        encoder.set_property_from_str("speed-preset", "superfast");
        // No frame waits for later ones.
        encoder.set_property_from_str("tune", "zerolatency");
        encoder.set_property_from_str("pass", "qual");
        encoder.set_property("quantizer", QUALITY);
        encoder.set_property("bitrate", (most / 1000.0).clamp(500.0, 100_000.0) as u32);
        encoder.set_property("key-int-max", KEY_DISTANCE);
        return Ok(encoder);
    }
    let encoder = element("openh264enc").map_err(|_| {
        Error::unavailable("no H.264 encoder is installed")
            .remedy("install gstreamer1.0-plugins-ugly, or record with --segment-video labelled")
    })?;
    encoder.set_property("gop-size", KEY_DISTANCE);
    encoder.set_property("bitrate", (most / 2.0).clamp(250_000.0, 50_000_000.0) as u32);
    Ok(encoder)
}
