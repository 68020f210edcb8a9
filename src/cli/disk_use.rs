//! How many bytes a day a camera's recording takes, estimated from its first seconds.

use std::time::{Duration, Instant};

use crate::config::cameras::RecordingConfig;
use crate::config::options::SegmentVideo;
use crate::error::Result;
use crate::media::frame::Frame;
use crate::media::packets::PacketQueue;
use crate::picture::file::{jpeg, thumbnail};
use crate::pipeline::source::{FrameSource, SourceEvent};
use crate::report::picture_file::{LONGEST, MAX_PICTURES};
use crate::shutdown::Shutdown;
use crate::system::words::{bytes, bytes_per_day};

/// How long a camera is watched.
const WATCHED: Duration = Duration::from_secs(4);
const POLL: Duration = Duration::from_millis(50);

/// Watches a camera from its first frame on. Returns the bytes a day in words; `None` if nothing is recorded.
///
/// # Errors
/// Those of the source.
pub fn estimate(
    source: &mut dyn FrameSource,
    first: &Frame,
    recording: &RecordingConfig,
    packets: Option<&PacketQueue>,
    shutdown: &Shutdown,
) -> Result<Option<String>> {
    if recording.pictures {
        let picture = thumbnail(&first.picture(), (LONGEST, LONGEST))?.len();
        let most = bytes((picture * MAX_PICTURES) as u64);
        return Ok(Some(format!("at most {most} a day for {MAX_PICTURES} pictures of intervals like the first frame")));
    }
    if recording.file.is_none() && recording.segment.is_none() {
        return Ok(None);
    }
    let (began, mut frames) = (Instant::now(), 1);
    while began.elapsed() < WATCHED && !shutdown.requested() {
        frames += u64::from(matches!(source.next(POLL)?, Some(SourceEvent::Frame(_))));
    }
    let labelled = if recording.video == SegmentVideo::Original { 0 } else { jpeg(&first.picture())?.len() as u64 };
    let original = packets.map_or(0, PacketQueue::received);
    let day = bytes_per_day(labelled * frames + original, began.elapsed());
    let most = if recording.only_active { "at most" } else { "about" };
    Ok(Some(format!("{most} {day} a day at the rate of the first seconds")))
}
