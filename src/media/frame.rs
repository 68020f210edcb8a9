//! A decoded frame with its pts, and the pooled frame on which its labelled copy is drawn.

use crossbeam_channel::{Receiver, Sender, bounded};
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

use crate::error::{Error, Result};
use crate::media::video_format::{FrameLayout, VideoFormat, frame_rate};
use crate::picture::file;
use crate::picture::{Colorimetry, Matrix, Picture, PictureMut, Plane, PlaneMut, Range, chroma};

/// A decoded I420 frame, mapped in the decoder's memory. Times in nanoseconds of the stream.
pub struct Frame {
    video: gst_video::VideoFrame<gst_video::video_frame::Readable>,
    pub pts: u64,
    /// Time until the next frame, as the container states it.
    pub duration: u64,
    /// Index in the stream, from 0.
    pub sequence: u64,
    /// Whether the decoder flagged the frame as corrupted.
    pub damaged: bool,
    /// When the decoder output the frame.
    pub arrival: std::time::Instant,
    /// Incremented where a part of the stream is missing. Frames with the same number are consecutive.
    pub discontinuity: u64,
    colorimetry: Colorimetry,
}

impl Frame {
    /// Maps `buffer`; returns `None` if it does not match `info`.
    pub(super) fn map(
        buffer: gstreamer::Buffer,
        info: &gst_video::VideoInfo,
        pts: u64,
        duration: u64,
        sequence: u64,
    ) -> Option<Self> {
        let damaged = buffer.flags().contains(gstreamer::BufferFlags::CORRUPTED);
        let video = gst_video::VideoFrame::from_buffer_readable(buffer, info).ok()?;
        // A decoder may omit a plane, which would be read later.
        if !(0..3).all(|plane| video.plane_data(plane).is_ok_and(|data| !data.is_empty())) {
            return None;
        }
        let arrival = std::time::Instant::now();
        Some(Self {
            video,
            pts,
            duration,
            sequence,
            damaged,
            arrival,
            discontinuity: 0,
            colorimetry: colorimetry(info),
        })
    }

    /// Makes a frame of one shade of grey, as if a decoder had output it.
    #[cfg(any(test, feature = "fuzz"))]
    pub fn grey(layout: FrameLayout, level: u8, pts: u64, duration: u64, sequence: u64) -> Self {
        let (width, height) = (layout.width as u32, layout.height as u32);
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, width, height).build();
        let info = info.expect("a size that video has");
        let buffer = gstreamer::Buffer::from_slice(vec![level; info.size()]);
        Self::map(buffer, &info, pts, duration, sequence).expect("a whole frame")
    }

    /// Returns when the next frame is due, in nanoseconds of the stream.
    pub fn end(&self) -> u64 {
        self.pts + self.duration
    }

    /// Returns the format of the frame's stream.
    pub fn format(&self) -> VideoFormat {
        let info = self.video.info();
        VideoFormat {
            layout: FrameLayout { width: info.width() as usize, height: info.height() as usize },
            frame_rate: frame_rate(info),
            pixel_aspect: (info.par().numer(), info.par().denom()),
            duration: None,
            decoder: None,
        }
    }

    /// Borrows the planes.
    pub fn picture(&self) -> Picture<'_> {
        let (width, height) = (self.video.width() as usize, self.video.height() as usize);
        let plane = |index: usize, width, height| Plane {
            // A plane of a mapped frame always has data; an empty slice would panic at its first read.
            data: self.video.plane_data(index as u32).unwrap_or_default(),
            stride: self.video.plane_stride()[index].unsigned_abs() as usize,
            width,
            height,
        };
        let (half_width, half_height) = (chroma(width), chroma(height));
        Picture {
            planes: [plane(0, width, height), plane(1, half_width, half_height), plane(2, half_width, half_height)],
            colorimetry: self.colorimetry,
        }
    }
}

/// Reads the colorimetry from the caps. GStreamer has already filled in what the file does not state, by frame size.
fn colorimetry(info: &gst_video::VideoInfo) -> Colorimetry {
    let stated = info.colorimetry();
    let matrix = match stated.matrix() {
        gst_video::VideoColorMatrix::Bt709 => Matrix::Bt709,
        gst_video::VideoColorMatrix::Bt2020 => Matrix::Bt2020,
        _ => Matrix::Bt601,
    };
    let range = match stated.range() {
        gst_video::VideoColorRange::Range0_255 => Range::Full,
        _ => Range::Limited,
    };
    Colorimetry { matrix, range }
}

/// A frame to draw on, in JPEG's colorimetry. Its memory returns to its [`FramePool`] on drop.
pub struct PooledFrame {
    layout: FrameLayout,
    bytes: Vec<u8>,
    pool: Sender<Vec<u8>>,
}

