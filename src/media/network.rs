//! The elements that receive video from the network, with limits on the data and the servers that they use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use url::Url;

use crate::error::{Error, Result};
use crate::media::audio_queue::AudioQueue;
use crate::media::audio_receiver::{AudioReceiver, is_audio};
use crate::media::camera::{Camera, Transport};
use crate::media::element;
use crate::net::credentials::Credentials;
use crate::rtsp::as_rtsp;
use crate::rtsp::connection_guard::ConnectionGuard;
use crate::rtsp::relay::Relay;

/// GStreamer's own network timeout, in microseconds and in seconds. The supervisor disconnects earlier; this timeout
/// ends a connection that hangs while it closes.
const NETWORK_TIMEOUT_US: u64 = 8_000_000;
const NETWORK_TIMEOUT_S: u32 = 8;
/// Most packets that wait for the decoder, in bytes.
const MAX_PACKETS: u32 = 32 << 20;
/// Longest time of the packets that wait for the decoder, above the latency. After a pause of the machine it catches up within a
/// fraction of it.
const MAX_DELAY: Duration = Duration::from_secs(2);

/// Adds `rtspsrc` to `pipeline`, which connects to the camera through the relay. Returns the queue that it is linked to, which
/// sets `overrun` when it drops packets. The camera's sound goes to `sound`, if it is wanted.
pub(super) fn rtsp(
    pipeline: &gst::Pipeline,
    camera: &Camera,
    url: &Url,
    relay: Option<&Relay>,
    guard: &Arc<ConnectionGuard>,
    overrun: &Arc<AtomicBool>,
    sound: Option<&Arc<AudioQueue>>,
) -> Result<gst::Element> {
    let source = element("rtspsrc")?;
    source.set_property("location", as_rtsp(url).as_str());
    // Port 0 refuses every connection.
    let proxy = relay.map_or("127.0.0.1:0".into(), |relay| relay.address.to_string());
    source.set_property("proxy", format!("http://{proxy}"));
    let protocols = match camera.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    source.set_property_from_str("protocols", protocols);
    source.set_property("latency", camera.latency.as_millis() as u32);
    source.set_property("tcp-timeout", NETWORK_TIMEOUT_US);
    source.set_property("timeout", NETWORK_TIMEOUT_US);
    set_credentials(&source, camera.credentials.as_ref());
    let sound = sound.map(|queue| Arc::new(AudioReceiver::new(queue)));
    select_streams(&source, sound.as_ref());
    let packets = packets(camera, overrun)?;
    pipeline.add(&source).map_err(|cause| Error::internal("a camera cannot be read").because(cause))?;
    // UDP packets bypass the relay.
    let counted = (camera.transport == Transport::Udp).then(|| Arc::clone(guard));
    let received = packets.static_pad("sink").ok_or_else(|| Error::internal("a queue has no sink"))?;
    source.connect_pad_added(move |_, pad| {
        if let Some(guard) = &counted {
            count_bytes(pad, guard);
        }
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        if let Some(sound) = sound.as_ref().filter(|_| is_audio(&caps)) {
            sound.receive(pad);
        } else if !received.is_linked() {
            // A pad that does not match is reported on the bus as not linked.
            let _ = pad.link(&received);
        }
    });
    Ok(packets)
}

