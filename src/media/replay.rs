//! Reads a video file as JPEG frames: one at a given time, or all from there on in real time.
//!
//! MJPG, as in the labelled video, is passed through unchanged; other formats are decoded and encoded. Times are
//! nanoseconds from the first frame.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use crate::error::{Error, Result};
use crate::media::decoding::{NO_VIDEO, decode_video_only, refuse_playlists};
use crate::media::first_frame::{FirstFrameError, NO_TRACK, preroll};
use crate::media::limits::{Limits, is_too_large, limit_frame_size};
use crate::media::{caps, element, error_text, media_type};

/// Longest wait for the first frame after opening or seeking.
const TIMEOUT: gst::ClockTime = gst::ClockTime::from_seconds(10);
/// How far before a time a seek starts, in nanoseconds. After the last frame there is none close to it.
const STEPS_BACK: [u64; 4] = [0, 2_000_000_000, 30_000_000_000, u64::MAX];
const JPEG: &str = "image/jpeg";

/// A frame and its pts.
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
    /// If the container states it.
    pub duration: Option<u64>,
    /// The first frame's time in the container.
    origin: u64,
    /// Whether the frames are recorded as JPEGs, as those with a label are.
    pub encoded: bool,
}

impl Video {
    /// # Errors
    /// Input if the file holds no video that can be decoded.
    pub fn open(path: &Path, limits: Limits) -> Result<Self> {
        Ok(Self::opened(path, limits)?.0)
    }

    fn opened(path: &Path, limits: Limits) -> Result<(Self, Player)> {
        let player = Player::open(path, limits, false, false)?;
        let sample = player.sink.try_pull_preroll(TIMEOUT).ok_or_else(|| player.unusable())?;
        let structure = sample.caps().and_then(|caps| caps.structure(0)).ok_or_else(|| player.unusable())?;
        let side = |name: &str| structure.get::<i32>(name).map_err(|_| player.unusable());
        let video = Self {
            path: path.to_path_buf(),
            limits,
            size: (side("width")? as usize, side("height")? as usize),
            duration: player.pipeline.query_duration::<gst::ClockTime>().map(gst::ClockTime::nseconds),
            origin: stream_time(&sample).unwrap_or(0),
            encoded: structure.name() == JPEG,
        };
        Ok((video, player))
    }

    /// Returns a reader of single frames.
    ///
    /// # Errors
    /// Those of [`Video::open`].
    pub fn seeker(&self) -> Result<Seeker> {
        let player = Player::open(&self.path, self.limits, false, false)?;
        player.play()?;
        Ok(Seeker { player, video: self.clone() })
    }

    /// Plays from `from` at `speed` times real time until the result is dropped. Calls `take` with each frame when it
    /// is due, on a GStreamer thread, and with `None` at the end.
    ///
    /// # Errors
    /// Those of [`Video::open`].
    pub fn play(&self, from: u64, speed: f64, take: impl Fn(Option<Still>) + Send + Sync + 'static) -> Result<Playing> {
        let playing = self.prepare(from, speed, take)?;
        playing.start()?;
        Ok(playing)
    }

