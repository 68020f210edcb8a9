//! Assigns pts to a clip's frames: 0 for the first frame, then strictly rising.

use gstreamer as gst;
use gstreamer_video as gst_video;

use crate::media::frame::Frame;
use crate::media::video_format::frame_rate;

/// A pts that is further back than this means that the clock was set back.
const SET_BACK: u64 = 1_000_000_000;
/// Frame duration if neither container nor stream states one.
const DEFAULT_DURATION: u64 = 40_000_000;

/// Assigns pts to frames. All times in nanoseconds.
#[derive(Default)]
pub(super) struct PtsAssigner {
    /// Whether the container stores a pts for each frame.
    own_times: bool,
    /// The first frame's time in the container, which becomes 0. This removes MPEG-TS's start-up delay and audio
    /// that begins earlier.
    origin: Option<u64>,
    sequence: u64,
    last_pts: u64,
    last_end: u64,
}

impl PtsAssigner {
    /// `own_times` says whether the container stores a pts for each frame.
    pub(super) fn new(own_times: bool) -> Self {
        Self { own_times, ..Self::default() }
    }

    /// Maps a sample to a frame. A frame without a pts, or with one in the past, is placed directly after the previous
    /// frame. That happens with B-frames in AVI, which stores no pts, and when a clock was set back.
    pub(super) fn frame(&mut self, sample: &gst::Sample) -> Option<Frame> {
        let info = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
        let buffer = sample.buffer_owned()?;
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let stated = buffer.pts().and_then(|pts| segment.to_stream_time(pts)).map(gst::ClockTime::nseconds);
        let origin = *self.origin.get_or_insert(stated.unwrap_or(0));
        let pts = match stated.map(|stated| stated.saturating_sub(origin)) {
            Some(pts) if self.sequence == 0 || pts > self.last_pts => pts,
            // Near damage a decoder may repeat a pts. Shifting all later frames would lengthen the clip.
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

/// Returns a frame's duration in nanoseconds: its own, or its stream's, or the default.
pub(super) fn frame_duration(buffer: &gst::BufferRef, info: &gst_video::VideoInfo) -> u64 {
    buffer
        .duration()
        .map(gst::ClockTime::nseconds)
        .filter(|&duration| duration > 0)
        .or_else(|| frame_rate(info).map(|(n, d)| 1_000_000_000 * d as u64 / n as u64))
        .unwrap_or(DEFAULT_DURATION)
}
