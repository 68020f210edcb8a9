//! Receives a camera's sound beside its video, over RTSP: one stream, unpacked and not decoded.
//!
//! The elements that unpack it are in no pipeline: they work on the thread that brings the packets, and no failure of theirs reaches
//! the video.

use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::error::{Error, Result};
use crate::media::audio_queue::{AudioFormat, AudioQueue};
use crate::media::packet_writer::muxer;
use crate::media::recorder::Container;
use crate::media::{element, media_type};

/// A codec that files hold.
struct Codec {
    /// Its name in RTP.
    encoding: &'static str,
    name: &'static str,
    /// The elements that unpack it.
    elements: &'static [&'static str],
    /// Whether an MP4 holds it.
    mp4: bool,
}

const CODECS: [Codec; 6] = [
    Codec { encoding: "MPEG4-GENERIC", name: "AAC", elements: &["rtpmp4gdepay", "aacparse"], mp4: true },
    Codec { encoding: "OPUS", name: "Opus", elements: &["rtpopusdepay"], mp4: true },
    Codec { encoding: "PCMA", name: "G.711 A-law", elements: &["rtppcmadepay"], mp4: false },
    Codec { encoding: "PCMU", name: "G.711 µ-law", elements: &["rtppcmudepay"], mp4: false },
    Codec { encoding: "G722", name: "G.722", elements: &["rtpg722depay"], mp4: false },
    Codec { encoding: "L16", name: "PCM", elements: &["rtpL16depay"], mp4: false },
];
/// Longest part of a codec's name that is shown.
const MAX_NAME: usize = 32;

/// The sound of one connection.
pub(super) struct AudioReceiver {
    queue: Arc<AudioQueue>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    codec: Option<&'static Codec>,
    /// A codec that the files cannot hold.
    unfit: Option<String>,
    unpacker: Option<Unpacker>,
}

/// Elements that unpack RTP. Dropping it stops them.
struct Unpacker {
    bin: gst::Bin,
    /// Where the packets arrive.
    sink: gst::Pad,
    /// What passes them on to the elements.
    input: gst::Pad,
    /// What receives them from the elements.
    output: gst::Pad,
}

impl AudioReceiver {
    pub fn new(queue: &Arc<AudioQueue>) -> Self {
        Self { queue: Arc::clone(queue), state: Mutex::default() }
    }

    /// The camera lists its streams anew.
    pub fn reset(&self) {
        *self.lock() = State::default();
    }

    /// Returns whether to receive a stream of sound with these caps: the first that a file can hold.
    pub fn select(&self, caps: &gst::Caps) -> bool {
        let mut state = self.lock();
        if state.codec.is_some() {
            return false;
        }
        let encoding = caps.structure(0).and_then(|caps| caps.get::<&str>("encoding-name").ok()).unwrap_or("unknown");
        let known = CODECS.iter().find(|codec| codec.encoding.eq_ignore_ascii_case(encoding));
        state.codec = known.filter(|codec| codec.mp4 || self.queue.container() != Container::Mp4);
        if state.codec.is_none() && state.unfit.is_none() {
            let printed: String = encoding.chars().filter(char::is_ascii_graphic).take(MAX_NAME).collect();
            state.unfit = Some(known.map_or(printed, |codec| codec.name.into()));
        }
        state.codec.is_some()
    }

    /// All streams are set up: says if none of them is sound that is recorded.
    pub fn complete(&self) {
        let state = self.lock();
        if state.codec.is_some() {
            return;
        }
        let Some(codec) = &state.unfit else {
            return self.queue.warn_once("none", "the camera sends no sound, so its recording has none");
        };
        let fits = CODECS.iter().any(|known| known.name == codec);
        let remedy = if fits { "record with --format mkv, or set AAC on the camera" } else { "set AAC on the camera" };
        let text = format!(
            "the camera's sound is {codec}, which {} cannot hold, so the recording has none; {remedy}",
            if self.queue.container() == Container::Mp4 { "an MP4" } else { "a recording" },
        );
        self.queue.warn_once("unfit", &text);
    }