/// Creates the queue of packets that the decoder has not taken yet. If it is too slow, the oldest are dropped, so that neither
/// delay nor memory grows. The jitter buffer's own `drop-on-latency` would lose packets of a camera that sends frames out of
/// order: it takes a time that goes back for one of half a day.
///
/// The first packets, of a key frame as a rule, wait without a limit on their time until the decoder is there.
fn packets(camera: &Camera, overrun: &Arc<AtomicBool>) -> Result<gst::Element> {
    let queue = element("queue")?;
    queue.set_property_from_str("leaky", "downstream");
    queue.set_property("max-size-buffers", 0u32);
    queue.set_property("max-size-bytes", MAX_PACKETS);
    queue.set_property("max-size-time", 0u64);
    let taken = Arc::new(AtomicBool::new(false));
    let first = Arc::clone(&taken);
    let pad = queue.static_pad("src").ok_or_else(|| Error::internal("a queue has no source"))?;
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        first.store(true, Ordering::Relaxed);
        gst::PadProbeReturn::Remove
    });
    let most = (camera.latency + MAX_DELAY).as_nanos() as u64;
    queue.connect("underrun", false, move |arguments| {
        if taken.swap(false, Ordering::Relaxed)
            && let Some(Ok(queue)) = arguments.first().map(|value| value.get::<gst::Element>())
        {
            queue.set_property("max-size-time", most);
        }
        None
    });
    let (camera, overrun, warned) = (camera.to_string(), Arc::clone(overrun), AtomicBool::new(false));
    queue.connect("overrun", false, move |_| {
        overrun.store(true, Ordering::Relaxed);
        if !warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "{camera}: decoding is slower than the camera, so frames are left out up to the next key frame; choose a \
                 smaller stream of the camera, or watch fewer cameras on this machine"
            );
        }
        None
    });
    Ok(queue)
}

/// Selects the first video stream, one of sound if that is wanted, and no other. Each stream takes two ports, and a session
/// description may list a thousand.
fn select_streams(source: &gst::Element, sound: Option<&Arc<AudioReceiver>>) {
    let selected = Arc::new(AtomicBool::new(false));
    let (reset, renewed) = (Arc::clone(&selected), sound.cloned());
    source.connect("on-sdp", false, move |_| {
        reset.store(false, Ordering::Relaxed);
        if let Some(sound) = &renewed {
            sound.reset();
        }
        None
    });
    if let Some(sound) = sound.cloned() {
        source.connect_no_more_pads(move |_| sound.complete());
    }
    let sound = sound.cloned();
    source.connect("select-stream", false, move |arguments| {
        let caps = arguments.get(2).and_then(|value| value.get::<gst::Caps>().ok());
        if let (Some(sound), Some(caps)) = (&sound, caps.as_ref().filter(|caps| is_audio(caps))) {
            return Some(sound.select(caps).to_value());
        }
        let media = caps.as_ref().and_then(|caps| caps.structure(0)?.get::<String>("media").ok());
        let wanted = media.is_none_or(|media| media == "video") && !selected.swap(true, Ordering::Relaxed);
        Some(wanted.to_value())
    });
}

/// Creates `souphttpsrc`. With credentials it follows no redirect itself, since it would send them to any server that
/// requests them.
pub(super) fn http(camera: &Camera, url: &Url, guard: &Arc<ConnectionGuard>) -> Result<gst::Element> {
    let source = element("souphttpsrc")?;
    source.set_property("location", url.as_str());
    source.set_property("is-live", true);
    source.set_property("do-timestamp", true);
    source.set_property("timeout", NETWORK_TIMEOUT_S);
    source.set_property("retries", 0);
    source.set_property("automatic-redirect", camera.credentials.is_none());
    source.set_property("user-agent", concat!("livelabel/", env!("CARGO_PKG_VERSION")));
    set_credentials(&source, camera.credentials.as_ref());
    if let Some(pad) = source.static_pad("src") {
        count_bytes(&pad, guard);
    }
    Ok(source)
}

fn set_credentials(source: &gst::Element, credentials: Option<&Credentials>) {
    if let Some(Credentials { user, password }) = credentials {
        source.set_property("user-id", user);
        source.set_property("user-pw", password);
    }
}

/// Counts the bytes that pass the pad, and ends the stream if they exceed the limit.
fn count_bytes(pad: &gst::Pad, guard: &Arc<ConnectionGuard>) {
    let guard = Arc::clone(guard);
    pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |_, info| {
        let size = match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => buffer.size(),
            Some(gst::PadProbeData::BufferList(list)) => list.calculate_size(),
            _ => 0,
        };
        if guard.add(size).is_ok() {
            return gst::PadProbeReturn::Ok;
        }
        info.data = None;
        info.flow_res = Err(gst::FlowError::Eos);
        gst::PadProbeReturn::Handled
    });
}

