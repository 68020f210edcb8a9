//! A video file as JPEG pictures: one at a moment, or all from there on in real time.
//!
//! What is MJPG in the file, as the labelled video is, is passed through byte for byte; anything else is decoded and
//! encoded. Times are nanoseconds from the first picture, as everywhere.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use crate::error::{Error, Result};
use crate::media::decoding::{NO_VIDEO, only_containers, only_pictures};
use crate::media::limits::{Limits, bound_pictures, is_too_large};
use crate::media::preroll::{NO_TRACK, Obstacle, preroll};
use crate::media::{caps, element, kind, said};

/// Longest wait for a file's first picture, or one somewhere else in it.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(10);
/// How far before a moment a picture is looked for, in nanoseconds: behind the last there is none near it.
const STEPS_BACK: [u64; 4] = [0, 2_000_000_000, 30_000_000_000, u64::MAX];
const JPEG: &str = "image/jpeg";

/// A picture and when it appears.
pub struct Still {
    pub jpeg: Bytes,
    pub time: u64,
}

/// A video file that can be replayed.
#[derive(Clone)]
pub struct Video {
    path: PathBuf,
    limits: Limits,
    pub size: (usize, usize),
    /// Where the container tells.
    pub duration: Option<u64>,
    /// Its first picture's time in the container.
    origin: u64,
    /// Whether its pictures are JPEGs already.
    encoded: bool,
}

impl Video {
    /// # Errors
    /// Input, where it holds no pictures that can be decoded.
    pub fn open(path: &Path, limits: Limits) -> Result<Self> {
        let reel = Player::open(path, limits, false, false)?;
        let sample = reel.sink.try_pull_preroll(PATIENCE).ok_or_else(|| reel.unusable())?;
        let structure = sample.caps().and_then(|caps| caps.structure(0)).ok_or_else(|| reel.unusable())?;
        let side = |name: &str| structure.get::<i32>(name).map_err(|_| reel.unusable());
        Ok(Self {
            path: path.to_path_buf(),
            limits,
            size: (side("width")? as usize, side("height")? as usize),
            duration: reel.pipeline.query_duration::<gst::ClockTime>().map(gst::ClockTime::nseconds),
            origin: stream_time(&sample).unwrap_or(0),
            encoded: structure.name() == JPEG,
        })
    }

    /// Looks for single pictures.
    ///
    /// # Errors
    /// Those of [`Video::open`].
    pub fn seeker(&self) -> Result<Seeker> {
        let reel = Player::open(&self.path, self.limits, false, false)?;
        reel.play()?;
        Ok(Seeker { reel, video: self.clone() })
    }

    /// Plays from a moment on at `speed` times real time, until it is dropped. `take` gets each picture when it is due, on
    /// a thread of GStreamer's, and in the end `None`.
    ///
    /// # Errors
    /// Those of [`Video::open`].
    pub fn play(&self, from: u64, speed: f64, take: impl Fn(Option<Still>) + Send + Sync + 'static) -> Result<Playing> {
        let reel = Player::open(&self.path, self.limits, true, true)?;
        let take = std::sync::Arc::new(take);
        let (at_end, on_error, origin) = (take.clone(), take.clone(), self.origin);
        let callbacks = gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                if let Some(shot) = shot(&sample, origin) {
                    take(Some(shot));
                }
                Ok(gst::FlowSuccess::Ok)
            })
            .eos(move |_| at_end(None))
            .build();
        // A picture in the middle of a group is reached by decoding those before it, which are not shown.
        let precise = if self.encoded {
            gst::SeekFlags::KEY_UNIT | gst::SeekFlags::SNAP_BEFORE
        } else {
            gst::SeekFlags::ACCURATE
        };
        let start = gst::ClockTime::from_nseconds(self.origin + from);
        let (kind, open) = (gst::SeekType::Set, gst::SeekType::None);
        let flags = gst::SeekFlags::FLUSH | precise;
        reel.pipeline
            .seek(speed, flags, kind, start, open, gst::ClockTime::NONE)
            .map_err(|cause| reel.unusable().because(cause))?;
        // What was waiting since the file was opened is gone with the seek.
        reel.sink.set_callbacks(callbacks);
        reel.bus()?.set_sync_handler(move |_, message| {
            if let gst::MessageView::Error(_) = message.view() {
                on_error(None);
            }
            gst::BusSyncReply::Drop
        });
        reel.play()?;
        Ok(Playing { _reel: reel })
    }
}

