//! Passes what reaches a camera's decoder to the recording as well: the camera's own packets, decoded once.

use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::media::caps::is_byte_stream;
use crate::media::decoding::is_video_decoder;
use crate::media::packets::{PacketFormat, PacketQueue};

/// The mark on a packet that decoders pass on to its frame. Times do not tell which frame is which: decoders change those
/// that are not in order.
const MARK: &str = "timestamp/x-livelabel-packet";

/// Puts the packets that reach the video decoder of `pipeline` into `queue`, if a file can hold them.
pub(super) fn attach(pipeline: &gst::Pipeline, queue: &Arc<PacketQueue>) {
    let queue = Arc::clone(queue);
    let parsers: Arc<Mutex<Vec<gst::glib::WeakRef<gst::Element>>>> = Arc::default();
    pipeline.connect_deep_element_added(move |_, _, element| {
        if element.find_property("config-interval").is_some() {
            parsers.lock().unwrap_or_else(PoisonError::into_inner).push(element.downgrade());
        }
        if is_video_decoder(element) {
            let parsers = Arc::clone(&parsers);
            let repeat = move || {
                let parsers = parsers.lock().unwrap_or_else(PoisonError::into_inner);
                let parsers = parsers.iter().filter_map(gst::glib::WeakRef::upgrade);
                parsers.for_each(|parser| parser.set_property("config-interval", -1));
            };
            element.sink_pads().iter().for_each(|pad| tap(pad, &queue, repeat.clone()));
        }
    });
}

/// Watches a decoder's input. `repeat` has the parser repeat the parameter sets before each key frame.
fn tap(pad: &gst::Pad, queue: &Arc<PacketQueue>, repeat: impl Fn() + Send + Sync + 'static) {
    let (queue, format) = (Arc::clone(queue), Mutex::<Option<Arc<PacketFormat>>>::default());
    let mark = gst::Caps::new_empty_simple(MARK);
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.add_probe(kinds, move |pad, info| {
        let mut format = format.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut info.data {
            Some(gst::PadProbeData::Event(event)) => {
                if let gst::EventView::Caps(caps) = event.view() {
                    *format = queue.format(&caps.caps_owned());
                    // Without this, a byte stream may have them once, and a later file could not be decoded.
                    if is_byte_stream(caps.caps()) {
                        repeat();
                    }
                }
            }
            Some(gst::PadProbeData::Buffer(buffer)) => {
                if let Some(number) = put(&queue, pad, buffer, format.as_ref()) {
                    let number = gst::ClockTime::from_nseconds(number);
                    gst::ReferenceTimestampMeta::add(buffer.make_mut(), &mark, number, gst::ClockTime::NONE);
                }
            }
            Some(gst::PadProbeData::BufferList(list)) => list.iter_owned().for_each(|buffer| {
                put(&queue, pad, &buffer, format.as_ref());
            }),
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
}

/// Puts a packet into the queue. Returns its number, by which its frame is known.
fn put(queue: &PacketQueue, pad: &gst::Pad, buffer: &gst::Buffer, format: Option<&Arc<PacketFormat>>) -> Option<u64> {
    let segment = pad.sticky_event::<gst::event::Segment>(0);
    let camera = segment.and_then(|event| {
        let segment = event.segment().downcast_ref::<gst::ClockTime>()?;
        segment.to_running_time(buffer.pts()?)
    });
    queue.put(buffer.clone(), camera.map(gst::ClockTime::nseconds), format?)
}

/// Returns the number of the packet from which a frame was decoded, if the decoder passed it on.
pub(super) fn packet_number(frame: &gst::BufferRef) -> Option<u64> {
    let mut marks = frame.iter_meta::<gst::ReferenceTimestampMeta>();
    let own = marks.find(|mark| mark.reference().structure(0).is_some_and(|caps| caps.name() == MARK))?;
    Some(own.timestamp().nseconds())
}