/// The headers of an HTTP response, from a message of `souphttpsrc`.
pub(super) struct HttpResponse {
    /// The location of a redirect.
    pub redirect: Option<String>,
    /// Whether user and password were sent as plain text.
    pub plain_password: bool,
}

impl HttpResponse {
    /// Parses a message; returns `None` if it is not about an HTTP response.
    pub fn read(message: &gst::StructureRef) -> Option<Self> {
        if message.name() != "http-headers" {
            return None;
        }
        let status = message.get::<u32>("http-status-code").ok()?;
        let redirect = field(message, "response-headers", "location").filter(|_| (300..400).contains(&status));
        let header = field(message, "request-headers", "authorization").map(|header| header.to_ascii_lowercase());
        Some(Self { redirect, plain_password: header.is_some_and(|header| header.starts_with("basic ")) })
    }
}

/// Returns a header field by its name, in any case.
fn field(message: &gst::StructureRef, head: &str, name: &str) -> Option<String> {
    let fields = message.get::<gst::Structure>(head).ok()?;
    fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.get().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 40 ms, from a time on.
    fn packets_from(first: u64, count: u64) -> impl Iterator<Item = gst::Buffer> {
        (first..first + count).map(|number| {
            let mut packet = gst::Buffer::with_size(100).unwrap();
            let header = packet.get_mut().unwrap();
            header.set_pts(gst::ClockTime::from_mseconds(40 * number));
            header.set_duration(gst::ClockTime::from_mseconds(40));
            packet
        })
    }

    #[test]
    fn packets_wait_for_the_decoder_at_first_and_then_the_oldest_are_dropped() {
        crate::media::init().unwrap();
        let camera = Camera::parse("rtsp://127.0.0.1/live", None, Transport::Tcp, Duration::ZERO).unwrap();
        let overrun = Arc::<AtomicBool>::default();
        let queue = packets(&camera, &overrun).unwrap();
        let (input, output) = (gst::Pad::new(gst::PadDirection::Src), queue.static_pad("src").unwrap());
        let received = Arc::new(std::sync::Mutex::new(Vec::new()));
        let taken = Arc::clone(&received);
        let decoder = gst::Pad::builder(gst::PadDirection::Sink)
            .chain_function(move |_, _, packet| {
                taken.lock().unwrap().push(packet.pts().unwrap().mseconds() / 40);
                Ok(gst::FlowSuccess::Ok)
            })
            .build();
        input.link(&queue.static_pad("sink").unwrap()).unwrap();
        output.link(&decoder).unwrap();
        decoder.set_active(true).unwrap();
        input.set_active(true).unwrap();
        queue.set_state(gst::State::Playing).unwrap();
        input.push_event(gst::event::StreamStart::new("test"));
        input.push_event(gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new()));
        let wait = |what: &str, done: &dyn Fn() -> bool| {
            let began = std::time::Instant::now();
            while !done() {
                assert!(began.elapsed().as_secs() < 60, "{what} does not happen: {:?}", received.lock().unwrap());
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        let block =
            || output.add_probe(gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER, |_, _| gst::PadProbeReturn::Ok);

        let blocked = block().unwrap();
        packets_from(0, 100).for_each(|packet| assert!(input.push(packet).is_ok()));
        output.remove_probe(blocked);
        wait("the limit", &|| queue.property::<u64>("max-size-time") == 2_000_000_000);
        wait("the first hundred", &|| received.lock().unwrap().len() == 100);
        assert!(!overrun.load(Ordering::Relaxed));

        let blocked = block().unwrap();
        packets_from(100, 100).for_each(|packet| assert!(input.push(packet).is_ok()));
        output.remove_probe(blocked);
        wait("the last", &|| received.lock().unwrap().last() == Some(&199));
        let received = received.lock().unwrap();
        assert!(overrun.load(Ordering::Relaxed));
        assert!(received[..100].iter().copied().eq(0..100));
        // One more may have been on its way.
        assert!((49..=51).contains(&(received.len() - 100)), "{:?}", &received[100..]);
        queue.set_state(gst::State::Null).unwrap();
    }
}
