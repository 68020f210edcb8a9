//! The pipeline that turns a file into upright I420 pictures.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer_app as gst_app;
use gstreamer_base as gst_base;
use gstreamer_base::prelude::*;
use gstreamer_video as gst_video;

use crate::error::{Error, Result};
use crate::media::limits::{Limits, bound_pictures};
use crate::media::memory::PictureMemory;
use crate::media::references::Scope;
use crate::media::{caps, element, kind, references};

/// The error message of a file that has only other tracks.
pub(super) const NO_VIDEO: &str = "no video track";
/// That of a file that is a list of others.
pub(super) const PLAYLIST: &str = "a playlist, which names other files or addresses";
/// Media types of what names other files or addresses instead of holding pictures,
const PLAYLISTS: [&str; 3] = ["application/sdp", "application/smil", "text/uri-list"];
/// and of those that name the segments of one video.
const SEGMENTED: [&str; 3] = ["application/dash+xml", "application/vnd.ms-sstr+xml", "application/x-hls"];

/// `filesrc ! decodebin ! videoconvert ! I420 ! videoflip ! appsink`; only pictures are decoded.
pub(super) fn pipeline(path: &Path, limits: Limits) -> Result<(gst::Pipeline, gst_app::AppSink)> {
    let pipeline = gst::Pipeline::new();
    caps::distrust_container_colours(&pipeline);
    bound_pictures(&pipeline, limits.max_pixels);
    let file = element("filesrc")?;
    file.set_property("location", path);
    let sink = gst_app::AppSink::builder().sync(false).max_buffers(1).drop(false).build();
    let decode = decoded(&pipeline, &file, &sink)?;
    only_containers(&decode, limits.playlists);
    if limits.playlists {
        references::follow(&pipeline, Scope::WebAndFiles);
    }
    Ok((pipeline, sink))
}

/// Decodes what `source` brings, on pads that it has or will have, for `sink`. Returns the element that does.
pub(super) fn decoded(
    pipeline: &gst::Pipeline,
    source: &gst::Element,
    sink: &gst_app::AppSink,
) -> Result<gst::Element> {
    let decode = element("decodebin")?;
    pipeline.add_many([source, &decode]).map_err(unbuilt)?;
    let entry = upright(pipeline, sink)?;
    let encoded = decode.static_pad("sink").ok_or_else(|| Error::internal("decodebin has no sink"))?;
    match source.static_pad("src") {
        Some(pad) => pad
            .link(&encoded)
            .map(drop)
            .map_err(|cause| Error::internal("the decoding pipeline cannot be built").because(cause))?,
        None => {
            source.connect_pad_added(move |_, pad| {
                if !encoded.is_linked() {
                    // Whatever does not fit is told on the bus as not linked.
                    let _ = pad.link(&encoded);
                }
            });
        }
    }
    only_pictures(&decode);
    take_first_video(&decode, entry);
    Ok(decode)
}

/// `videoconvert ! I420 ! videoflip ! sink`; returns the pad that it begins with.
pub(super) fn upright(pipeline: &gst::Pipeline, sink: &gst_app::AppSink) -> Result<gst::Pad> {
    let convert = element("videoconvert")?;
    let planar = element("capsfilter")?;
    planar.set_property("caps", gst::Caps::builder("video/x-raw").field("format", "I420").build());
    let upright = element("videoflip")?;
    upright.set_property_from_str("video-direction", "auto");
    turn_only_what_lies(&upright)?;
    let chain = [&convert, &planar, &upright, sink.upcast_ref()];
    pipeline.add_many(chain).map_err(unbuilt)?;
    gst::Element::link_many(chain).map_err(unbuilt)?;
    offer_memory(pipeline, sink);
    convert.static_pad("sink").ok_or_else(|| Error::internal("videoconvert has no sink"))
}

/// Lets pictures through `videoflip` as they are until a tag says that they have to be turned. By itself it would copy
/// each.
fn turn_only_what_lies(flip: &gst::Element) -> Result<()> {
    let unfit = || Error::internal("videoflip is not what it was");
    let transform = flip.clone().downcast::<gst_base::BaseTransform>().map_err(|_| unfit())?;
    let entry = flip.static_pad("sink").ok_or_else(unfit)?;
    transform.set_passthrough(true);
    entry.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::EventView::Tag(event)) = info.event().map(|event| event.view())
            && let Some(orientation) = event.tag().get::<gst::tags::ImageOrientation>()
            && orientation.get() != "rotate-0"
        {
            transform.set_passthrough(false);
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// The name of the video decoder that was chosen, by its rank among those that are installed.
pub(super) fn decoder(pipeline: &gst::Pipeline) -> Option<String> {
    let decodes = |element: &gst::Element| {
        let factory = element.factory()?;
        let kind = factory.metadata("klass")?;
        (kind.contains("Decoder") && kind.contains("Video")).then(|| factory.name().to_string())
    };
    pipeline.iterate_recurse().into_iter().flatten().find_map(|element| decodes(&element))
}

/// Lets decoders hand out pictures in the layout that they keep them in, and where they decoded them; else each would be
/// copied, to plain rows or because later pictures are built from it.
fn offer_memory(pipeline: &gst::Pipeline, sink: &gst_app::AppSink) {
    let Some(pad) = sink.static_pad("sink") else { return };
    // Those of libav fill each picture completely, and only read it once it is handed on.
    let by_libav = Arc::new(AtomicBool::new(false));
    let added = Arc::clone(&by_libav);
    pipeline.connect_deep_element_added(move |_, _, element| {
        if element.factory().is_some_and(|factory| factory.name().starts_with("avdec_")) {
            added.store(true, Ordering::Relaxed);
        }
    });
    let memory = PictureMemory::default();
    pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, move |_, info| {
        let Some(gst::QueryViewMut::Allocation(query)) = info.query_mut().map(gst::QueryRef::view_mut) else {
            return gst::PadProbeReturn::Ok;
        };
        query.add_allocation_meta::<gst_video::VideoMeta>(None);
        let size = query.get().0.and_then(|caps| gst_video::VideoInfo::from_caps(caps).ok()).map(|info| info.size());
        if let (true, Some(size)) = (by_libav.load(Ordering::Relaxed), size) {
            query.add_allocation_param(Some(&memory), gst::AllocationParams::default());
            query.add_allocation_pool(Some(&gst_video::VideoBufferPool::new()), size as u32, 0, 0);
        }
        gst::PadProbeReturn::Handled
    });
}

