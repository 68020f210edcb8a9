//! What the pipelines that write a file report: the bytes that are written, and the first error.

use std::path::Path;

use crossbeam_channel::{Receiver, bounded};
use gstreamer as gst;
use gstreamer::prelude::*;

use crate::error::{Error, Result};
use crate::media::error_text;

/// Calls `written` with the number of bytes of each write to the file.
pub(super) fn count(file: &gst::Element, written: Option<Box<dyn Fn(u64) + Send + Sync>>) {
    if let (Some(written), Some(pad)) = (written, file.static_pad("sink")) {
        pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |_, info| {
            let bytes = match &info.data {
                Some(gst::PadProbeData::Buffer(buffer)) => buffer.size(),
                Some(gst::PadProbeData::BufferList(list)) => list.iter().map(gst::BufferRef::size).sum(),
                _ => 0,
            };
            written(bytes as u64);
            gst::PadProbeReturn::Ok
        });
    }
}

/// Returns a channel for the first error of the pipeline. The message stays on the bus for whoever finishes the file.
pub(super) fn failures(pipeline: &gst::Pipeline, path: &Path) -> Result<Receiver<Error>> {
    let (sender, failure) = bounded(1);
    let origin = path.display().to_string();
    let bus = pipeline.bus().ok_or_else(|| Error::internal("a pipeline has no bus"))?;
    bus.set_sync_handler(move |_, message| {
        if let gst::MessageView::Error(error) = message.view() {
            let cause = error.error();
            let error = match cause.kind::<gst::ResourceError>() {
                Some(gst::ResourceError::NoSpaceLeft) => {
                    Error::failed(format!("{origin}: the disk is full")).remedy("free some space, or write elsewhere")
                }
                _ => Error::failed(format!("{origin}: the video cannot be written"))
                    .because(error_text(&cause))
                    .remedy("check the folder and its permissions"),
            };
            let _ = sender.try_send(error);
        }
        gst::BusSyncReply::Pass
    });
    Ok(failure)
}