    /// Does what [`Video::play`] does, but waits for [`Playing::start`] at the first frame.
    ///
    /// # Errors
    /// Those of [`Video::open`].
    pub fn prepare(
        &self,
        from: u64,
        speed: f64,
        take: impl Fn(Option<Still>) + Send + Sync + 'static,
    ) -> Result<Playing> {
        let player = Player::open(&self.path, self.limits, true, true)?;
        let take = std::sync::Arc::new(take);
        let (at_end, on_error, origin) = (take.clone(), take.clone(), self.origin);
        let callbacks = gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                if let Some(still) = still(&sample, origin) {
                    take(Some(still));
                }
                Ok(gst::FlowSuccess::Ok)
            })
            .eos(move |_| at_end(None))
            .build();
        // A frame that is not a key frame is reached by decoding the frames before it.
        let precise = if self.encoded {
            gst::SeekFlags::KEY_UNIT | gst::SeekFlags::SNAP_BEFORE
        } else {
            gst::SeekFlags::ACCURATE
        };
        let start = gst::ClockTime::from_nseconds(self.origin + from);
        let (kind, open) = (gst::SeekType::Set, gst::SeekType::None);
        let flags = gst::SeekFlags::FLUSH | precise;
        player
            .pipeline
            .seek(speed, flags, kind, start, open, gst::ClockTime::NONE)
            .map_err(|cause| player.unusable().because(cause))?;
        // The seek has flushed the first frame that was decoded at opening.
        player.sink.set_callbacks(callbacks);
        player.bus()?.set_sync_handler(move |_, message| {
            if let gst::MessageView::Error(_) = message.view() {
                on_error(None);
            }
            gst::BusSyncReply::Drop
        });
        Ok(Playing { player })
    }
}

/// A playing video. Dropping it stops its threads.
pub struct Playing {
    player: Player,
}

impl Playing {
    /// # Errors
    /// Input if the video cannot be played.
    pub fn start(&self) -> Result<()> {
        self.player.play()
    }
}

/// Reads single frames.
pub struct Seeker {
    player: Player,
    pub video: Video,
}

impl Seeker {
    /// Opens a file to read single frames of it.
    ///
    /// # Errors
    /// Those of [`Video::open`].
    pub fn open(path: &Path, limits: Limits) -> Result<Self> {
        let (video, player) = Video::opened(path, limits)?;
        player.play()?;
        Ok(Self { player, video })
    }

