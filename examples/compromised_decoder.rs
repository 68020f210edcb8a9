//! A GStreamer plugin for a test: a JPEG decoder that an attacker has taken over. In place of decoding, it tries what livelabel's
//! sandbox has to deny, and says on stderr what it got.

use std::io::ErrorKind;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;
use gstreamer_video::subclass::prelude::*;

/// Above that of every real decoder.
const RANK: i32 = 4096;

#[derive(Default)]
pub struct Decoder;

#[glib::object_subclass]
impl ObjectSubclass for Decoder {
    const NAME: &'static str = "CompromisedDecoder";
    type Type = Element;
    type ParentType = gstreamer_video::VideoDecoder;
}

glib::wrapper! {
    pub struct Element(ObjectSubclass<Decoder>) @extends gstreamer_video::VideoDecoder, gst::Element, gst::Object;
}

impl ObjectImpl for Decoder {}
impl GstObjectImpl for Decoder {}

impl ElementImpl for Decoder {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: std::sync::OnceLock<gst::subclass::ElementMetadata> = std::sync::OnceLock::new();
        let new = || gst::subclass::ElementMetadata::new("Compromised", "Codec/Decoder/Image", "Attacks", "A test");
        Some(METADATA.get_or_init(new))
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: std::sync::OnceLock<Vec<gst::PadTemplate>> = std::sync::OnceLock::new();
        TEMPLATES.get_or_init(|| {
            let template = |name, direction, caps: &gst::Caps| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, caps).expect("a template")
            };
            vec![
                template("sink", gst::PadDirection::Sink, &gst::Caps::new_empty_simple("image/jpeg")),
                template("src", gst::PadDirection::Src, &gst::Caps::new_empty_simple("video/x-raw")),
            ]
        })
    }
}

impl VideoDecoderImpl for Decoder {
    fn handle_frame(&self, _frame: gstreamer_video::VideoCodecFrame) -> Result<gst::FlowSuccess, gst::FlowError> {
        attack();
        Err(gst::FlowError::Error)
    }
}

/// Tries everything, and prints a line for each. With `ATTACK_CRASH` it ends the program instead.
fn attack() {
    if std::env::var_os("ATTACK_CRASH").is_some() {
        std::process::abort();
    }
    let target = |name: &str| std::env::var(name).unwrap_or_default();
    let tell = |what: &str, result: std::io::Result<()>| match result {
        Ok(()) => eprintln!("attack: {what}: done"),
        Err(cause) if cause.kind() == ErrorKind::PermissionDenied => eprintln!("attack: {what}: denied"),
        Err(cause) => eprintln!("attack: {what}: {cause}"),
    };
    tell("read /etc/passwd", std::fs::read("/etc/passwd").map(drop));
    tell("read a secret", std::fs::read(target("ATTACK_SECRET")).map(drop));
    tell("write outside", std::fs::write(target("ATTACK_OUTSIDE"), "taken over"));
    tell("delete a secret", std::fs::remove_file(target("ATTACK_SECRET")));
    tell("connect", std::net::TcpStream::connect(target("ATTACK_ADDRESS")).map(drop));
    tell("listen", std::net::TcpListener::bind("127.0.0.1:0").map(drop));
    let script = "cat \"$ATTACK_SECRET\" >/dev/null 2>&1";
    let shell = std::process::Command::new("/bin/sh").args(["-c", script]).status();
    let read = shell.and_then(|status| if status.success() { Ok(()) } else { Err(ErrorKind::PermissionDenied.into()) });
    tell("read a secret in a shell", read);
    tell("write the output folder", std::fs::write(target("ATTACK_INSIDE"), "allowed"));
}

fn plugin_init(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "compromiseddecoder", gst::Rank::from(RANK), Element::static_type())
}

gst::plugin_define!(
    compromised,
    "A decoder that an attacker has taken over",
    plugin_init,
    "1.0",
    "MIT/X11",
    "livelabel",
    "livelabel",
    "https://example.com"
);
