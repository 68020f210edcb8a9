//! The form of a stream's frames: size, layout in memory, rate; and how GStreamer describes it.

use gstreamer as gst;
use gstreamer_video as gst_video;

use crate::picture::chroma;

/// The form of a stream's frames.
#[derive(Clone, Debug)]
pub struct VideoFormat {
    pub layout: Layout,
    /// Frames a second as a fraction, where the container tells.
    pub frame_rate: Option<(i32, i32)>,
    /// Width of a pixel over its height, as a fraction.
    pub pixel_aspect: (i32, i32),
    /// In nanoseconds, where the container tells.
    pub duration: Option<u64>,
    /// The element that decodes, where one does: on a GPU it is another.
    pub decoder: Option<String>,
}

/// The memory layout of I420 that GStreamer assumes where a buffer says nothing: rows padded to four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub width: usize,
    pub height: usize,
}

impl Layout {
    pub(super) fn strides(self) -> [usize; 2] {
        [self.width.next_multiple_of(4), chroma(self.width).next_multiple_of(4)]
    }

    pub(super) fn plane_sizes(self) -> [usize; 2] {
        let [luma, half] = self.strides();
        [luma * self.height.next_multiple_of(2), half * chroma(self.height)]
    }

    pub(super) fn bytes(self) -> usize {
        let [luma, half] = self.plane_sizes();
        luma + 2 * half
    }
}

/// Frames a second as a fraction, where the caps tell.
pub(super) fn frame_rate(info: &gst_video::VideoInfo) -> Option<(i32, i32)> {
    let rate = info.fps();
    (rate.numer() > 0 && rate.denom() > 0).then(|| (rate.numer(), rate.denom()))
}

/// Rendered frames, as GStreamer describes them.
pub(super) fn picture_caps(format: &VideoFormat, (numerator, denominator): (i32, i32)) -> gst::Caps {
    let (pixel_width, pixel_height) = format.pixel_aspect;
    gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", format.layout.width as i32)
        .field("height", format.layout.height as i32)
        .field("framerate", gst::Fraction::new(numerator, denominator))
        .field("pixel-aspect-ratio", gst::Fraction::new(pixel_width, pixel_height))
        .field("colorimetry", "1:4:0:0")
        .build()
}

/// The same, encoded.
pub(super) fn jpeg_caps(format: &VideoFormat, (numerator, denominator): (i32, i32)) -> gst::Caps {
    let (pixel_width, pixel_height) = format.pixel_aspect;
    gst::Caps::builder("image/jpeg")
        .field("width", format.layout.width as i32)
        .field("height", format.layout.height as i32)
        .field("framerate", gst::Fraction::new(numerator, denominator))
        .field("pixel-aspect-ratio", gst::Fraction::new(pixel_width, pixel_height))
        .build()
}
