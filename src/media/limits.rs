//! Limits of an input: frame size, and whether a playlist may name other files or addresses.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::media::decoding::is_video_decoder;
use crate::media::headers::{Header, Size};
use crate::media::media_type;

/// Default of the largest frame size in pixels: the largest of the levels of H.265 and AV1, 8192x4320.
pub const DEFAULT_MAX_PIXELS: usize = 8192 * 4320;
/// Largest value of the limit: strides and sizes of larger frames overflow GStreamer's integers.
pub const MAX_PIXELS_LIMIT: usize = 1 << 30;
/// The start of the error message about a frame that is too large.
const TOO_LARGE: &str = "its frames are too large";

/// Limits of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub max_pixels: usize,
    /// Whether playlists are followed to other files and servers.
    pub playlists: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_pixels: DEFAULT_MAX_PIXELS, playlists: false }
    }
}

/// Parses a number of pixels.
///
/// # Errors
/// If it is not a number, or out of range.
pub fn parse_pixels(text: &str) -> Result<usize, String> {
    let pixels = text.parse().ok().filter(|pixels| (1..=MAX_PIXELS_LIMIT).contains(pixels));
    pixels.ok_or_else(|| format!("give a number of pixels from 1 to {MAX_PIXELS_LIMIT}, such as {DEFAULT_MAX_PIXELS}"))
}

/// Returns whether an error means that frames have too many pixels.
pub(super) fn is_too_large(error: &gst::glib::Error) -> bool {
    error.message().starts_with(TOO_LARGE)
}

/// The remedy for frames that are too large.
pub(super) const SMALLER: &str = "scale the video down, or run `livelabel run` with a larger --max-pixels";

/// Fails `pipeline` at a frame of more than `most` pixels, before a decoder allocates memory for it.
pub(super) fn limit_frame_size(pipeline: &gst::Pipeline, most: usize) {
    let limit = FrameSizeLimit { pipeline: pipeline.downgrade(), most, passed: Arc::default() };
    pipeline.connect_deep_element_added(move |_, _, element| {
        let decodes = is_video_decoder(element);
        if decodes {
            element.sink_pads().iter().for_each(|pad| limit.watch_encoded(pad));
        }
        // Covers decoders that alone know the size, and raw video.
        if decodes || element.factory().is_some_and(|factory| factory.name() == "videoconvert") {
            element.pads().iter().for_each(|pad| limit.watch_caps(pad));
        }
    });
}

#[derive(Clone)]
struct FrameSizeLimit {
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
    most: usize,
    /// Whether a frame was too large; later frames are not decoded either.
    passed: Arc<AtomicBool>,
}

impl FrameSizeLimit {
    /// Checks the sizes in the headers of encoded frames.
    fn watch_encoded(&self, pad: &gst::Pad) {
        let (limit, header) = (self.clone(), Mutex::new(None));
        pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |pad, info| {
            let mut header = header.lock().unwrap_or_else(PoisonError::into_inner);
            let header = header
                .get_or_insert_with(|| pad.current_caps().as_ref().and_then(media_type).and_then(|k| Header::of(&k)));
            let mut refused = limit.passed.load(Ordering::Relaxed);
            if let Some(header) = header {
                let mut look = |buffer: &gst::BufferRef| {
                    let size = buffer.map_readable().ok().and_then(|bytes| header.read(&bytes));
                    refused |= size.is_some_and(|size| limit.refuses(size));
                };
                match &info.data {
                    Some(gst::PadProbeData::Buffer(buffer)) => look(buffer),
                    Some(gst::PadProbeData::BufferList(list)) => list.iter().for_each(look),
                    _ => {}
                }
            }
            if refused { gst::PadProbeReturn::Drop } else { gst::PadProbeReturn::Ok }
        });
    }

    /// Checks the sizes in the caps of demuxers, parsers and decoders.
    fn watch_caps(&self, pad: &gst::Pad) {
        let limit = self.clone();
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            let Some(gst::EventView::Caps(caps)) = info.event().map(|event| event.view()) else {
                return gst::PadProbeReturn::Ok;
            };
            let side = |name: &str| caps.caps().structure(0)?.get::<i32>(name).ok()?.try_into().ok();
            let size = side("width").zip(side("height"));
            let refused = size.is_some_and(|size| limit.refuses(size));
            if refused { gst::PadProbeReturn::Drop } else { gst::PadProbeReturn::Ok }
        });
    }

    fn refuses(&self, (width, height): Size) -> bool {
        let refused = width.saturating_mul(height) > self.most;
        if refused
            && !self.passed.swap(true, Ordering::Relaxed)
            && let Some(pipeline) = self.pipeline.upgrade()
        {
            // Posted by the pipeline itself: decodebin drops a decoder's messages while it plugs the decoder in.
            let most = self.most;
            gst::element_error!(
                pipeline,
                gst::StreamError::Decode,
                ("{TOO_LARGE}: {width}x{height} pixels, exceeding the limit of {most}")
            );
        }
        refused
    }
}
