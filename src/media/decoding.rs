//! The pipeline that decodes a file to upright I420 frames.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer_app as gst_app;
use gstreamer_base as gst_base;
use gstreamer_base::prelude::*;
use gstreamer_video as gst_video;

use crate::error::{Error, Result};
use crate::media::limits::{Limits, limit_frame_size};
use crate::media::memory::FrameAllocator;
use crate::media::references::Scope;
use crate::media::{caps, element, media_type, references};

/// The error message for a file without a video track.
pub(super) const NO_VIDEO: &str = "no video track";
/// The error message for a playlist.
pub(super) const PLAYLIST: &str = "a playlist, which names other files or addresses";
/// Media types of playlists that name other files or addresses.
const PLAYLISTS: [&str; 3] = ["application/sdp", "application/smil", "text/uri-list"];
/// Media types of playlists that name the segments of one video.
const SEGMENTED: [&str; 3] = ["application/dash+xml", "application/vnd.ms-sstr+xml", "application/x-hls"];

/// Builds `filesrc ! decodebin ! videoconvert ! I420 ! videoflip ! appsink`; only video is decoded.
pub(super) fn pipeline(path: &Path, limits: Limits) -> Result<(gst::Pipeline, gst_app::AppSink)> {
    let pipeline = gst::Pipeline::new();
    caps::ignore_container_colorimetry(&pipeline);
    limit_frame_size(&pipeline, limits.max_pixels);
    let file = element("filesrc")?;
    file.set_property("location", path);
    let sink = gst_app::AppSink::builder().sync(false).max_buffers(1).drop(false).build();
    let decode = decoded(&pipeline, &file, &sink)?;
    refuse_playlists(&decode, limits.playlists);
    if limits.playlists {
        references::follow(&pipeline, Scope::WebAndFiles);
    }
    Ok((pipeline, sink))
}

/// Builds `source ! decodebin ! … ! sink`, where `source` has its pads already or adds them later. Returns decodebin.
pub(super) fn decoded(
    pipeline: &gst::Pipeline,
    source: &gst::Element,
    sink: &gst_app::AppSink,
) -> Result<gst::Element> {
    let decode = element("decodebin")?;
    pipeline.add_many([source, &decode]).map_err(build_error)?;
    let sink_pad = auto_orient(pipeline, sink)?;
    let encoded = decode.static_pad("sink").ok_or_else(|| Error::internal("decodebin has no sink"))?;
    match source.static_pad("src") {
        Some(pad) => pad
            .link(&encoded)
            .map(drop)
            .map_err(|cause| Error::internal("the decoding pipeline cannot be built").because(cause))?,
        None => {
            source.connect_pad_added(move |_, pad| {
                if !encoded.is_linked() {
                    // A pad that does not match is reported on the bus as not linked.
                    let _ = pad.link(&encoded);
                }
            });
        }
    }
    decode_video_only(&decode);
    link_first_video(&decode, sink_pad);
    Ok(decode)
}

/// Builds `videoconvert ! I420 ! videoflip ! sink`; returns its first pad.
pub(super) fn auto_orient(pipeline: &gst::Pipeline, sink: &gst_app::AppSink) -> Result<gst::Pad> {
    let convert = element("videoconvert")?;
    let planar = element("capsfilter")?;
    planar.set_property("caps", gst::Caps::builder("video/x-raw").field("format", "I420").build());
    let upright = element("videoflip")?;
    upright.set_property_from_str("video-direction", "auto");
    pass_through_upright(&upright)?;
    let chain = [&convert, &planar, &upright, sink.upcast_ref()];
    pipeline.add_many(chain).map_err(build_error)?;
    gst::Element::link_many(chain).map_err(build_error)?;
    offer_allocator(pipeline, sink);
    convert.static_pad("sink").ok_or_else(|| Error::internal("videoconvert has no sink"))
}

