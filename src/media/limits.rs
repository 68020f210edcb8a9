//! What an input may ask for: pictures of so many pixels, and other files or addresses.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::media::headers::{Header, Size};
use crate::media::kind;

/// Pixels of a picture at most, unless the user says so: the largest that levels of H.265 and AV1 know, 8192x4320.
pub const MAX_PIXELS: usize = 8192 * 4320;
/// Bound of the bound: rows and sizes beyond it do not fit GStreamer's numbers.
pub const MOST_PIXELS: usize = 1 << 30;
/// What the error message of a larger picture begins with.
const TOO_LARGE: &str = "its pictures are too large";

/// What an input may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub max_pixels: usize,
    /// Whether playlists are followed to what they name.
    pub playlists: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_pixels: MAX_PIXELS, playlists: false }
    }
}

/// A number of pixels as it is written.
///
/// # Errors
/// Where it is none, or none that can be.
pub fn parse_pixels(text: &str) -> Result<usize, String> {
    let pixels = text.parse().ok().filter(|pixels| (1..=MOST_PIXELS).contains(pixels));
    pixels.ok_or_else(|| format!("give a number of pixels from 1 to {MOST_PIXELS}, such as {MAX_PIXELS}"))
}

/// Whether an error says that pictures have too many pixels.
pub(super) fn is_too_large(error: &gst::glib::Error) -> bool {
    error.message().starts_with(TOO_LARGE)
}

/// What helps then.
pub(super) const SMALLER: &str = "scale them down, or let `livelabel run` take them with a larger --max-pixels";

/// Fails `pipeline` at a picture of more than `most` pixels, before a decoder makes room for it.
pub(super) fn bound_pictures(pipeline: &gst::Pipeline, most: usize) {
    let bound = Bound { pipeline: pipeline.downgrade(), most, passed: Arc::default() };
    pipeline.connect_deep_element_added(move |_, _, element| {
        let decodes = element
            .factory()
            .and_then(|factory| factory.metadata("klass").map(String::from))
            .is_some_and(|klass| klass.contains("Decoder") && (klass.contains("Video") || klass.contains("Image")));
        if decodes {
            element.sink_pads().iter().for_each(|pad| bound.watch_encoded(pad));
        }
        // Of a decoder that alone knows the size, or of pictures that are not encoded.
        if decodes || element.factory().is_some_and(|factory| factory.name() == "videoconvert") {
            element.pads().iter().for_each(|pad| bound.watch_caps(pad));
        }
    });
}

#[derive(Clone)]
struct Bound {
    pipeline: gst::glib::WeakRef<gst::Pipeline>,
    most: usize,
    /// Whether a picture was too large: what comes after it is not decoded either.
    passed: Arc<AtomicBool>,
}

impl Bound {
    /// Looks at the sizes that encoded pictures tell themselves.
    fn watch_encoded(&self, pad: &gst::Pad) {
        let (bound, header) = (self.clone(), Mutex::new(None));
        pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |pad, info| {
            let mut header = header.lock().unwrap_or_else(PoisonError::into_inner);
            let header =
                header.get_or_insert_with(|| pad.current_caps().as_ref().and_then(kind).and_then(|k| Header::of(&k)));
            let mut refused = bound.passed.load(Ordering::Relaxed);
            if let Some(header) = header {
                let mut look = |buffer: &gst::BufferRef| {
                    let size = buffer.map_readable().ok().and_then(|bytes| header.read(&bytes));
                    refused |= size.is_some_and(|size| bound.refuses(size));
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

    /// Looks at the sizes that demuxers, parsers and decoders tell.
    fn watch_caps(&self, pad: &gst::Pad) {
        let bound = self.clone();
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            let Some(gst::EventView::Caps(caps)) = info.event().map(|event| event.view()) else {
                return gst::PadProbeReturn::Ok;
            };
            let side = |name: &str| caps.caps().structure(0)?.get::<i32>(name).ok()?.try_into().ok();
            let size = side("width").zip(side("height"));
            let refused = size.is_some_and(|size| bound.refuses(size));
            if refused { gst::PadProbeReturn::Drop } else { gst::PadProbeReturn::Ok }
        });
    }

    fn refuses(&self, (width, height): Size) -> bool {
        let refused = width.saturating_mul(height) > self.most;
        if refused
            && !self.passed.swap(true, Ordering::Relaxed)
            && let Some(pipeline) = self.pipeline.upgrade()
        {
            // From the pipeline itself: decodebin swallows what a decoder says while it is plugged in.
            let most = self.most;
            gst::element_error!(
                pipeline,
                gst::StreamError::Decode,
                ("{TOO_LARGE}: {width}x{height} pixels, where {most} are the most")
            );
        }
        refused
    }
}
