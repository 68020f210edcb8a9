//! Encodes frames as JPEG without writing a file: for event-based recording and for viewers.

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::error::{Error, Result};
use crate::media::frame::RenderedFrame;
use crate::media::video_format::{VideoFormat, raw_caps};

/// Encoded frames that may wait to be taken. The caller that puts frames also takes them, so few wait.
const WAITING: u32 = 64;

/// A JPEG-encoded frame with its pts and duration. Clones share its bytes.
#[derive(Clone)]
pub struct Encoded(pub(super) gst::Buffer);

impl Encoded {
    /// Returns the pts in nanoseconds of the stream.
    pub fn pts(&self) -> u64 {
        self.0.pts().map_or(0, gst::ClockTime::nseconds)
    }

    /// Returns when the next frame is due, in nanoseconds of the stream.
    pub fn end(&self) -> u64 {
        self.pts() + self.0.duration().map_or(0, gst::ClockTime::nseconds)
    }

    /// Returns the size in bytes.
    pub fn bytes(&self) -> usize {
        self.0.size()
    }

    /// Returns the JPEG file without a copy; `None` if the buffer cannot be mapped.
    pub fn into_bytes(self) -> Option<Bytes> {
        self.0.into_mapped_buffer_readable().ok().map(Bytes::from_owner)
    }
}

/// Callback for every encoded frame, on the encoder's thread.
pub type Tap = Box<dyn Fn(Encoded) + Send + Sync>;

/// Callbacks of a recording.
#[derive(Default)]
pub struct Taps {
    pub picture: Option<Tap>,
    /// Gets the number of bytes of each write.
    pub written: Option<Box<dyn Fn(u64) + Send + Sync>>,
}

/// Calls `tap` with every frame that the JPEG encoder `encode` outputs.
pub(super) fn attach(encode: &gst::Element, tap: Option<Tap>) {
    if let (Some(tap), Some(pad)) = (tap, encode.static_pad("src")) {
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(buffer) = info.buffer() {
                tap(Encoded(buffer.clone()));
            }
            gst::PadProbeReturn::Ok
        });
    }
}

/// An encoder on a GStreamer thread. Dropping it stops the thread.
pub struct Encoder {
    pipeline: gst::Pipeline,
    input: gst_app::AppSrc,
    output: gst_app::AppSink,
}

impl Encoder {
    /// # Errors
    /// Unavailable if the encoder is not installed.
    pub fn new(format: &VideoFormat, tap: Option<Tap>) -> Result<Self> {
        let caps = raw_caps(format, format.frame_rate.unwrap_or((0, 1)));
        let input = gst_app::AppSrc::builder().caps(&caps).format(gst::Format::Time).build();
        let encode = super::encoder()?;
        attach(&encode, tap);
        let output = gst_app::AppSink::builder().sync(false).max_buffers(WAITING).build();
        let pipeline = gst::Pipeline::new();
        let built = |cause: gst::glib::BoolError| Error::internal("the encoder cannot be built").because(cause);
        let chain = [input.upcast_ref(), &encode, output.upcast_ref()];
        pipeline.add_many(chain).map_err(built)?;
        gst::Element::link_many(chain).map_err(built)?;
        let encoder = Self { pipeline, input, output };
        encoder
            .pipeline
            .set_state(gst::State::Playing)
            .map_err(|cause| Error::internal("the encoder does not start").because(cause))?;
        Ok(encoder)
    }

    /// Pushes a frame. Times in nanoseconds.
    ///
    /// # Errors
    /// Failed if the encoder has failed.
    pub fn put(&self, frame: &RenderedFrame, pts: u64, duration: u64) -> Result<()> {
        let pushed = self.input.push_buffer(frame.timed(pts, duration));
        pushed.map(drop).map_err(|cause| Error::failed("a frame cannot be encoded").because(cause))
    }

    /// Returns the next encoded frame, or `None` if there is none yet.
    pub fn take(&self) -> Option<Encoded> {
        self.next(std::time::Duration::ZERO)
    }

    /// Waits up to `timeout` for the next encoded frame.
    pub fn next(&self, timeout: std::time::Duration) -> Option<Encoded> {
        let timeout = gst::ClockTime::from_nseconds(timeout.as_nanos() as u64);
        self.output.try_pull_sample(timeout)?.buffer_owned().map(Encoded)
    }

    /// Encodes the waiting frames and returns all that were not taken.
    pub fn finish(self) -> Vec<Encoded> {
        let _ = self.input.end_of_stream();
        let next = || self.output.try_pull_sample(gst::ClockTime::from_seconds(1))?.buffer_owned().map(Encoded);
        std::iter::from_fn(next).collect()
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}
