//! The wait until a file's first picture has reached its sink.

use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::media::POLL;

/// What a file holds whose demuxer found nothing.
pub(super) const NO_TRACK: &str = "it holds no track that can be played";

/// Why there is no picture.
pub(super) enum Obstacle {
    /// An element has said why.
    EventEnvelope(gst::glib::Error),
    /// None has found a track.
    NoTrack,
    /// Nothing has come for as long as the caller wanted to wait.
    Silence,
    Interrupted,
}

/// Pauses `pipeline` at its first picture. A file that ends before it has one counts as having got there.
pub(super) fn preroll(
    pipeline: &gst::Pipeline,
    patience: Duration,
    interrupted: &dyn Fn() -> bool,
) -> Result<(), Obstacle> {
    let bus = pipeline.bus().ok_or(Obstacle::NoTrack)?;
    // A failure to start is told on the bus in more words.
    let started = pipeline.set_state(gst::State::Paused);
    let began = Instant::now();
    let mut given_up = 0;
    let kinds = [gst::MessageType::AsyncDone, gst::MessageType::Error, gst::MessageType::Eos];
    loop {
        let message = bus.timed_pop_filtered(Some(gst::ClockTime::from_mseconds(POLL.as_millis() as u64)), &kinds);
        match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Error(error)) => return Err(Obstacle::EventEnvelope(error.error())),
            Some(_) => return started.map(drop).map_err(|_| Obstacle::NoTrack),
            None if interrupted() => return Err(Obstacle::Interrupted),
            None if began.elapsed() > patience => return Err(Obstacle::Silence),
            None => {
                // Twice, as its message may be on its way.
                given_up = if gave_up(pipeline) { given_up + 1 } else { 0 };
                if given_up == 2 {
                    return Err(Obstacle::NoTrack);
                }
            }
        }
    }
}

/// Whether a demuxer has stopped without having found a track. decodebin swallows the message of one that fails while it is
/// being plugged in, and would be waited for.
fn gave_up(pipeline: &gst::Pipeline) -> bool {
    let idle = |pad: gst::Pad| pad.mode() == gst::PadMode::Pull && pad.task_state() != gst::TaskState::Started;
    let stopped = |element: gst::Element| {
        element.factory().is_some_and(|factory| factory.has_type(gst::ElementFactoryType::DEMUXER))
            && element.src_pads().is_empty()
            && element.sink_pads().into_iter().any(idle)
    };
    pipeline.iterate_recurse().into_iter().flatten().any(stopped)
}