/// A video that plays. Dropping it ends its threads.
pub struct Playing {
    _reel: Player,
}

/// Finds single pictures.
pub struct Seeker {
    reel: Player,
    video: Video,
}

impl Seeker {
    /// The picture that is shown at that time: the last that appears at or before it.
    ///
    /// # Errors
    /// Failed, where the file cannot be read there.
    pub fn at(&mut self, time: u64) -> Result<Still> {
        let last = self.video.duration.map_or(time, |duration| time.min(duration.saturating_sub(1)));
        let mut found = None;
        for back in STEPS_BACK {
            let from = last.saturating_sub(back);
            self.seek(from)?;
            while let Some(sample) = self.reel.sink.try_pull_sample(PATIENCE) {
                let at = stream_time(&sample).map_or(0, |at| at.saturating_sub(self.video.origin));
                if at > time {
                    break;
                }
                found = Some(sample);
            }
            if found.is_some() || from == 0 {
                break;
            }
        }
        let failed = || {
            let path = self.video.path.display();
            Error::failed(format!("{path}: there is no picture at {:.1} s", time as f64 / 1e9))
                .remedy("check that the file is whole")
        };
        let sample = found.ok_or_else(failed)?;
        let time = stream_time(&sample).map_or(0, |at| at.saturating_sub(self.video.origin));
        let sample = match self.video.encoded {
            true => sample,
            false => {
                let jpeg = gst::Caps::new_empty_simple(JPEG);
                gst_video::convert_sample(&sample, &jpeg, Some(PATIENCE)).map_err(|cause| failed().because(cause))?
            }
        };
        let jpeg = jpeg(&sample).ok_or_else(failed)?;
        Ok(Still { jpeg, time })
    }

    fn seek(&self, time: u64) -> Result<()> {
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT | gst::SeekFlags::SNAP_BEFORE;
        let position = gst::ClockTime::from_nseconds(self.video.origin + time);
        self.reel.pipeline.seek_simple(flags, position).map_err(|cause| self.reel.unusable().because(cause))
    }
}

/// A pipeline from a file to a sink.
struct Player {
    pipeline: gst::Pipeline,
    sink: gst_app::AppSink,
    origin: String,
}

impl Player {
    /// Opens the file up to its first picture. `encode` makes JPEGs of all pictures, `paced` lets them out in their time.
    fn open(path: &Path, limits: Limits, encode: bool, paced: bool) -> Result<Self> {
        let pipeline = gst::Pipeline::new();
        bound_pictures(&pipeline, limits.max_pixels);
        caps::distrust_container_colours(&pipeline);
        let file = element("filesrc")?;
        file.set_property("location", path);
        let decode = element("decodebin")?;
        let wanted = [JPEG, "video/x-raw"].map(gst::Structure::new_empty);
        decode.set_property("caps", gst::Caps::from_iter(wanted));
        only_pictures(&decode);
        only_containers(&decode, false);
        let sink = gst_app::AppSink::builder().sync(paced).max_buffers(1).drop(false).build();
        let reel = Self { pipeline, sink, origin: path.display().to_string() };
        let built = |cause| Error::internal("the replay pipeline cannot be built").because(cause);
        reel.pipeline.add_many([&file, &decode, reel.sink.upcast_ref()]).map_err(built)?;
        file.link(&decode).map_err(built)?;
        join(&decode, &reel, encode);
        preroll(&reel.pipeline, PATIENCE.into(), &|| false).map_err(|obstacle| match obstacle {
            Obstacle::EventEnvelope(cause) if is_too_large(&cause) => {
                Error::input(format!("{}: cannot be played", reel.origin))
                    .because(cause.message().to_string())
                    .remedy("scale them down, or allow them with a larger --max-pixels")
            }
            Obstacle::EventEnvelope(cause) => reel.unusable().because(said(&cause)),
            Obstacle::NoTrack => reel.unusable().because(NO_TRACK),
            Obstacle::Silence | Obstacle::Interrupted => reel.unusable(),
        })?;
        Ok(reel)
    }

