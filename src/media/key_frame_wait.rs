//! Keeps frames from the decoder whose reference frames it has not received. Decoders show grey or smeared pictures for them.
//!
//! They come before the first key frame of a connection, and after packets that were dropped because the decoder was late. Frames
//! after packets that the network lost are decoded: with one in a hundred lost, little would be left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::media::decoding::is_video_decoder;

/// Longest wait for a key frame. Some cameras send one every ten seconds or more, and those with intra refresh none.
const MAX_WAIT: gst::ClockTime = gst::ClockTime::from_seconds(4);

/// Where a stream stands.
enum State {
    /// It begins, or packets are missing.
    Incomplete,
    /// A key frame is awaited since this time.
    Waiting(gst::ClockTime),
    Complete,
}

/// Drops the packets that reach the video decoder of `pipeline` until a key frame comes, for at most [`MAX_WAIT`] of their own
/// time: at first, and when packets are missing after `overrun` was set.
pub(super) fn attach(pipeline: &gst::Pipeline, overrun: &Arc<AtomicBool>) {
    let overrun = Arc::clone(overrun);
    pipeline.connect_deep_element_added(move |_, _, element| {
        if is_video_decoder(element) {
            element.sink_pads().iter().for_each(|pad| drop_until_key_frame(pad, &overrun));
        }
    });
}

fn drop_until_key_frame(pad: &gst::Pad, overrun: &Arc<AtomicBool>) {
    let (state, overrun) = (Mutex::new(State::Incomplete), Arc::clone(overrun));
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let (Some(packet), Ok(mut state)) = (info.buffer(), state.lock()) else { return gst::PadProbeReturn::Ok };
        // What was on its way before the gap is complete.
        let missing = packet.flags().contains(gst::BufferFlags::DISCONT) && overrun.swap(false, Ordering::Relaxed);
        *state = state.next(packet, missing);
        if matches!(*state, State::Complete) { gst::PadProbeReturn::Ok } else { gst::PadProbeReturn::Drop }
    });
}

impl State {
    fn next(&self, packet: &gst::BufferRef, missing: bool) -> State {
        let is_key = !packet.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let (false, Some(time)) = (is_key, packet.dts_or_pts()) else { return State::Complete };
        match *self {
            State::Complete if !missing => State::Complete,
            State::Waiting(since) if time.saturating_sub(since) >= MAX_WAIT => State::Complete,
            State::Waiting(since) => State::Waiting(since),
            State::Complete | State::Incomplete => State::Waiting(time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds of the packets that pass the pad, of ten that are a second apart. `overrun` is set before the packet of
    /// second 5, and the next one that is not continuous follows a second later. `key` tells which are key frames.
    fn passed(set_overrun: bool, key: impl Fn(u64) -> bool) -> Vec<u64> {
        crate::media::init().unwrap();
        let pad = gst::Pad::builder(gst::PadDirection::Sink).chain_function(|_, _, _| Ok(gst::FlowSuccess::Ok)).build();
        let (overrun, passed) = (Arc::<AtomicBool>::default(), Arc::new(Mutex::new(Vec::new())));
        drop_until_key_frame(&pad, &overrun);
        let list = Arc::clone(&passed);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            list.lock().unwrap().push(info.buffer().unwrap().pts().unwrap().seconds() - 100);
            gst::PadProbeReturn::Ok
        });
        pad.set_active(true).unwrap();
        pad.send_event(gst::event::StreamStart::new("test"));
        pad.send_event(gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new()));
        for second in 0..10 {
            overrun.fetch_or(set_overrun && second == 5, Ordering::Relaxed);
            let mut packet = gst::Buffer::new();
            let header = packet.get_mut().unwrap();
            header.set_pts(gst::ClockTime::from_seconds(100 + second));
            if !key(second) {
                header.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
            if second % 6 == 0 {
                header.set_flags(header.flags() | gst::BufferFlags::DISCONT);
            }
            pad.chain(packet).unwrap();
        }
        let passed = passed.lock().unwrap();
        passed.clone()
    }

    #[test]
    fn packets_pass_from_the_first_key_frame_on() {
        assert_eq!(passed(false, |second| second == 0), Vec::from_iter(0..10));
        assert_eq!(passed(false, |second| second == 3), Vec::from_iter(3..10));
    }

    #[test]
    fn a_stream_without_key_frames_passes_after_four_seconds() {
        assert_eq!(passed(false, |_| false), Vec::from_iter(4..10));
    }

    #[test]
    fn after_an_overrun_packets_pass_up_to_the_gap_and_from_the_next_key_frame_on() {
        assert_eq!(passed(true, |second| second % 4 == 0), [0, 1, 2, 3, 4, 5, 8, 9]);
        // A key frame after the gap.
        assert_eq!(passed(true, |second| second % 3 == 0), Vec::from_iter(0..10));
    }
}
