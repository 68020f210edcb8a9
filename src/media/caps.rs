//! Corrects wrong caps of a demuxer.

use gstreamer as gst;
use gstreamer::prelude::*;

/// Removes the container's colorimetry from H.264 and H.265 streams in MP4 files.
///
/// GStreamer 1.22's `qtdemux` reads the container's colorimetry without its full-range flag, and the parsers
/// downstream prefer it. Without it they read the colorimetry in the stream.
pub(super) fn ignore_container_colorimetry(pipeline: &gst::Pipeline) {
    pipeline.connect_deep_element_added(|_, _, element| {
        if element.factory().is_some_and(|factory| factory.name() == "qtdemux") {
            element.connect_pad_added(|_, pad| {
                pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
                    if let Some(gst::PadProbeData::Event(event)) = &info.data
                        && let gst::EventView::Caps(caps) = event.view()
                        && let Some(corrected) = without_colorimetry(caps.caps())
                    {
                        info.data = Some(gst::PadProbeData::Event(gst::event::Caps::new(&corrected)));
                    }
                    gst::PadProbeReturn::Ok
                });
            });
        }
    });
}

/// Returns the caps without colorimetry, for codecs whose streams carry it.
fn without_colorimetry(caps: &gst::CapsRef) -> Option<gst::Caps> {
    let structure = caps.structure(0)?;
    let in_stream = ["video/x-h264", "video/x-h265"].contains(&structure.name().as_str());
    if !in_stream || !structure.has_field("colorimetry") {
        return None;
    }
    let mut corrected = caps.to_owned();
    corrected.make_mut().structure_mut(0)?.remove_field("colorimetry");
    Some(corrected)
}

/// Returns whether caps are those of H.264 or H.265 with start codes, as broadcast has it, rather than with lengths, as
/// files have it.
pub(super) fn is_byte_stream(caps: &gst::CapsRef) -> bool {
    let form = caps.structure(0).and_then(|caps| caps.get::<&str>("stream-format").ok());
    form == Some("byte-stream")
}
