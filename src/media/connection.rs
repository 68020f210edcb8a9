//! One connection to a camera: its pipeline, and what became of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use url::Url;

use crate::error::{Error, Result};
use crate::media::camera::{Camera, Place};
use crate::media::limits::{Limits, bound_pictures, is_too_large};
use crate::media::network::{self, HttpAnswer};
use crate::media::references::Scope;
use crate::media::supervisor::Reason;
use crate::media::{decoding, element, references};
use crate::rtsp::address::{REDIRECTS, redirected};
use crate::rtsp::intake::{Intake, Refusal};
use crate::rtsp::relay::Relay;

/// How fast the test picture's bars move, in pixels a frame.
const TEST_SPEED: i32 = 4;

/// A connection that is being made, or brings pictures.
pub(super) struct Connection {
    pipeline: gst::Pipeline,
    bus: gst::Bus,
    intake: Arc<Intake>,
    /// What RTSP goes through.
    relay: Option<Relay>,
    target: Target,
    /// Whether its pictures are still wanted.
    pub alive: Arc<AtomicBool>,
}

/// A camera, and where it is called.
#[derive(Clone)]
pub(super) struct Target {
    pub camera: Camera,
    /// How often it has sent the caller to another path.
    redirects: usize,
}

impl Target {
    pub fn new(camera: Camera) -> Self {
        Self { camera, redirects: 0 }
    }

    /// The same camera at the path that it sends its callers to; nothing where that is another server.
    fn redirected(&self, location: &str) -> Option<Self> {
        let Place::Http(url) = &self.camera.place else { return None };
        let to = redirected(url, location).filter(|_| self.redirects < REDIRECTS)?;
        let camera = Camera { place: Place::Http(to), ..self.camera.clone() };
        Some(Self { camera, redirects: self.redirects + 1 })
    }
}

/// What became of a connection since it was last asked.
#[derive(Default)]
pub(super) struct News {
    pub fault: Option<Reason>,
    /// The fault in GStreamer's words.
    pub detail: Option<String>,
    /// Where to call instead.
    pub moved: Option<Target>,
    /// User and password go to the camera as plain text.
    pub plain_password: bool,
}

impl Connection {
    /// A pipeline that does not play yet, and the sink for its pictures.
    ///
    /// # Errors
    /// Unavailable, where a part of GStreamer is not installed.
    pub fn new(target: Target, limits: Limits) -> Result<(Self, gst_app::AppSink)> {
        let intake = Arc::new(Intake::default());
        let relay = relay(&target.camera, &intake);
        let (pipeline, sink) = pipeline(&target.camera, limits, relay.as_ref(), &intake)?;
        let bus = pipeline.bus().ok_or_else(|| Error::internal("a pipeline has no bus"))?;
        Ok((Self { pipeline, bus, intake, relay, target, alive: Arc::new(AtomicBool::new(true)) }, sink))
    }

    /// What is told that pictures come.
    pub fn intake(&self) -> Arc<Intake> {
        Arc::clone(&self.intake)
    }

    pub fn play(&self) -> Option<Reason> {
        let failed = self.pipeline.set_state(gst::State::Playing).is_err() && self.bus.peek().is_none();
        failed.then_some(Reason::Refused)
    }

    pub fn news(&self) -> News {
        let mut news = News::default();
        while let Some(message) = self.bus.pop() {
            match message.view() {
                gst::MessageView::Error(error) => {
                    let reason = reason(&error.error());
                    tracing::debug!("{}: {}", self.target.camera, reason.name());
                    news.detail = news.detail.or_else(|| detail(&error.error()));
                    news.fault.get_or_insert(reason);
                }
                gst::MessageView::Eos(_) => {
                    news.fault.get_or_insert(Reason::EndOfStream);
                }
                gst::MessageView::Element(element) => {
                    if let Some(answer) = element.structure().and_then(HttpAnswer::read) {
                        self.hear(&answer, &mut news);
                    }
                }
                _ => {}
            }
        }
        // Reported before its consequences, which may be on the bus already.
        if let Some(refusal) = self.intake.refusal() {
            news.fault = Some(refusal.into());
        }
        news.plain_password |= self.target.camera.login.is_some() && self.intake.plain_password();
        news
    }

    fn hear(&self, answer: &HttpAnswer, news: &mut News) {
        if let Some(location) = &answer.redirect {
            news.moved = self.target.redirected(location);
            if news.moved.is_none() {
                self.intake.refuse(Refusal::Redirected);
            }
        }
        let encrypted = matches!(&self.target.camera.place, Place::Http(url) if url.scheme() == "https");
        news.plain_password |= answer.plain_password && !encrypted;
    }

    /// Its pictures are wanted no more, and what becomes of it does not matter.
    pub fn silence(&self) {
        self.alive.store(false, Ordering::Release);
        self.bus.set_flushing(true);
    }

