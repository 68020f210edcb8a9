//! A camera for trials: an RTSP server on the loopback that plays a clip, or a test picture, again and again.
//!
//! ```text
//! camera PORT [CLIP | --size WxH] [--login USER:PASSWORD] [--resize-after SECONDS] [--end-after SECONDS]
//!        [--jump-after SECONDS] [--certificate PEM --key PEM] [--clients FILE] [--as-is h264|h265 | --jpeg]
//!        [--sound aac|opus|alaw|ulaw|g722|l16|speex] [--mute FROM-TO]
//! ```
//! `--sound` adds a tone, or with `--as-is` the clip's own sound. `--mute 4-9` sends none from the fourth second to the ninth.
//!
//! FILE gets a byte for each client that connects. `--as-is` sends the packets of an MP4 once, as they are. `--jpeg` sends JPEGs.
//!
//! A clip of any kind is converted first, unless it is a raw H.264 stream (.h264) already.
//!
//! Prints `ready rtsp://127.0.0.1:PORT/live` when it can be called, or `rtsps://` with a certificate. PORT 0 takes a free one.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a failure here is to be seen")]

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_rtsp_server as rtsp;
use gstreamer_rtsp_server::prelude::*;

#[derive(Default)]
struct Options {
    clip: Option<String>,
    size: Option<String>,
    login: Option<String>,
    resize_after: Option<u64>,
    end_after: Option<u64>,
    jump_after: Option<u64>,
    certificate: Option<String>,
    key: Option<String>,
    as_is: Option<String>,
    jpeg: bool,
    sound: Option<String>,
    mute: Option<String>,
    clients: Option<String>,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().expect("a port");
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value");
        match argument.as_str() {
            "--size" => options.size = Some(value()),
            "--login" => options.login = Some(value()),
            "--resize-after" => options.resize_after = Some(value().parse().expect("seconds")),
            "--end-after" => options.end_after = Some(value().parse().expect("seconds")),
            "--jump-after" => options.jump_after = Some(value().parse().expect("seconds")),
            "--certificate" => options.certificate = Some(value()),
            "--key" => options.key = Some(value()),
            "--as-is" => options.as_is = Some(value()),
            "--jpeg" => options.jpeg = true,
            "--sound" => options.sound = Some(value()),
            "--mute" => options.mute = Some(value()),
            "--clients" => options.clients = Some(value()),
            _ => options.clip = Some(argument),
        }
    }
    gst::init().expect("GStreamer starts");
    // The file lives as long as the program.
    let _raw = options.clip.as_mut().filter(|_| options.as_is.is_none()).and_then(|clip| {
        let (path, raw) = raw_stream(clip)?;
        *clip = path;
        Some(raw)
    });
    let server = rtsp::RTSPServer::new();
    server.set_address("127.0.0.1");
    server.set_service(&port);
    let factory = rtsp::RTSPMediaFactory::new();
    factory.set_shared(true);
    factory.set_launch(&pipeline(&options));
    let scheme = if options.certificate.is_some() { "rtsps" } else { "rtsp" };
    if options.login.is_some() || options.certificate.is_some() {
        protect(&server, &factory, &options);
    }
    if let Some(path) = options.clients.take() {
        server.connect_client_connected(move |_, _| {
            let mut file = File::options().append(true).create(true).open(&path).expect("a file");
            file.write_all(b".").expect("it is written");
        });
    }
    factory.connect_media_configure(move |_, media| configure(media, &options));
    server.mount_points().expect("mount points").add_factory("/live", factory);
    let context = gst::glib::MainLoop::new(None, false);
    let _source = server.attach(None).expect("the port is free");
    println!("ready {scheme}://127.0.0.1:{}/live", server.bound_port());
    context.run();
}

/// Converts a clip to a raw H.264 stream in a nameless file, which can be read again and again. Returns its path too.
/// `None` if the clip is such a stream.
fn raw_stream(clip: &str) -> Option<(String, File)> {
    if Path::new(clip).extension().is_some_and(|extension| extension == "h264") {
        return None;
    }
    let uri = gst::glib::filename_to_uri(std::fs::canonicalize(clip).expect("the clip exists"), None).unwrap();
    let file = tempfile::tempfile().expect("a temporary file");
    let description = format!(
        "uridecodebin uri=\"{uri}\" caps=video/x-raw ! videoconvert ! videorate ! video/x-raw,format=I420,framerate=25/1 \
         ! x264enc speed-preset=veryfast bitrate=4000 key-int-max=25 ! video/x-h264,stream-format=byte-stream ! fdsink fd={}",
        file.as_raw_fd()
    );
    let pipeline = gst::parse::launch(&description).expect("the plugins are installed");
    pipeline.set_state(gst::State::Playing).expect("the conversion starts");
    let messages = pipeline.bus().unwrap();
    let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = messages.timed_pop_filtered(gst::ClockTime::NONE, &wanted).unwrap();
    if let gst::MessageView::Error(error) = message.view() {
        panic!("{clip} cannot be converted: {}", error.error());
    }
    pipeline.set_state(gst::State::Null).unwrap();
    Some((format!("/proc/self/fd/{}", file.as_raw_fd()), file))
}

