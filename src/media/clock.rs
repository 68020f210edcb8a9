//! The times of a clip's frames: from its first picture on, always rising.

use gstreamer as gst;
use gstreamer_video as gst_video;

use crate::media::frame::Frame;
use crate::media::video_format::frame_rate;

/// A time that lies further back than this is that of a clock that was set back.
const SET_BACK: u64 = 1_000_000_000;
/// Assumed where neither container nor stream tells how long a frame is shown.
const DEFAULT_DURATION: u64 = 40_000_000;

/// Tells frames their times.
#[derive(Default)]
pub(super) struct Clock {
    /// Whether the container has a time for each picture.
    own_times: bool,
    /// The first frame's time in the container. Time starts there: what stands before it, such as the start-up delay
    /// of MPEG-TS or sound that begins earlier, is no part of the pictures.
    origin: Option<u64>,
    sequence: u64,
    last_pts: u64,
    last_end: u64,
}

impl Clock {
    /// `own_times` says whether the container has a time for each picture.
    pub(super) fn new(own_times: bool) -> Self {
        Self { own_times, ..Self::default() }
    }

    /// A sample as a frame. A frame without a time, or with one that has passed, follows the one before it: B-frames in
    /// AVI, which has no times of its own, or a clock that was set back.
    pub(super) fn frame(&mut self, sample: &gst::Sample) -> Option<Frame> {
        let info = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
        let buffer = sample.buffer_owned()?;
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let told = buffer.pts().and_then(|pts| segment.to_stream_time(pts)).map(gst::ClockTime::nseconds);
        let origin = *self.origin.get_or_insert(told.unwrap_or(0));
        let pts = match told.map(|told| told.saturating_sub(origin)) {
            Some(pts) if self.sequence == 0 || pts > self.last_pts => pts,
            // Around damage a decoder may tell one time twice. Pushing on what follows would lengthen the clip.
            Some(pts) if self.own_times && pts + SET_BACK > self.last_pts => self.last_pts.midpoint(self.last_end),
            _ => self.last_end,
        };
        let duration = frame_duration(&buffer, &info);
        let frame = Frame::map(buffer, &info, pts, duration, self.sequence)?;
        self.sequence += 1;
        self.last_pts = pts;
        self.last_end = frame.end();
        Some(frame)
    }
}

/// How long a frame is shown, as far as it or its stream tells.
pub(super) fn frame_duration(buffer: &gst::BufferRef, info: &gst_video::VideoInfo) -> u64 {
    buffer
        .duration()
        .map(gst::ClockTime::nseconds)
        .filter(|&duration| duration > 0)
        .or_else(|| frame_rate(info).map(|(n, d)| 1_000_000_000 * d as u64 / n as u64))
        .unwrap_or(DEFAULT_DURATION)
}