fn unbuilt(cause: gst::glib::BoolError) -> Error {
    Error::internal("the decoding pipeline cannot be built").because(cause)
}

/// Keeps sound and text from being decoded.
pub(super) fn only_pictures(decode: &gst::Element) {
    decode.connect("autoplug-continue", false, |arguments| {
        let caps = arguments.get(2).and_then(|value| value.get::<gst::Caps>().ok());
        let unwanted = caps.as_ref().and_then(kind).is_some_and(|kind| {
            ["audio/", "text/", "subpicture/", "subtitle/"].iter().any(|prefix| kind.starts_with(prefix))
        });
        Some((!unwanted).to_value())
    });
}

/// Fails the pipeline where a file is a playlist, but for one of a video's segments where these are `followed`: a clip from a stranger shall not make the program read other files, or ask
/// addresses of the network.
pub(super) fn only_containers(decode: &gst::Element, followed: bool) {
    decode.connect("autoplug-continue", false, move |arguments| {
        let caps = arguments.get(2).and_then(|value| value.get::<gst::Caps>().ok());
        let playlist = caps.as_ref().and_then(kind).is_some_and(|kind| {
            PLAYLISTS.contains(&kind.as_str()) || (!followed && SEGMENTED.contains(&kind.as_str()))
        });
        if playlist && let Some(Ok(decode)) = arguments.first().map(|value| value.get::<gst::Element>()) {
            gst::element_error!(decode, gst::StreamError::WrongType, ("{PLAYLIST}"));
        }
        Some((!playlist).to_value())
    });
}

/// Links the first decoded video to `entry`, and fails the pipeline where there is none.
fn take_first_video(decode: &gst::Element, entry: gst::Pad) {
    let undecoded: Arc<Mutex<Option<String>>> = Arc::default();
    let unknown = Arc::clone(&undecoded);
    decode.connect("unknown-type", false, move |arguments| {
        let caps = arguments.get(2).and_then(|value| value.get::<gst::Caps>().ok());
        let video = caps.as_ref().and_then(kind).filter(|kind| kind.starts_with("video/"));
        if video.is_some() {
            *unknown.lock().unwrap_or_else(PoisonError::into_inner) = video;
        }
        None
    });
    let linked = entry.clone();
    decode.connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        if kind(&caps).as_deref() == Some("video/x-raw") && !entry.is_linked() {
            let _ = pad.link(&entry);
        }
    });
    decode.connect_no_more_pads(move |decode| {
        if linked.is_linked() {
            return;
        }
        match undecoded.lock().unwrap_or_else(PoisonError::into_inner).as_deref() {
            Some(kind) => gst::element_error!(decode, gst::StreamError::CodecNotFound, ("no decoder for {kind}")),
            None => gst::element_error!(decode, gst::StreamError::WrongType, ("{NO_VIDEO}")),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where each picture begins, as they pass a pad, and whether that is memory of which copies share the block.
    type Places = Arc<Mutex<Vec<(usize, bool)>>>;

    fn watch(pad: &gst::Pad, places: &Places) {
        let places = Arc::clone(places);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let buffer = info.buffer().unwrap();
            let shared = buffer.peek_memory(0).allocator().is_some_and(|allocator| allocator.is::<PictureMemory>());
            places.lock().unwrap().push((buffer.map_readable().unwrap().as_ptr() as usize, shared));
            gst::PadProbeReturn::Ok
        });
    }

    #[test]
    fn pictures_reach_the_sink_where_the_decoder_put_them() {
        crate::media::init().unwrap();
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (pipeline, sink) = pipeline(&project.join(".deps/sample.mp4"), Limits::default()).unwrap();
        let (decoded, received) = (Places::default(), Places::default());
        watch(&sink.static_pad("sink").unwrap(), &received);
        let places = Arc::clone(&decoded);
        pipeline.connect_deep_element_added(move |_, _, element| {
            if element.factory().is_some_and(|factory| factory.name().starts_with("avdec_")) {
                watch(&element.static_pad("src").unwrap(), &places);
            }
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        let mut last = Vec::new();
        while let Ok(sample) = sink.pull_sample() {
            // Held for a while, as pictures on their way to be labelled are.
            last.push(sample);
            last.drain(..last.len().saturating_sub(16));
        }
        pipeline.set_state(gst::State::Null).unwrap();
        let (decoded, received) = (decoded.lock().unwrap(), received.lock().unwrap());
        assert!(received.len() > 100, "{}", received.len());
        assert_eq!(*decoded, *received);
        assert!(received.iter().all(|&(_, shared)| shared));
    }
}