    /// Receives the packets of a stream.
    pub fn receive(&self, pad: &gst::Pad) {
        let mut state = self.lock();
        let Some(codec) = state.codec.filter(|_| state.unpacker.is_none()) else { return };
        let linked = unpack(codec, &self.queue).and_then(|unpacker| {
            pad.link(&unpacker.sink).map_err(|cause| Error::internal("a stream cannot be linked").because(cause))?;
            Ok(unpacker)
        });
        match linked {
            Ok(unpacker) => state.unpacker = Some(unpacker),
            Err(error) => self.queue.warn_once("failed", &format!("sound is not recorded: {error}")),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Unpacker {
    fn drop(&mut self) {
        let _ = self.bin.set_state(gst::State::Null);
    }
}

/// Returns whether a stream is sound, from its caps in RTP.
pub(super) fn is_audio(caps: &gst::Caps) -> bool {
    caps.structure(0).and_then(|caps| caps.get::<&str>("media").ok()) == Some("audio")
}

/// Builds what unpacks the packets of a codec into `queue`.
fn unpack(codec: &Codec, queue: &Arc<AudioQueue>) -> Result<Unpacker> {
    let built = |cause: gst::glib::BoolError| Error::internal("what unpacks it cannot be built").because(cause);
    let linked = |cause: gst::PadLinkError| Error::internal("what unpacks it cannot be linked").because(cause);
    let missing = || Error::internal("an element lacks a pad");
    let elements = codec.elements.iter().map(|name| element(name)).collect::<Result<Vec<_>>>()?;
    let bin = gst::Bin::new();
    bin.add_many(&elements).map_err(built)?;
    gst::Element::link_many(&elements).map_err(built)?;
    let end = |element: Option<&gst::Element>, name| element.and_then(|element| element.static_pad(name));

    let output = output(queue);
    end(elements.last(), "src").ok_or_else(missing)?.link(&output).map_err(linked)?;
    let input = gst::Pad::new(gst::PadDirection::Src);
    input.link(&end(elements.first(), "sink").ok_or_else(missing)?).map_err(linked)?;
    let (packets, events) = (input.clone(), input.clone());
    let sink = gst::Pad::builder(gst::PadDirection::Sink)
        .chain_function(move |_, _, packet| {
            let _ = packets.push(packet);
            Ok(gst::FlowSuccess::Ok)
        })
        .event_function(move |_, _, event| {
            events.push_event(event);
            true
        })
        .build();
    let unpacker = Unpacker { bin, sink, input, output };
    let Unpacker { sink, input, output, .. } = &unpacker;
    [sink, input, output].iter().try_for_each(|pad| pad.set_active(true)).map_err(built)?;
    let started = unpacker.bin.set_state(gst::State::Playing);
    started.map_err(|cause| Error::internal("what unpacks it does not start").because(cause))?;
    Ok(unpacker)
}

/// Creates the pad that puts packets into the queue.
fn output(queue: &Arc<AudioQueue>) -> gst::Pad {
    let format = Arc::new(Mutex::<Option<Arc<AudioFormat>>>::default());
    let (packets, current) = (Arc::clone(queue), Arc::clone(&format));
    let queue = Arc::clone(queue);
    gst::Pad::builder(gst::PadDirection::Sink)
        .chain_function(move |pad, _, packet| {
            let format = current.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let segment = pad.sticky_event::<gst::event::Segment>(0);
            let camera = segment.and_then(|event| {
                let segment = event.segment().downcast_ref::<gst::ClockTime>()?;
                segment.to_running_time(packet.pts()?)
            });
            if let (Some(format), Some(camera)) = (format, camera) {
                packets.put(&packet, camera.nseconds(), &format);
            }
            Ok(gst::FlowSuccess::Ok)
        })
        .event_function(move |pad, _, event| {
            if let gst::EventView::Caps(caps) = event.view() {
                let known = completed(caps.caps_owned()).filter(|caps| fits(caps, queue.container()));
                if known.is_none() {
                    let text =
                        "sound is not recorded, since the camera does not say what its packets hold; set AAC on it";
                    queue.warn_once("caps", text);
                }
                *format.lock().unwrap_or_else(PoisonError::into_inner) = known.map(|caps| queue.format(caps));
            }
            gst::Pad::event_default(pad, None::<&gst::Element>, event)
        })
        .build()
}

/// Adds what Opus packets imply and the muxers want to know.
fn completed(mut caps: gst::Caps) -> Option<gst::Caps> {
    if media_type(&caps)? == "audio/x-opus" {
        let structure = caps.make_mut().structure_mut(0)?;
        for (name, value) in [("rate", 48_000), ("channels", 2), ("channel-mapping-family", 0)] {
            if !structure.has_field(name) {
                structure.set(name, value);
            }
        }
    }
    Some(caps)
}

/// Returns whether a muxer takes packets with these caps.
fn fits(caps: &gst::Caps, container: Container) -> bool {
    let template = muxer(container).ok().and_then(|muxer| muxer.pad_template("audio_%u"));
    template.is_some_and(|template| caps.is_subset(template.caps()))
}