    /// Ends it, which a dead network may hold up.
    pub fn close(self) {
        if let Some(relay) = &self.relay {
            relay.close_soon();
        }
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// The relay that an RTSP camera is called by. Without one the connection is refused, and tried again.
fn relay(camera: &Camera, intake: &Arc<Intake>) -> Option<Relay> {
    let Place::Rtsp(url) = &camera.place else { return None };
    let relay = Relay::start(Url::clone(url), Arc::clone(intake));
    if let Err(cause) = &relay {
        tracing::debug!("{camera}: no relay: {cause}");
        intake.refuse(Refusal::Unreachable);
    }
    relay.ok()
}

/// `camera ! decodebin ! videoconvert ! I420 ! videoflip ! appsink`.
fn pipeline(
    camera: &Camera,
    limits: Limits,
    relay: Option<&Relay>,
    intake: &Arc<Intake>,
) -> Result<(gst::Pipeline, gst_app::AppSink)> {
    let pipeline = gst::Pipeline::new();
    bound_pictures(&pipeline, limits.max_pixels);
    // Segments of HLS come in bursts, which its times spread out again.
    let paced = matches!(camera.place, Place::Http(_));
    let sink = gst_app::AppSink::builder().sync(paced).max_buffers(2).drop(false).build();
    let source = match &camera.place {
        Place::Rtsp(url) => network::rtsp(camera, url, relay, intake)?,
        Place::Http(url) => network::http(camera, url, intake)?,
        Place::Usb(device) => usb(device)?,
        &Place::Test { width, height, rate } => {
            test(&pipeline, &sink, (width, height, rate))?;
            return Ok((pipeline, sink));
        }
    };
    expect_one_stream(&pipeline);
    let decode = decoding::decoded(&pipeline, &source, &sink)?;
    decoding::only_containers(&decode, camera.is_playlist());
    if let (true, Place::Http(url)) = (camera.is_playlist(), &camera.place) {
        let scope = if limits.playlists { Scope::Web } else { Scope::Origin(url.origin()) };
        references::follow(&pipeline, scope);
    }
    Ok((pipeline, sink))
}

/// Keeps the demuxer of JPEG streams from waiting for more streams than the one that such a camera has.
fn expect_one_stream(pipeline: &gst::Pipeline) {
    pipeline.connect_deep_element_added(|_, _, element| {
        if element.factory().is_some_and(|factory| factory.name() == "multipartdemux") {
            element.set_property("single-stream", true);
        }
    });
}

fn usb(device: &str) -> Result<gst::Element> {
    let source = element("v4l2src")?;
    source.set_property("device", device);
    source.set_property("do-timestamp", true);
    Ok(source)
}

/// `videotestsrc ! caps`, of a width, height and rate, into `sink`.
fn test(pipeline: &gst::Pipeline, sink: &gst_app::AppSink, (width, height, rate): (i32, i32, i32)) -> Result<()> {
    let source = element("videotestsrc")?;
    source.set_property("is-live", true);
    // Most of its moving pictures take longer to draw than a camera's take to decode.
    source.set_property_from_str("pattern", "smpte75");
    source.set_property("horizontal-speed", TEST_SPEED);
    let caps = gst::Caps::builder("video/x-raw").field("width", width).field("height", height);
    let filter = element("capsfilter")?;
    filter.set_property("caps", caps.field("framerate", gst::Fraction::new(rate, 1)).build());
    let entry = decoding::upright(pipeline, sink)?;
    let built = |cause: gst::glib::BoolError| Error::internal("the camera's pipeline cannot be built").because(cause);
    pipeline.add_many([&source, &filter]).map_err(built)?;
    source.link(&filter).map_err(built)?;
    let exit = filter.static_pad("src").ok_or_else(|| Error::internal("a filter has no source"))?;
    exit.link(&entry).map_err(|cause| Error::internal("the test picture cannot be linked").because(cause))?;
    Ok(())
}

/// An error in GStreamer's words, unless an address is in them, which may hold what must not be shown.
fn detail(error: &gst::glib::Error) -> Option<String> {
    Some(error.message().trim_end_matches('.').to_string()).filter(|text| !text.contains("://"))
}

/// What an error of the pipeline means for the connection.
fn reason(error: &gst::glib::Error) -> Reason {
    use gst::ResourceError as Resource;
    if references::is_foreign(error) {
        return Reason::ForeignPlaylist;
    }
    if is_too_large(error) {
        return Reason::FramesTooLarge;
    }
    if let Some(kind) = error.kind::<Resource>() {
        return match kind {
            Resource::NotAuthorized => Reason::Unauthorised,
            Resource::NotFound => Reason::NotFound,
            Resource::Busy => Reason::Busy,
            Resource::Read | Resource::Write | Resource::Close | Resource::Sync => Reason::EndOfStream,
            _ => Reason::Refused,
        };
    }
    let negotiation =
        matches!(error.kind::<gst::CoreError>(), Some(gst::CoreError::Negotiation | gst::CoreError::Caps))
            || error.kind::<gst::StreamError>() == Some(gst::StreamError::Format);
    if negotiation { Reason::CapsChange } else { Reason::DecodeError }
}
