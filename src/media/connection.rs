//! One connection to a camera: its pipeline, and what its errors mean.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::error::{Error, Result};
use crate::login::Login;
use crate::media::camera::{Camera, Place, Transport};
use crate::media::limits::{Limits, bound_pictures, is_too_large};
use crate::media::references::Scope;
use crate::media::supervisor::Reason;
use crate::media::{decoding, element, references};

/// How long the network may be silent before GStreamer gives up by itself, in microseconds and in seconds. The
/// supervisor is sooner; this ends what hangs behind it.
const NETWORK_TIMEOUT_US: u64 = 8_000_000;
const NETWORK_TIMEOUT_S: u32 = 8;
/// How fast the test picture's bars move, in pixels a frame.
const TEST_SPEED: i32 = 4;

/// `camera ! decodebin ! videoconvert ! I420 ! videoflip ! appsink`.
pub(super) fn pipeline(camera: &Camera, limits: Limits) -> Result<(gst::Pipeline, gst_app::AppSink)> {
    let pipeline = gst::Pipeline::new();
    bound_pictures(&pipeline, limits.max_pixels);
    // Segments of HLS come in bursts, which its times spread out again.
    let paced = matches!(camera.place, Place::Http(_));
    let sink = gst_app::AppSink::builder().sync(paced).max_buffers(2).drop(false).build();
    let source = source(camera)?;
    if matches!(camera.place, Place::Test { .. }) {
        let caps = element("capsfilter")?;
        caps.set_property("caps", test_caps(camera));
        let entry = decoding::upright(&pipeline, &sink)?;
        let built =
            |cause: gst::glib::BoolError| Error::internal("the camera's pipeline cannot be built").because(cause);
        pipeline.add_many([&source, &caps]).map_err(built)?;
        source.link(&caps).map_err(built)?;
        let exit = caps.static_pad("src").ok_or_else(|| Error::internal("a filter has no source"))?;
        exit.link(&entry).map_err(|cause| Error::internal("the test picture cannot be linked").because(cause))?;
        return Ok((pipeline, sink));
    }
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

fn source(camera: &Camera) -> Result<gst::Element> {
    Ok(match &camera.place {
        Place::Rtsp(url) => {
            let source = element("rtspsrc")?;
            source.set_property("location", url.as_str());
            let protocols = match camera.transport {
                Transport::Tcp => "tcp",
                Transport::Udp => "udp",
            };
            source.set_property_from_str("protocols", protocols);
            source.set_property("latency", camera.latency.as_millis() as u32);
            source.set_property("drop-on-latency", true);
            source.set_property("tcp-timeout", NETWORK_TIMEOUT_US);
            source.set_property("timeout", NETWORK_TIMEOUT_US);
            log_in(&source, camera.login.as_ref());
            // Sound is not even fetched.
            source.connect("select-stream", false, |arguments| {
                let caps = arguments.get(2).and_then(|value| value.get::<gst::Caps>().ok());
                let media = caps.as_ref().and_then(|caps| caps.structure(0)?.get::<String>("media").ok());
                Some(media.is_none_or(|media| media == "video").to_value())
            });
            source
        }
        Place::Http(url) => {
            let source = element("souphttpsrc")?;
            source.set_property("location", url.as_str());
            source.set_property("is-live", true);
            source.set_property("do-timestamp", true);
            source.set_property("timeout", NETWORK_TIMEOUT_S);
            source.set_property("retries", 0);
            source.set_property("user-agent", concat!("livelabel/", env!("CARGO_PKG_VERSION")));
            log_in(&source, camera.login.as_ref());
            source
        }
        Place::Usb(device) => {
            let source = element("v4l2src")?;
            source.set_property("device", device);
            source.set_property("do-timestamp", true);
            source
        }
        Place::Test { .. } => {
            let source = element("videotestsrc")?;
            source.set_property("is-live", true);
            // Most of its moving pictures take longer to draw than a camera's take to decode.
            source.set_property_from_str("pattern", "smpte75");
            source.set_property("horizontal-speed", TEST_SPEED);
            source
        }
    })
}

fn log_in(source: &gst::Element, login: Option<&Login>) {
    if let Some(Login { user, password }) = login {
        source.set_property("user-id", user);
        source.set_property("user-pw", password);
    }
}

fn test_caps(camera: &Camera) -> gst::Caps {
    let Place::Test { width, height, rate } = camera.place else { return gst::Caps::new_any() };
    gst::Caps::builder("video/x-raw")
        .field("width", width)
        .field("height", height)
        .field("framerate", gst::Fraction::new(rate, 1))
        .build()
}

/// What an error of the pipeline means for the connection.
pub(super) fn reason(error: &gst::glib::Error) -> Reason {
    use gst::ResourceError as Resource;
    if references::is_foreign(error) {
        return Reason::Foreign;
    }
    if is_too_large(error) {
        return Reason::TooLarge;
    }
    if let Some(kind) = error.kind::<Resource>() {
        return match kind {
            Resource::NotAuthorized => Reason::Unauthorised,
            Resource::NotFound => Reason::NotFound,
            Resource::Read | Resource::Write | Resource::Close | Resource::Sync => Reason::EndOfStream,
            _ => Reason::Refused,
        };
    }
    let negotiation =
        matches!(error.kind::<gst::CoreError>(), Some(gst::CoreError::Negotiation | gst::CoreError::Caps))
            || error.kind::<gst::StreamError>() == Some(gst::StreamError::Format);
    if negotiation { Reason::CapsChange } else { Reason::DecodeError }
}
