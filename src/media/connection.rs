//! One connection to a camera: its pipeline and its events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use url::Url;

use crate::error::{Error, Result};
use crate::media::audio_queue::AudioQueue;
use crate::media::camera::{Address, Camera};
use crate::media::limits::{Limits, is_too_large, limit_frame_size};
use crate::media::network::{self, HttpResponse};
use crate::media::references::Scope;
use crate::media::supervisor::LossReason;
use crate::media::{decoding, element, key_frame_wait, references};
use crate::rtsp::address::{REDIRECTS, redirected};
use crate::rtsp::connection_guard::{CloseReason, ConnectionGuard};
use crate::rtsp::relay::Relay;

/// Speed of the test picture's bars, in pixels a frame.
const TEST_SPEED: i32 = 4;

/// A connection that is being established or delivers frames.
pub(super) struct Connection {
    pipeline: gst::Pipeline,
    bus: gst::Bus,
    guard: Arc<ConnectionGuard>,
    /// The relay of an RTSP camera.
    relay: Option<Relay>,
    target: Target,
    /// Whether its frames are still used.
    pub alive: Arc<AtomicBool>,
}

/// A camera, and the address to connect to.
#[derive(Clone)]
pub(super) struct Target {
    pub camera: Camera,
    /// Redirects followed so far.
    redirects: usize,
}

impl Target {
    pub fn new(camera: Camera) -> Self {
        Self { camera, redirects: 0 }
    }

    /// Returns the same camera at the path of a redirect; `None` if that is on another server.
    fn redirected(&self, location: &str) -> Option<Self> {
        let Address::Http(url) = &self.camera.address else { return None };
        let to = redirected(url, location).filter(|_| self.redirects < REDIRECTS)?;
        let camera = Camera { address: Address::Http(to), ..self.camera.clone() };
        Some(Self { camera, redirects: self.redirects + 1 })
    }
}

/// The events of a connection since the last poll.
#[derive(Default)]
pub(super) struct Update {
    pub fault: Option<LossReason>,
    /// GStreamer's message about the fault.
    pub detail: Option<String>,
    /// Where the camera redirects to.
    pub redirect: Option<Target>,
    /// Whether user and password are sent to the camera as plain text.
    pub plain_password: bool,
}

impl Connection {
    /// Creates the pipeline, not started yet, and the sink for its frames. The sound of an RTSP camera goes to `sound`.
    ///
    /// # Errors
    /// Unavailable if a GStreamer plugin is not installed.
    pub fn new(target: Target, limits: Limits, sound: Option<&Arc<AudioQueue>>) -> Result<(Self, gst_app::AppSink)> {
        let guard = Arc::new(ConnectionGuard::default());
        let relay = relay(&target.camera, &guard);
        let (pipeline, sink) = pipeline(&target.camera, limits, relay.as_ref(), &guard, sound)?;
        let bus = pipeline.bus().ok_or_else(|| Error::internal("a pipeline has no bus"))?;
        Ok((Self { pipeline, bus, guard, relay, target, alive: Arc::new(AtomicBool::new(true)) }, sink))
    }

    /// Returns the byte counter that each frame resets.
    pub fn guard(&self) -> Arc<ConnectionGuard> {
        Arc::clone(&self.guard)
    }

    /// Returns the pipeline, which has no decoder before [`Connection::play`].
    pub fn pipeline(&self) -> &gst::Pipeline {
        &self.pipeline
    }

    /// Starts the pipeline; returns the reason if it fails at once.
    pub fn play(&self) -> Option<LossReason> {
        let failed = self.pipeline.set_state(gst::State::Playing).is_err() && self.bus.peek().is_none();
        failed.then_some(LossReason::Refused)
    }

