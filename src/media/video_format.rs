//! The format of a stream's frames: size, memory layout, frame rate; and the caps that describe it.

use gstreamer as gst;
use gstreamer_video as gst_video;

use crate::picture::chroma;

/// The format of a stream's frames.
#[derive(Clone, Debug)]
pub struct VideoFormat {
    pub layout: FrameLayout,
    /// Frames a second as a fraction, if the container states it.
    pub frame_rate: Option<(i32, i32)>,
    /// Pixel aspect ratio, width over height, as a fraction.
    pub pixel_aspect: (i32, i32),
    /// In nanoseconds, if the container states it.
    pub duration: Option<u64>,
    /// The decoder element, if there is one. On a GPU it is a different one.
    pub decoder: Option<String>,
}

/// GStreamer's default memory layout of I420: rows padded to four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLayout {
    pub width: usize,
    pub height: usize,
}

impl FrameLayout {
    pub(super) fn strides(self) -> [usize; 2] {
        [self.width.next_multiple_of(4), chroma(self.width).next_multiple_of(4)]
    }

    pub(super) fn plane_sizes(self) -> [usize; 2] {
        let [luma, half] = self.strides();
        [luma * self.height.next_multiple_of(2), half * chroma(self.height)]
    }

    /// Returns the bytes of a frame.
    pub fn bytes(self) -> usize {
        let [luma, half] = self.plane_sizes();
        luma + 2 * half
    }
}

/// Returns the frames a second as a fraction, if the caps state them.
pub(super) fn frame_rate(info: &gst_video::VideoInfo) -> Option<(i32, i32)> {
    let rate = info.fps();
    (rate.numer() > 0 && rate.denom() > 0).then(|| (rate.numer(), rate.denom()))
}

/// Returns the caps of rendered frames.
pub(super) fn raw_caps(format: &VideoFormat, frame_rate: (i32, i32)) -> gst::Caps {
    rendered("video/x-raw", format, frame_rate).field("format", "I420").build()
}

/// Returns the caps of rendered frames that are encoded as JPEG, with all that the encoder states and a file's header holds.
pub(super) fn jpeg_caps(format: &VideoFormat, frame_rate: (i32, i32)) -> gst::Caps {
    rendered("image/jpeg", format, frame_rate).field("interlace-mode", "progressive").build()
}

fn rendered(
    media_type: &str,
    format: &VideoFormat,
    (numerator, denominator): (i32, i32),
) -> gst::caps::Builder<gst::caps::NoFeature> {
    let (pixel_width, pixel_height) = format.pixel_aspect;
    gst::Caps::builder(media_type)
        .field("width", format.layout.width as i32)
        .field("height", format.layout.height as i32)
        .field("framerate", gst::Fraction::new(numerator, denominator))
        .field("pixel-aspect-ratio", gst::Fraction::new(pixel_width, pixel_height))
        .field("colorimetry", "1:4:0:0")
}