    fn play(&self) -> Result<()> {
        self.pipeline.set_state(gst::State::Playing).map(drop).map_err(|cause| self.unusable().because(cause))
    }

    fn bus(&self) -> Result<gst::Bus> {
        self.pipeline.bus().ok_or_else(|| Error::internal("a pipeline has no bus"))
    }

    fn unusable(&self) -> Error {
        Error::input(format!("{}: cannot be played", self.origin)).remedy("name another file with --video")
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Links the first pictures that come out of `decode` to the sink.
fn join(decode: &gst::Element, reel: &Player, encode: bool) {
    let joined = std::sync::Arc::new(AtomicBool::new(false));
    let (any, sink, pipeline) = (joined.clone(), reel.sink.clone(), reel.pipeline.downgrade());
    decode.connect_pad_added(move |decode, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let chain = match kind(&caps).as_deref() {
            Some(JPEG) => Ok(Vec::new()),
            Some("video/x-raw") => upright(encode),
            _ => return,
        };
        let Some(pipeline) = pipeline.upgrade().filter(|_| !joined.swap(true, Ordering::Relaxed)) else { return };
        let linked = chain
            .map_err(|error| error.to_string())
            .and_then(|chain| link(&pipeline, pad, &chain, sink.upcast_ref()).map_err(|cause| cause.to_string()));
        if let Err(cause) = linked {
            gst::element_error!(decode, gst::CoreError::Negotiation, ("{cause}"));
        }
    });
    decode.connect_no_more_pads(move |decode| {
        if !any.load(Ordering::Relaxed) {
            gst::element_error!(decode, gst::StreamError::WrongType, ("{NO_VIDEO}"));
        }
    });
}

/// What makes decoded pictures upright, and with `encode` makes JPEGs of them. On the way they are RGB, as the encoder takes
/// luma and chroma for JPEG's whatever they are, and the converter between two such forms leaves their range alone.
fn upright(encode: bool) -> Result<Vec<gst::Element>> {
    let (convert, rgb, flip) = (element("videoconvert")?, element("capsfilter")?, element("videoflip")?);
    rgb.set_property("caps", gst::Caps::builder("video/x-raw").field("format", "RGBx").build());
    flip.set_property_from_str("video-direction", "auto");
    let mut chain = vec![convert, rgb, flip];
    if encode {
        let jpeg = element("jpegenc")?;
        jpeg.set_property("quality", super::QUALITY);
        chain.push(jpeg);
    }
    Ok(chain)
}

fn link(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    chain: &[gst::Element],
    sink: &gst::Element,
) -> Result<(), gst::glib::Error> {
    let failed = |cause: &dyn std::fmt::Display| gst::glib::Error::new(gst::CoreError::Pad, &cause.to_string());
    pipeline.add_many(chain).map_err(|cause| failed(&cause))?;
    let whole: Vec<&gst::Element> = chain.iter().chain([sink]).collect();
    gst::Element::link_many(&whole).map_err(|cause| failed(&cause))?;
    for element in chain {
        element.sync_state_with_parent().map_err(|cause| failed(&cause))?;
    }
    let entry = whole.first().and_then(|first| first.static_pad("sink")).ok_or_else(|| failed(&"no sink"))?;
    pad.link(&entry).map(drop).map_err(|cause| failed(&cause))
}

/// In the container, which may begin anywhere.
fn stream_time(sample: &gst::Sample) -> Option<u64> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    // A picture that begins before the moment that was looked for lies outside what is played.
    match segment.to_stream_time_full(sample.buffer()?.pts()?) {
        Some(gst::Signed::Positive(time)) => Some(time.nseconds()),
        _ => Some(0),
    }
}

fn shot(sample: &gst::Sample, origin: u64) -> Option<Still> {
    let time = stream_time(sample)?.saturating_sub(origin);
    Some(Still { jpeg: jpeg(sample)?, time })
}

fn jpeg(sample: &gst::Sample) -> Option<Bytes> {
    sample.buffer_owned()?.into_mapped_buffer_readable().ok().map(Bytes::from_owner)
}
