//! Corrects what a demuxer says wrongly of its stream.

use gstreamer as gst;
use gstreamer::prelude::*;

/// Lets H.264 and H.265 in MP4 files speak for their colours themselves.
///
/// GStreamer 1.22's `qtdemux` reads the container's copy of that information without its full-range flag, and the
/// parsers behind it believe the container. Without the container's word they read the stream's own.
pub(super) fn distrust_container_colours(pipeline: &gst::Pipeline) {
    pipeline.connect_deep_element_added(|_, _, element| {
        if element.factory().is_some_and(|factory| factory.name() == "qtdemux") {
            element.connect_pad_added(|_, pad| {
                pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
                    if let Some(gst::PadProbeData::Event(event)) = &info.data
                        && let gst::EventView::Caps(caps) = event.view()
                        && let Some(corrected) = without_colours(caps.caps())
                    {
                        info.data = Some(gst::PadProbeData::Event(gst::event::Caps::new(&corrected)));
                    }
                    gst::PadProbeReturn::Ok
                });
            });
        }
    });
}

/// The caps without colorimetry, for codecs that carry it inside.
fn without_colours(caps: &gst::CapsRef) -> Option<gst::Caps> {
    let structure = caps.structure(0)?;
    let inside = ["video/x-h264", "video/x-h265"].contains(&structure.name().as_str());
    if !inside || !structure.has_field("colorimetry") {
        return None;
    }
    let mut corrected = caps.to_owned();
    corrected.make_mut().structure_mut(0)?.remove_field("colorimetry");
    Some(corrected)
}
