//! Decodes a clip to frames, in order, with their pts.
//!
//! GStreamer's threads decode and send to one bounded channel. They block when it is full, so no frame is dropped and
//! memory does not grow. The end of the stream or its failure follows the last frame through the same channel.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use crate::error::{Error, Result};
use crate::media::decode_errors::DecodeErrors;
use crate::media::decoding;
use crate::media::first_frame::{FirstFrameError, NO_TRACK, preroll};
use crate::media::frame::Frame;
use crate::media::limits::{Limits, SMALLER, is_too_large};
use crate::media::pts::PtsAssigner;
use crate::media::references::is_foreign;
use crate::media::video_format::{FrameLayout, VideoFormat, frame_rate};
use crate::media::{POLL, error_text};

/// Decoded frames that may wait for the next stage.
const CAPACITY: usize = 8;
/// Longest wait for a file's first frame. Disks and decoders need far less; a hung network share does not respond.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait for a further frame.
const FRAME_TIMEOUT: Duration = Duration::from_secs(30);
/// JPEG encoders and scalers fail below this width or height.
const MIN_SIDE: u32 = 8;
/// The error for a format that nothing decodes, and its remedy.
const NO_DECODER: (&str, &str) = (
    "needs a decoder that is not installed, or not allowed",
    "convert it to H.264; or install GStreamer's plugin for it, and allow it as docs/hardening.md says",
);
const DAMAGED: &str = "it may be damaged or cut short; copy or record it again";

/// An event of a clip.
pub enum ClipEvent {
    Frame(Box<Frame>),
    /// The clip has ended.
    End,
    /// Reading failed. The frames before this are complete.
    Failed(Error),
}

/// An open clip. Dropping it stops its threads.
pub struct ClipDecoder {
    pipeline: gst::Pipeline,
    events: Receiver<ClipEvent>,
    format: VideoFormat,
    decode_errors: Arc<DecodeErrors>,
    watch: Option<JoinHandle<()>>,
    stopping: Arc<AtomicBool>,
    origin: String,
    /// Since when [`ClipDecoder::next`] has waited for the decoder.
    silent_since: Option<Instant>,
}

impl ClipDecoder {
    /// Opens a file and decodes its first frame. Polls `interrupted` and gives up once it returns true.
    ///
    /// # Errors
    /// Input if the file is missing, or holds no video that can be decoded.
    pub fn open(path: &Path, limits: Limits, interrupted: &dyn Fn() -> bool) -> Result<Self> {
        let origin = path.display().to_string();
        let start = check_file(path, &origin)?;
        let (pipeline, sink) = decoding::pipeline(path, limits)?;
        let (sender, events) = bounded(CAPACITY);
        let decode_errors = DecodeErrors::of(&pipeline);
        deliver(
            &sink,
            sender.clone(),
            Arc::clone(&decode_errors),
            !(start.starts_with(b"RIFF") && start.ends_with(b"AVI ")),
        );
        let opened = Opening { pipeline: &pipeline, sink: &sink, origin: &origin, interrupted };
        let format = match opened.format() {
            Ok(format) => format,
            Err(error) => {
                let _ = pipeline.set_state(gst::State::Null);
                decode_errors.close();
                return Err(error);
            }
        };
        let stopping = Arc::new(AtomicBool::new(false));
        let watch = {
            let bus = pipeline.bus().ok_or_else(|| Error::internal("a pipeline has no bus"))?;
            let (decode_errors, stopping, origin) = (Arc::clone(&decode_errors), Arc::clone(&stopping), origin.clone());
            std::thread::Builder::new()
                .name("watch".into())
                .spawn(move || watch(&bus, &origin, &sender, &decode_errors, &stopping))
                .map_err(|cause| Error::unavailable("a thread cannot be started").because(cause))?
        };
        Ok(Self { pipeline, events, format, decode_errors, watch: Some(watch), stopping, origin, silent_since: None })
    }

    pub fn format(&self) -> &VideoFormat {
        &self.format
    }

    /// Returns the counter of decode errors, to be read when the clip has ended.
    pub fn decode_errors(&self) -> Arc<DecodeErrors> {
        Arc::clone(&self.decode_errors)
    }

