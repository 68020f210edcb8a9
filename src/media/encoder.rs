//! Pictures to JPEG, apart from any file: for those who decide later whether to keep them, and those who only look.

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::error::{Error, Result};
use crate::media::frame::RenderedFrame;
use crate::media::video_format::{VideoFormat, picture_caps};

/// Encoded pictures that may wait to be taken. Whoever hands pictures in takes them out as well, so few ever do.
const WAITING: u32 = 64;

/// An encoded picture with its times.
pub struct Encoded(pub(super) gst::Buffer);

impl Encoded {
    /// In nanoseconds of the stream.
    pub fn pts(&self) -> u64 {
        self.0.pts().map_or(0, gst::ClockTime::nseconds)
    }

    pub fn bytes(&self) -> usize {
        self.0.size()
    }

    /// The JPEG file itself, where the encoder left it; `None` where it cannot be read.
    pub fn into_bytes(self) -> Option<Bytes> {
        self.0.into_mapped_buffer_readable().ok().map(Bytes::from_owner)
    }
}

/// Hears of every picture as it is encoded, on the encoder's thread.
pub type Tap = Box<dyn Fn(Encoded) + Send + Sync>;

/// Who hears of what goes into a recording.
#[derive(Default)]
pub struct Taps {
    pub picture: Option<Tap>,
    /// Hears of bytes written to the file.
    pub written: Option<Box<dyn Fn(u64) + Send + Sync>>,
}

/// Has `tap` hear of everything that the JPEG encoder `encode` makes.
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

/// Encodes on a thread of GStreamer's. Dropping it ends the thread.
pub struct Encoder {
    pipeline: gst::Pipeline,
    input: gst_app::AppSrc,
    output: gst_app::AppSink,
}

impl Encoder {
    /// # Errors
    /// Unavailable, where the encoder is not installed.
    pub fn new(format: &VideoFormat, tap: Option<Tap>) -> Result<Self> {
        let caps = picture_caps(format, format.frame_rate.unwrap_or((0, 1)));
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

    /// Hands a picture in. Times in nanoseconds.
    ///
    /// # Errors
    /// Failed, where the encoder has given up.
    pub fn put(&self, picture: &RenderedFrame, pts: u64, duration: u64) -> Result<()> {
        let pushed = self.input.push_buffer(picture.timed(pts, duration));
        pushed.map(drop).map_err(|cause| Error::failed("a picture cannot be encoded").because(cause))
    }

    /// The next picture that is encoded, or `None` where none is yet.
    pub fn take(&self) -> Option<Encoded> {
        self.next(std::time::Duration::ZERO)
    }

    /// The same, but waits for it.
    pub fn next(&self, patience: std::time::Duration) -> Option<Encoded> {
        let patience = gst::ClockTime::from_nseconds(patience.as_nanos() as u64);
        self.output.try_pull_sample(patience)?.buffer_owned().map(Encoded)
    }

    /// Encodes what is waiting, and hands out all of it.
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