/// 25 pictures a second, H.264 with a key picture each second.
fn pipeline(options: &Options) -> String {
    if let (Some(codec), Some(clip)) = (&options.as_is, &options.clip) {
        let sound = options.sound.as_ref().map(|codec| {
            let (parse, _, pay) = sound(codec);
            format!("demux.audio_0 ! queue ! {parse} ! identity sync=true ! {pay}")
        });
        return format!(
            "( filesrc location=\"{clip}\" ! qtdemux name=demux demux.video_0 ! queue ! {codec}parse ! identity sync=true \
             ! rtp{codec}pay name=pay0 pt=96 config-interval=-1 {} )",
            sound.unwrap_or_default()
        );
    }
    let tone = options.sound.as_ref().map(|codec| {
        let (parse, encode, pay) = sound(codec);
        format!("audiotestsrc is-live=true freq=440 ! {encode} ! {parse} ! valve name=valve ! {pay}")
    });
    let tone = tone.unwrap_or_default();
    let encode = if options.jpeg {
        "video/x-raw,format=I420 ! jpegenc ! rtpjpegpay name=pay0 pt=26"
    } else {
        "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 bitrate=1500 ! rtph264pay name=pay0 pt=96"
    };
    match &options.clip {
        // A clip that is over begins again: multifilesrc reads the raw stream in a loop.
        Some(clip) => format!(
            "( multifilesrc location=\"{clip}\" loop=true ! h264parse ! avdec_h264 ! videorate ! video/x-raw,framerate=25/1 \
             ! identity sync=true ! videoconvert ! {encode} {tone} )"
        ),
        None => {
            let size = options.size.as_deref().unwrap_or("320x240");
            let (width, height) = size.split_once('x').expect("a size like 320x240");
            format!(
                "( videotestsrc is-live=true pattern=ball ! video/x-raw,framerate=25/1 ! videoscale ! videorate \
                 ! capsfilter name=size caps=video/x-raw,width={width},height={height},framerate=25/1 \
                 ! identity name=tap \
                 ! videoconvert ! {encode} {tone} )"
            )
        }
    }
}

/// The elements that parse, encode and send sound.
fn sound(codec: &str) -> (&'static str, &'static str, &'static str) {
    match codec {
        "aac" => ("aacparse", "audio/x-raw,rate=48000,channels=1 ! avenc_aac", "rtpmp4gpay name=pay1 pt=97"),
        "opus" => ("opusparse", "audio/x-raw,rate=48000,channels=1 ! opusenc", "rtpopuspay name=pay1 pt=97"),
        "alaw" => ("identity", "audio/x-raw,rate=8000,channels=1 ! alawenc", "rtppcmapay name=pay1 pt=8"),
        "ulaw" => ("identity", "audio/x-raw,rate=8000,channels=1 ! mulawenc", "rtppcmupay name=pay1 pt=0"),
        "g722" => ("identity", "audio/x-raw,rate=16000,channels=1 ! avenc_g722", "rtpg722pay name=pay1 pt=9"),
        "l16" => ("identity", "audio/x-raw,rate=16000,channels=1,format=S16BE", "rtpL16pay name=pay1 pt=97"),
        // No file of a recording holds Speex.
        "speex" => ("identity", "audio/x-raw,rate=16000,channels=1 ! speexenc", "rtpspeexpay name=pay1 pt=97"),
        other => panic!("{other} is no sound that is known here"),
    }
}

fn protect(server: &rtsp::RTSPServer, factory: &rtsp::RTSPMediaFactory, options: &Options) {
    let auth = rtsp::RTSPAuth::new();
    let mut token = rtsp::RTSPToken::builder().field(rtsp::RTSP_TOKEN_MEDIA_FACTORY_ROLE, "user").build();
    if let (Some(certificate), Some(key)) = (&options.certificate, &options.key) {
        let pair = rtsp::gio::TlsCertificate::from_files(certificate, key).expect("a certificate and its key");
        auth.set_tls_certificate(Some(&pair));
    }
    match &options.login {
        Some(login) => {
            let (user, password) = login.split_once(':').expect("USER:PASSWORD");
            auth.add_basic(&rtsp::RTSPAuth::make_basic(user, password), &token);
        }
        None => auth.set_default_token(Some(&mut token)),
    }
    server.set_auth(Some(&auth));
    let role = gst::Structure::builder("user")
        .field(rtsp::RTSP_PERM_MEDIA_FACTORY_ACCESS.as_str(), true)
        .field(rtsp::RTSP_PERM_MEDIA_FACTORY_CONSTRUCT.as_str(), true)
        .build();
    factory.add_role_from_structure(&role);
}

/// Has the stream do, after a while, what cameras do.
fn configure(media: &rtsp::RTSPMedia, options: &Options) {
    let Ok(bin) = media.element().downcast::<gst::Bin>() else { return };
    let later = |seconds: u64, act: Box<dyn FnOnce() + Send>| {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(seconds));
            act();
        });
    };
    if let (Some(seconds), Some(size)) = (options.resize_after, bin.by_name("size")) {
        let caps = gst::Caps::builder("video/x-raw").field("width", 480).field("height", 360);
        let caps = caps.field("framerate", gst::Fraction::new(10, 1)).build();
        later(seconds, Box::new(move || size.set_property("caps", caps)));
    }
    if let Some(seconds) = options.end_after {
        let bin = bin.clone();
        later(seconds, Box::new(move || assert!(bin.send_event(gst::event::Eos::new()))));
    }
    if let (Some(times), Some(valve)) = (&options.mute, bin.by_name("valve")) {
        let (from, to) = times.split_once('-').expect("two times");
        for (seconds, drop) in [(from, true), (to, false)] {
            let valve = valve.clone();
            later(seconds.parse().expect("seconds"), Box::new(move || valve.set_property("drop", drop)));
        }
    }
    if let (Some(seconds), Some(tap)) = (options.jump_after, bin.by_name("tap")) {
        let pad = tap.static_pad("src").expect("identity has a source");
        later(seconds, Box::new(move || pad.set_offset(3_600_000_000_000)));
    }
}