    /// Starts decoding.
    ///
    /// # Errors
    /// Failed if GStreamer cannot start the pipeline.
    pub fn play(&self) -> Result<()> {
        self.pipeline.set_state(gst::State::Playing).map(drop).map_err(|cause| {
            Error::failed(format!("{}: cannot be played", self.origin))
                .because(cause)
                .remedy("check that ffprobe can read it")
        })
    }

    /// Returns the next frame, or how the stream ended; `None` if neither arrives within `timeout`. A decoder that
    /// outputs nothing for [`FRAME_TIMEOUT`] counts as failed.
    pub fn next(&mut self, timeout: Duration) -> Option<ClipEvent> {
        let event = match self.events.recv_timeout(timeout) {
            Ok(event) => event,
            Err(RecvTimeoutError::Disconnected) => ClipEvent::End,
            Err(RecvTimeoutError::Timeout) => {
                let since = *self.silent_since.get_or_insert_with(Instant::now);
                if since.elapsed() < FRAME_TIMEOUT {
                    return None;
                }
                let seconds = FRAME_TIMEOUT.as_secs();
                ClipEvent::Failed(
                    Error::failed(format!("{}: no frame for {seconds} s", self.origin))
                        .remedy("check that its disk responds; if it does, convert the clip with ffmpeg"),
                )
            }
        };
        self.silent_since = None;
        Some(event)
    }
}

impl Drop for ClipDecoder {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // A decoder thread may wait for room in the channel. Without a receiver it returns, and the state can change.
        self.events = crossbeam_channel::never();
        let _ = self.pipeline.set_state(gst::State::Null);
        self.decode_errors.close();
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
    }
}

/// Rejects files that cannot be a clip. Returns the file's first bytes, zero-filled if it is shorter.
fn check_file(path: &Path, origin: &str) -> Result<[u8; 12]> {
    let metadata = std::fs::metadata(path).map_err(|cause| {
        Error::input(format!("{origin}: cannot be opened")).because(cause).remedy("check the name and its permissions")
    })?;
    if metadata.is_dir() {
        return Err(Error::input(format!("{origin}: is a folder")).remedy("give the clips in it, like FOLDER/*.mp4"));
    }
    if metadata.len() == 0 {
        return Err(Error::input(format!("{origin}: is empty")).remedy("copy or record the clip again"));
    }
    let mut start = [0; 12];
    let mut file = std::fs::File::open(path).map_err(|cause| {
        Error::input(format!("{origin}: cannot be opened")).because(cause).remedy("check its permissions")
    })?;
    let whole = file.read_exact(&mut start).is_ok();
    if whole && start.starts_with(b"GIF8") {
        // GStreamer's GIF demuxer gives every frame the pts 0 and then hangs.
        return Err(Error::input(format!("{origin}: is a GIF, which cannot be read"))
            .remedy("convert it: ffmpeg -i CLIP.gif CLIP.mp4"));
    }
    Ok(start)
}

/// Sends every frame that reaches `sink`, and the end of the stream, to `events`.
fn deliver(sink: &gst_app::AppSink, events: Sender<ClipEvent>, decode_errors: Arc<DecodeErrors>, own_times: bool) {
    let mut assigner = PtsAssigner::new(own_times);
    let at_end = events.clone();
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let frame = assigner.frame(&sample).ok_or(gst::FlowError::Error)?;
            if frame.damaged {
                decode_errors.add();
            }
            decode_errors.advance(frame.end());
            events
                .send(ClipEvent::Frame(Box::new(frame)))
                .map(|()| gst::FlowSuccess::Ok)
                .map_err(|_| gst::FlowError::Eos)
        })
        .eos(move |_| {
            let _ = at_end.send(ClipEvent::End);
        })
        .build();
    sink.set_callbacks(callbacks);
}

/// A pipeline that has not decoded its first frame yet.
struct Opening<'a> {
    pipeline: &'a gst::Pipeline,
    sink: &'a gst_app::AppSink,
    origin: &'a str,
    interrupted: &'a dyn Fn() -> bool,
}

