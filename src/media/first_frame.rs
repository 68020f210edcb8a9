//! Waits until a file's first frame has reached its sink.

use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::media::POLL;

/// The cause of an error for [`FirstFrameError::NoTrack`].
pub(super) const NO_TRACK: &str = "it holds no track that can be played";

/// Why there is no first frame.
pub(super) enum FirstFrameError {
    /// An element posted an error.
    Failed(gst::glib::Error),
    /// No demuxer found a track.
    NoTrack,
    Timeout,
    Interrupted,
}

/// Pauses `pipeline` at its first frame. A file that ends before its first frame is not an error.
pub(super) fn preroll(
    pipeline: &gst::Pipeline,
    timeout: Duration,
    interrupted: &dyn Fn() -> bool,
) -> Result<(), FirstFrameError> {
    let bus = pipeline.bus().ok_or(FirstFrameError::NoTrack)?;
    // The bus has the details of a failure to start.
    let started = pipeline.set_state(gst::State::Paused);
    let began = Instant::now();
    let mut idle_polls = 0;
    let kinds = [gst::MessageType::AsyncDone, gst::MessageType::Error, gst::MessageType::Eos];
    loop {
        let message = bus.timed_pop_filtered(Some(gst::ClockTime::from_mseconds(POLL.as_millis() as u64)), &kinds);
        match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Error(error)) => return Err(FirstFrameError::Failed(error.error())),
            Some(_) => return started.map(drop).map_err(|_| FirstFrameError::NoTrack),
            None if interrupted() => return Err(FirstFrameError::Interrupted),
            None if began.elapsed() > timeout => return Err(FirstFrameError::Timeout),
            None => {
                // Checked twice, since its message may not have reached the bus yet.
                idle_polls = if demuxer_stopped(pipeline) { idle_polls + 1 } else { 0 };
                if idle_polls == 2 {
                    return Err(FirstFrameError::NoTrack);
                }
            }
        }
    }
}

/// Returns whether a demuxer has stopped without a track. decodebin drops the message of a demuxer that fails while it
/// is being plugged in, so the wait would not end.
fn demuxer_stopped(pipeline: &gst::Pipeline) -> bool {
    let idle = |pad: gst::Pad| pad.mode() == gst::PadMode::Pull && pad.task_state() != gst::TaskState::Started;
    let stopped = |element: gst::Element| {
        element.factory().is_some_and(|factory| factory.has_type(gst::ElementFactoryType::DEMUXER))
            && element.src_pads().is_empty()
            && element.sink_pads().into_iter().any(idle)
    };
    pipeline.iterate_recurse().into_iter().flatten().any(stopped)
}