impl PooledFrame {
    pub fn picture_mut(&mut self) -> PictureMut<'_> {
        let FrameLayout { width, height } = self.layout;
        let ([luma, half], [luma_size, half_size]) = (self.layout.strides(), self.layout.plane_sizes());
        let (y, rest) = self.bytes.split_at_mut(luma_size);
        let (u, v) = rest.split_at_mut(half_size);
        let plane = |data, stride, width, height| PlaneMut { data, stride, width, height };
        let (half_width, half_height) = (chroma(width), chroma(height));
        PictureMut {
            planes: [
                plane(y, luma, width, height),
                plane(u, half, half_width, half_height),
                plane(v, half, half_width, half_height),
            ],
        }
    }

    /// Finishes drawing. The memory returns to the pool when the last reference is dropped.
    pub fn finish(self) -> RenderedFrame {
        let layout = self.layout;
        RenderedFrame { buffer: gstreamer::Buffer::from_slice(self), layout }
    }
}

/// A drawn frame, shared by all sinks that show or store it.
#[derive(Clone)]
pub struct RenderedFrame {
    buffer: gstreamer::Buffer,
    layout: FrameLayout,
}

impl RenderedFrame {
    /// Encodes the frame as a JPEG file.
    ///
    /// # Errors
    /// Internal if it cannot be mapped or encoded.
    pub fn jpeg(&self) -> Result<Vec<u8>> {
        let bytes =
            self.buffer.map_readable().map_err(|cause| Error::internal("a frame cannot be mapped").because(cause))?;
        let FrameLayout { width, height } = self.layout;
        let ([luma, half], [luma_size, half_size]) = (self.layout.strides(), self.layout.plane_sizes());
        let (y, rest) = bytes.split_at(luma_size);
        let (u, v) = rest.split_at(half_size);
        let plane = |data, stride, width, height| Plane { data, stride, width, height };
        let (half_width, half_height) = (chroma(width), chroma(height));
        file::jpeg(&Picture {
            planes: [
                plane(y, luma, width, height),
                plane(u, half, half_width, half_height),
                plane(v, half, half_width, half_height),
            ],
            colorimetry: Colorimetry::JPEG,
        })
    }

    /// Returns a buffer with its own pts and duration in nanoseconds. No pixel is copied.
    pub(super) fn timed(&self, pts: u64, duration: u64) -> gstreamer::Buffer {
        let mut buffer = self.buffer.copy();
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gstreamer::ClockTime::from_nseconds(pts));
            buffer.set_duration(gstreamer::ClockTime::from_nseconds(duration));
        }
        buffer
    }
}

impl AsRef<[u8]> for PooledFrame {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for PooledFrame {
    fn drop(&mut self) {
        // Fails only after the pool was dropped.
        let _ = self.pool.try_send(std::mem::take(&mut self.bytes));
    }
}

/// A fixed number of frames to draw on. Drawing allocates nothing, and a slow encoder applies back pressure.
pub struct FramePool {
    layout: FrameLayout,
    pool: Sender<Vec<u8>>,
    free: Receiver<Vec<u8>>,
}

impl FramePool {
    pub fn new(layout: FrameLayout, count: usize) -> Self {
        let (pool, free) = bounded(count);
        for _ in 0..count {
            let _ = pool.try_send(vec![0; layout.bytes()]);
        }
        Self { layout, pool, free }
    }

    /// Returns a free frame, or `None` if none is returned within `timeout`. It still holds an earlier frame.
    pub fn acquire(&self, timeout: std::time::Duration) -> Option<PooledFrame> {
        let bytes = self.free.recv_timeout(timeout).ok()?;
        Some(PooledFrame { layout: self.layout, bytes, pool: self.pool.clone() })
    }
}

#[cfg(test)]
mod tests {
    use gstreamer_video::{VideoFormat as PixelFormat, VideoInfo};

    use super::*;

    /// Maps a buffer of `bytes` zeros as a frame of 32×16.
    fn mapped(format: PixelFormat, bytes: usize) -> Option<Frame> {
        crate::media::init().unwrap();
        let info = VideoInfo::builder(format, 32, 16).build().unwrap();
        Frame::map(gstreamer::Buffer::from_slice(vec![0; bytes]), &info, 0, 0, 0)
    }

    #[test]
    fn a_frame_without_all_three_planes_is_refused() {
        let whole = mapped(PixelFormat::I420, 32 * 16 * 3 / 2).unwrap();
        assert!(whole.picture().planes.iter().all(|plane| plane.data.len() >= plane.stride * plane.height));
        assert!(mapped(PixelFormat::I420, 32 * 16).is_none());
        assert!(mapped(PixelFormat::Gray8, 32 * 16).is_none());
        assert!(mapped(PixelFormat::Nv12, 32 * 16 * 3 / 2).is_none());
    }
}