impl Opening<'_> {
    fn format(&self) -> Result<VideoFormat> {
        preroll(self.pipeline, OPEN_TIMEOUT, self.interrupted).map_err(|error| self.open_error(error))?;
        let info = self
            .sink
            .sink_pads()
            .first()
            .and_then(|pad| pad.current_caps())
            .and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok())
            .ok_or_else(|| {
                Error::input(format!("{}: its video track holds no frames", self.origin))
                    .remedy("record or export the clip again")
            })?;
        if info.width().min(info.height()) < MIN_SIDE {
            return Err(Error::input(format!(
                "{}: its frames of {}x{} are too small",
                self.origin,
                info.width(),
                info.height()
            ))
            .remedy(format!("give a clip of at least {MIN_SIDE}x{MIN_SIDE}")));
        }
        Ok(VideoFormat {
            layout: FrameLayout { width: info.width() as usize, height: info.height() as usize },
            frame_rate: frame_rate(&info),
            pixel_aspect: (info.par().numer(), info.par().denom()),
            duration: self.pipeline.query_duration::<gst::ClockTime>().map(gst::ClockTime::nseconds),
            decoder: decoding::decoder(self.pipeline),
        })
    }

    fn open_error(&self, error: FirstFrameError) -> Error {
        let origin = self.origin;
        match error {
            FirstFrameError::Failed(cause) => opening_error(origin, &cause),
            FirstFrameError::NoTrack => {
                Error::input(format!("{origin}: cannot be opened as video")).because(NO_TRACK).remedy(DAMAGED)
            }
            FirstFrameError::Timeout => Error::input(format!("{origin}: no frame within {} s", OPEN_TIMEOUT.as_secs()))
                .remedy("check that its disk responds and that ffprobe can read it"),
            FirstFrameError::Interrupted => Error::failed(format!("{origin}: interrupted before its first frame")),
        }
    }
}

/// Returns the error for a clip that GStreamer could not open.
fn opening_error(origin: &str, cause: &gst::glib::Error) -> Error {
    let missing = cause.kind::<gst::CoreError>() == Some(gst::CoreError::MissingPlugin);
    let (what, remedy) = match cause.kind::<gst::StreamError>() {
        _ if is_foreign(cause) => ("cannot be read", "give the clips that it names"),
        _ if is_too_large(cause) => ("cannot be decoded", SMALLER),
        Some(gst::StreamError::WrongType) if cause.message() == decoding::NO_VIDEO => {
            ("has no video track", "give a clip with video")
        }
        Some(gst::StreamError::WrongType) if cause.message() == decoding::PLAYLIST => {
            ("is not a clip", "give the clips that it names, or follow it with --allow-playlists")
        }
        Some(gst::StreamError::TypeNotFound | gst::StreamError::WrongType) => {
            ("is not a video", "give a clip that ffprobe can read")
        }
        Some(gst::StreamError::CodecNotFound) => NO_DECODER,
        _ if missing => NO_DECODER,
        _ => ("cannot be opened as video", DAMAGED),
    };
    Error::input(format!("{origin}: {what}")).because(error_text(cause)).remedy(remedy)
}

/// Reads the bus until the stream ends: counts warnings, and sends an error after the frames.
fn watch(
    bus: &gst::Bus,
    origin: &str,
    events: &Sender<ClipEvent>,
    decode_errors: &DecodeErrors,
    stopping: &AtomicBool,
) {
    let kinds = [gst::MessageType::Warning, gst::MessageType::Error, gst::MessageType::Eos];
    while !stopping.load(Ordering::Relaxed) {
        let message = bus.timed_pop_filtered(Some(gst::ClockTime::from_mseconds(POLL.as_millis() as u64)), &kinds);
        match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Warning(warning)) => {
                decode_errors.add();
                tracing::debug!("{origin}: {}", warning.error());
            }
            Some(gst::MessageView::Error(error)) => {
                let cause = error.error();
                let damaged = "the clip is damaged or cut short; copy or record it again";
                let error = Error::failed(format!("{origin}: cannot be read to its end"))
                    .because(error_text(&cause))
                    .remedy(if is_too_large(&cause) { SMALLER } else { damaged });
                let _ = events.send(ClipEvent::Failed(error));
                return;
            }
            Some(_) => return,
            None => {}
        }
    }
}