    /// Reads the bus and returns the events since the last call.
    pub fn poll(&self) -> Update {
        let mut update = Update::default();
        while let Some(message) = self.bus.pop() {
            match message.view() {
                gst::MessageView::Error(error) => {
                    let reason = reason(&error.error());
                    tracing::debug!("{}: {}", self.target.camera, reason.name());
                    update.detail = update.detail.or_else(|| detail(&error.error()));
                    update.fault.get_or_insert(reason);
                }
                gst::MessageView::Eos(_) => {
                    update.fault.get_or_insert(LossReason::EndOfStream);
                }
                gst::MessageView::Element(element) => {
                    if let Some(response) = element.structure().and_then(HttpResponse::read) {
                        self.on_response(&response, &mut update);
                    }
                }
                _ => {}
            }
        }
        // A reason takes precedence over its consequences, which may be on the bus already.
        if let Some(reason) = self.guard.reason() {
            update.fault = Some(reason.into());
        }
        update.plain_password |= self.target.camera.credentials.is_some() && self.guard.plain_password();
        update
    }

    fn on_response(&self, response: &HttpResponse, update: &mut Update) {
        if let Some(location) = &response.redirect {
            update.redirect = self.target.redirected(location);
            if update.redirect.is_none() {
                self.guard.refuse(CloseReason::Redirected);
            }
        }
        let encrypted = matches!(&self.target.camera.address, Address::Http(url) if url.scheme() == "https");
        update.plain_password |= response.plain_password && !encrypted;
    }

    /// Discards further frames and messages.
    pub fn deactivate(&self) {
        self.alive.store(false, Ordering::Release);
        self.bus.set_flushing(true);
    }