/// Sets `videoflip` to passthrough until an orientation tag requires a rotation. Otherwise it copies every frame.
fn pass_through_upright(flip: &gst::Element) -> Result<()> {
    let unfit = || Error::internal("videoflip is not a transform with a sink pad");
    let transform = flip.clone().downcast::<gst_base::BaseTransform>().map_err(|_| unfit())?;
    let sink_pad = flip.static_pad("sink").ok_or_else(unfit)?;
    transform.set_passthrough(true);
    // The pad is the element's own: a strong reference would keep both for ever.
    let weak = transform.downgrade();
    sink_pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::EventView::Tag(event)) = info.event().map(|event| event.view())
            && let Some(orientation) = event.tag().get::<gst::tags::ImageOrientation>()
            && orientation.get() != "rotate-0"
            && let Some(transform) = weak.upgrade()
        {
            transform.set_passthrough(false);
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Returns whether an element decodes video, or pictures as JPEG cameras send them.
pub(super) fn is_video_decoder(element: &gst::Element) -> bool {
    let kind = element.factory().and_then(|factory| factory.metadata("klass").map(String::from));
    kind.is_some_and(|kind| kind.contains("Decoder") && (kind.contains("Video") || kind.contains("Image")))
}

/// Returns the name of the video decoder that decodebin selected by rank.
pub(super) fn decoder(pipeline: &gst::Pipeline) -> Option<String> {
    let decodes = |element: &gst::Element| {
        let factory = element.factory()?;
        let kind = factory.metadata("klass")?;
        (kind.contains("Decoder") && kind.contains("Video")).then(|| factory.name().to_string())
    };
    pipeline.iterate_recurse().into_iter().flatten().find_map(|element| decodes(&element))
}

/// Answers allocation queries so that decoders output frames without a copy: in their own layout, and in memory that
/// can be shared while later frames are predicted from it.
fn offer_allocator(pipeline: &gst::Pipeline, sink: &gst_app::AppSink) {
    let Some(pad) = sink.static_pad("sink") else { return };
    // libav's decoders fill each frame completely, and only read it after output.
    let by_libav = Arc::new(AtomicBool::new(false));
    let added = Arc::clone(&by_libav);
    pipeline.connect_deep_element_added(move |_, _, element| {
        if element.factory().is_some_and(|factory| factory.name().starts_with("avdec_")) {
            added.store(true, Ordering::Relaxed);
        }
    });
    let memory = FrameAllocator::default();
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

fn build_error(cause: gst::glib::BoolError) -> Error {
    Error::internal("the decoding pipeline cannot be built").because(cause)
}

/// Excludes audio and text from decoding.
pub(super) fn decode_video_only(decode: &gst::Element) {
    decode.connect("autoplug-continue", false, |arguments| {
        let caps = arguments.get(2).and_then(|value| value.get::<gst::Caps>().ok());
        let unwanted = caps.as_ref().and_then(media_type).is_some_and(|kind| {
            ["audio/", "text/", "subpicture/", "subtitle/"].iter().any(|prefix| kind.starts_with(prefix))
        });
        Some((!unwanted).to_value())
    });
}

/// Fails the pipeline if the file is a playlist, so that an untrusted clip cannot make the program read other files or
/// request addresses. With `followed`, playlists of one video's segments are allowed.
pub(super) fn refuse_playlists(decode: &gst::Element, followed: bool) {
    decode.connect("autoplug-continue", false, move |arguments| {
        let caps = arguments.get(2).and_then(|value| value.get::<gst::Caps>().ok());
        let playlist = caps.as_ref().and_then(media_type).is_some_and(|kind| {
            PLAYLISTS.contains(&kind.as_str()) || (!followed && SEGMENTED.contains(&kind.as_str()))
        });
        if playlist && let Some(Ok(decode)) = arguments.first().map(|value| value.get::<gst::Element>()) {
            gst::element_error!(decode, gst::StreamError::WrongType, ("{PLAYLIST}"));
        }
        Some((!playlist).to_value())
    });
}

/// Links the first decoded video to `sink_pad`; fails the pipeline if there is none.
fn link_first_video(decode: &gst::Element, sink_pad: gst::Pad) {
    let undecoded: Arc<Mutex<Option<String>>> = Arc::default();
    let unknown = Arc::clone(&undecoded);
    decode.connect("unknown-type", false, move |arguments| {
        let caps = arguments.get(2).and_then(|value| value.get::<gst::Caps>().ok());
        let video = caps.as_ref().and_then(media_type).filter(|kind| kind.starts_with("video/"));
        if video.is_some() {
            *unknown.lock().unwrap_or_else(PoisonError::into_inner) = video;
        }
        None
    });
    let linked = sink_pad.clone();
    decode.connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        if media_type(&caps).as_deref() == Some("video/x-raw") && !sink_pad.is_linked() {
            let _ = pad.link(&sink_pad);
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
    use std::path::PathBuf;

    use super::*;

    /// The address of each frame that passes a pad, and whether its memory is shared by copies.
    type Places = Arc<Mutex<Vec<(usize, bool)>>>;

    fn watch(pad: &gst::Pad, places: &Places) {
        let places = Arc::clone(places);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let buffer = info.buffer().unwrap();
            let shared = buffer.peek_memory(0).allocator().is_some_and(|allocator| allocator.is::<FrameAllocator>());
            places.lock().unwrap().push((buffer.map_readable().unwrap().as_ptr() as usize, shared));
            gst::PadProbeReturn::Ok
        });
    }

    /// Returns the sample that set-up fetches, if it is there.
    fn sample() -> Option<PathBuf> {
        let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join(".deps/sample.mp4");
        if !clip.exists() {
            eprintln!("skipped: {} is missing; run scripts/setup", clip.display());
            return None;
        }
        crate::media::init().unwrap();
        Some(clip)
    }

    #[test]
    fn no_element_outlives_its_pipeline() {
        let Some(clip) = sample() else { return };
        let (pipeline, sink) = pipeline(&clip, Limits::default()).unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        sink.pull_sample().unwrap();
        let elements: Vec<_> = pipeline.iterate_recurse().into_iter().map(|element| element.unwrap()).collect();
        let (weak, names): (Vec<_>, Vec<_>) =
            elements.iter().map(|element| (element.downgrade(), element.name().to_string())).unzip();
        assert!(names.iter().any(|name| name.starts_with("videoflip")), "{names:?}");
        pipeline.set_state(gst::State::Null).unwrap();
        drop((elements, sink, pipeline));
        let left: Vec<_> = weak.iter().zip(&names).filter(|(weak, _)| weak.upgrade().is_some()).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    #[test]
    fn frames_reach_the_sink_without_a_copy() {
        let Some(clip) = sample() else { return };
        let (pipeline, sink) = pipeline(&clip, Limits::default()).unwrap();
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
            // Held for a while, like frames in the pipeline of a stream.
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