    /// Returns the frame that is shown at `time`: the last one whose pts is not later.
    ///
    /// # Errors
    /// Failed if the file cannot be read there.
    pub fn at(&mut self, time: u64) -> Result<Still> {
        let last = self.video.duration.map_or(time, |duration| time.min(duration.saturating_sub(1)));
        let mut found = None;
        for back in STEPS_BACK {
            let from = last.saturating_sub(back);
            self.seek(from)?;
            while let Some(sample) = self.player.sink.try_pull_sample(TIMEOUT) {
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
            Error::failed(format!("{path}: there is no frame at {:.1} s", time as f64 / 1e9))
                .remedy("check that the file is complete")
        };
        let sample = found.ok_or_else(failed)?;
        let time = stream_time(&sample).map_or(0, |at| at.saturating_sub(self.video.origin));
        let sample = match self.video.encoded {
            true => sample,
            false => {
                let jpeg = gst::Caps::new_empty_simple(JPEG);
                gst_video::convert_sample(&sample, &jpeg, Some(TIMEOUT)).map_err(|cause| failed().because(cause))?
            }
        };
        let jpeg = jpeg(&sample).ok_or_else(failed)?;
        Ok(Still { jpeg, time })
    }

    fn seek(&self, time: u64) -> Result<()> {
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT | gst::SeekFlags::SNAP_BEFORE;
        let position = gst::ClockTime::from_nseconds(self.video.origin + time);
        self.player.pipeline.seek_simple(flags, position).map_err(|cause| self.player.unusable().because(cause))
    }
}

/// A pipeline from a file to a sink.
struct Player {
    pipeline: gst::Pipeline,
    sink: gst_app::AppSink,
    origin: String,
}

impl Player {
    /// Opens the file up to its first frame. `encode` encodes all frames as JPEG; `paced` outputs them in real time.
    fn open(path: &Path, limits: Limits, encode: bool, paced: bool) -> Result<Self> {
        let pipeline = gst::Pipeline::new();
        limit_frame_size(&pipeline, limits.max_pixels);
        caps::ignore_container_colorimetry(&pipeline);
        let file = element("filesrc")?;
        file.set_property("location", path);
        let decode = element("decodebin")?;
        let wanted = [JPEG, "video/x-raw"].map(gst::Structure::new_empty);
        decode.set_property("caps", gst::Caps::from_iter(wanted));
        decode_video_only(&decode);
        refuse_playlists(&decode, false);
        let sink = gst_app::AppSink::builder().sync(paced).max_buffers(1).drop(false).build();
        let player = Self { pipeline, sink, origin: path.display().to_string() };
        let built = |cause| Error::internal("the replay pipeline cannot be built").because(cause);
        player.pipeline.add_many([&file, &decode, player.sink.upcast_ref()]).map_err(built)?;
        file.link(&decode).map_err(built)?;
        link_video(&decode, &player, encode);
        preroll(&player.pipeline, TIMEOUT.into(), &|| false).map_err(|error| match error {
            FirstFrameError::Failed(cause) if is_too_large(&cause) => {
                Error::input(format!("{}: cannot be played", player.origin))
                    .because(cause.message().to_string())
                    .remedy("scale the video down, or allow it with a larger --max-pixels")
            }
            FirstFrameError::Failed(cause) => player.unusable().because(error_text(&cause)),
            FirstFrameError::NoTrack => player.unusable().because(NO_TRACK),
            FirstFrameError::Timeout | FirstFrameError::Interrupted => player.unusable(),
        })?;
        Ok(player)
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

/// Links the first video pad of `decode` to the sink.
fn link_video(decode: &gst::Element, player: &Player, encode: bool) {
    let linked = std::sync::Arc::new(AtomicBool::new(false));
    let (any, sink, pipeline) = (linked.clone(), player.sink.clone(), player.pipeline.downgrade());
    decode.connect_pad_added(move |decode, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let chain = match media_type(&caps).as_deref() {
            Some(JPEG) => Ok(Vec::new()),
            Some("video/x-raw") => auto_orient(encode),
            _ => return,
        };
        let Some(pipeline) = pipeline.upgrade().filter(|_| !linked.swap(true, Ordering::Relaxed)) else { return };
        let result = chain
            .map_err(|error| error.to_string())
            .and_then(|chain| link(&pipeline, pad, &chain, sink.upcast_ref()).map_err(|cause| cause.to_string()));
        if let Err(cause) = result {
            gst::element_error!(decode, gst::CoreError::Negotiation, ("{cause}"));
        }
    });
    decode.connect_no_more_pads(move |decode| {
        if !any.load(Ordering::Relaxed) {
            gst::element_error!(decode, gst::StreamError::WrongType, ("{NO_VIDEO}"));
        }
    });
}

/// Creates the elements that rotate decoded frames upright and, with `encode`, encode them as JPEG. They convert to RGB
/// in between: the encoder assumes JPEG's colorimetry for any YCbCr, and a conversion between two YCbCr formats keeps
/// the range.
fn auto_orient(encode: bool) -> Result<Vec<gst::Element>> {
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
    let sink_pad = whole.first().and_then(|first| first.static_pad("sink")).ok_or_else(|| failed(&"no sink"))?;
    pad.link(&sink_pad).map(drop).map_err(|cause| failed(&cause))
}

/// Returns a sample's time in the container, which may start at any value.
pub(super) fn stream_time(sample: &gst::Sample) -> Option<u64> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    // A frame that starts before the position of a seek has a negative time.
    match segment.to_stream_time_full(sample.buffer()?.pts()?) {
        Some(gst::Signed::Positive(time)) => Some(time.nseconds()),
        _ => Some(0),
    }
}

fn still(sample: &gst::Sample, origin: u64) -> Option<Still> {
    let time = stream_time(sample)?.saturating_sub(origin);
    Some(Still { jpeg: jpeg(sample)?, time })
}

fn jpeg(sample: &gst::Sample) -> Option<Bytes> {
    sample.buffer_owned()?.into_mapped_buffer_readable().ok().map(Bytes::from_owner)
}