    /// Closes the connection. A dead network may block this.
    pub fn close(self) {
        if let Some(relay) = &self.relay {
            relay.close_soon();
        }
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Starts the relay for an RTSP camera. If that fails, the connection counts as refused and is retried.
fn relay(camera: &Camera, guard: &Arc<ConnectionGuard>) -> Option<Relay> {
    let Address::Rtsp(url) = &camera.address else { return None };
    let relay = Relay::start(Url::clone(url), Arc::clone(guard));
    if let Err(cause) = &relay {
        tracing::debug!("{camera}: no relay: {cause}");
        guard.refuse(CloseReason::Unreachable);
    }
    relay.ok()
}

/// `camera ! decodebin ! videoconvert ! I420 ! videoflip ! appsink`.
fn pipeline(
    camera: &Camera,
    limits: Limits,
    relay: Option<&Relay>,
    guard: &Arc<ConnectionGuard>,
    sound: Option<&Arc<AudioQueue>>,
) -> Result<(gst::Pipeline, gst_app::AppSink)> {
    let pipeline = gst::Pipeline::new();
    limit_frame_size(&pipeline, limits.max_pixels);
    // HLS segments arrive in bursts; synchronising to their pts spreads the frames.
    let paced = matches!(camera.address, Address::Http(_));
    let sink = gst_app::AppSink::builder().sync(paced).max_buffers(2).drop(false).build();
    let overrun = Arc::<AtomicBool>::default();
    let source = match &camera.address {
        Address::Rtsp(url) => network::rtsp(&pipeline, camera, url, relay, guard, &overrun, sound)?,
        Address::Http(url) => network::http(camera, url, guard)?,
        Address::Usb(device) => usb(device)?,
        &Address::Test { width, height, rate } => {
            test(&pipeline, &sink, (width, height, rate))?;
            return Ok((pipeline, sink));
        }
    };
    expect_one_stream(&pipeline);
    key_frame_wait::attach(&pipeline, &overrun);
    let decode = decoding::decoded(&pipeline, &source, &sink)?;
    decoding::refuse_playlists(&decode, camera.is_playlist());
    if let (true, Address::Http(url)) = (camera.is_playlist(), &camera.address) {
        let scope = if limits.playlists { Scope::Web } else { Scope::Origin(url.origin()) };
        references::follow(&pipeline, scope);
    }
    Ok((pipeline, sink))
}

/// Makes the demuxer of MJPEG streams expect a single stream instead of waiting for more.
fn expect_one_stream(pipeline: &gst::Pipeline) {
    pipeline.connect_deep_element_added(|_, _, element| {
        if element.factory().is_some_and(|factory| factory.name() == "multipartdemux") {
            element.set_property("single-stream", true);
        }
    });
}

/// Creates `v4l2src`.
fn usb(device: &str) -> Result<gst::Element> {
    let source = element("v4l2src")?;
    source.set_property("device", device);
    source.set_property("do-timestamp", true);
    Ok(source)
}

/// Builds `videotestsrc ! capsfilter ! … ! sink` for a width, height and frame rate.
fn test(pipeline: &gst::Pipeline, sink: &gst_app::AppSink, (width, height, rate): (i32, i32, i32)) -> Result<()> {
    let source = element("videotestsrc")?;
    source.set_property("is-live", true);
    // Most moving patterns take longer to draw than a camera's frame takes to decode.
    source.set_property_from_str("pattern", "smpte75");
    source.set_property("horizontal-speed", TEST_SPEED);
    let caps = gst::Caps::builder("video/x-raw").field("width", width).field("height", height);
    let filter = element("capsfilter")?;
    filter.set_property("caps", caps.field("framerate", gst::Fraction::new(rate, 1)).build());
    let sink_pad = decoding::auto_orient(pipeline, sink)?;
    let built = |cause: gst::glib::BoolError| Error::internal("the camera's pipeline cannot be built").because(cause);
    pipeline.add_many([&source, &filter]).map_err(built)?;
    source.link(&filter).map_err(built)?;
    let src_pad = filter.static_pad("src").ok_or_else(|| Error::internal("a filter has no source"))?;
    src_pad.link(&sink_pad).map_err(|cause| Error::internal("the test picture cannot be linked").because(cause))?;
    Ok(())
}

/// Returns GStreamer's error message without addresses, which may hold credentials.
fn detail(error: &gst::glib::Error) -> Option<String> {
    let words = error.message().trim_end_matches('.').split(' ');
    let text: Vec<&str> = words.map(|word| if word.contains("://") { "(address)" } else { word }).collect();
    Some(text.join(" ")).filter(|text| !text.is_empty())
}

/// Maps a pipeline error to the reason of the loss.
fn reason(error: &gst::glib::Error) -> LossReason {
    use gst::ResourceError as Resource;
    if references::is_foreign(error) {
        return LossReason::ForeignPlaylist;
    }
    if is_too_large(error) {
        return LossReason::FramesTooLarge;
    }
    if let Some(kind) = error.kind::<Resource>() {
        return match kind {
            Resource::NotAuthorized => LossReason::Unauthorised,
            Resource::NotFound => LossReason::NotFound,
            Resource::Busy => LossReason::Busy,
            Resource::Read | Resource::Write | Resource::Close | Resource::Sync => LossReason::EndOfStream,
            _ => LossReason::Refused,
        };
    }
    let negotiation =
        matches!(error.kind::<gst::CoreError>(), Some(gst::CoreError::Negotiation | gst::CoreError::Caps))
            || error.kind::<gst::StreamError>() == Some(gst::StreamError::Format);
    if negotiation { LossReason::CapsChange } else { LossReason::DecodeError }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_errors_have_their_reasons() {
        use gst::ResourceError as Resource;
        let of = |kind: Resource| reason(&gst::glib::Error::new(kind, "text"));
        assert_eq!(of(Resource::Busy), LossReason::Busy);
        assert_eq!(of(Resource::NotAuthorized), LossReason::Unauthorised);
        assert_eq!(of(Resource::NotFound), LossReason::NotFound);
        assert_eq!(of(Resource::Read), LossReason::EndOfStream);
        assert_eq!(of(Resource::OpenRead), LossReason::Refused);
    }

    #[test]
    fn gstreamers_message_is_kept_without_addresses() {
        let of = |text: &str| detail(&gst::glib::Error::new(gst::ResourceError::Busy, text));
        assert_eq!(of("Device '/dev/video0' is busy."), Some("Device '/dev/video0' is busy".into()));
        assert_eq!(of("Cannot open rtsp://ann:secret@cam/1 now"), Some("Cannot open (address) now".into()));
        assert_eq!(of(""), None);
    }
}
