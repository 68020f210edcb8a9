//! Everything GStreamer: files and cameras to frames, frames to labelled video.

pub mod camera;
mod caps;
mod clock;
mod connection;
pub mod decode_errors;
mod decoding;
pub mod encoder;
pub mod frame;
pub mod frame_rate;
mod headers;
pub mod limits;
pub mod live;
mod memory;
mod network;
mod preroll;
pub mod recorder;
mod references;
pub mod replay;
pub mod source;
pub mod supervisor;
mod teardown;
mod timestamp_mapper;
pub mod truncation;
pub mod video_format;
pub mod window;

use std::collections::BTreeSet;
use std::ffi::CString;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use gstreamer::glib;
use gstreamer::prelude::*;

use crate::error::{Error, Result};
use crate::{locate, shortage};

/// Longest that a wait for a message goes on without a look at what else there may be to do.
const POLL: Duration = Duration::from_millis(100);
/// Files that a run with one input has open: pipes that wake GStreamer's threads, libraries while they are loaded, results.
const LEAST_FILES: u64 = 64;
/// Where `scripts/setup` puts plugins of GStreamer.
const PLUGINS: &str = ".deps/gstreamer";
/// Different complaints of the libraries that are told.
const MOST_COMPLAINTS: usize = 16;

/// Loads GStreamer, once for the process.
///
/// # Errors
/// Unavailable, where GStreamer or a part of it that this program needs is not installed, or too few files may be open.
pub fn init() -> Result<()> {
    let files = shortage::open_files();
    if files < LEAST_FILES {
        return Err(Error::unavailable(format!("only {files} files may be open at once"))
            .remedy(format!("allow {LEAST_FILES}, and 32 more for each further input (ulimit -n)")));
    }
    glib::log_set_default_handler(complain);
    name_plugins();
    gstreamer::init()
        .map_err(|cause| Error::unavailable("GStreamer cannot be started").because(cause).remedy("run scripts/setup"))
}

/// Tells GStreamer where set-up put the plugins that it took out of a package; where the package is installed, there are none.
/// GStreamer takes this as an option of a command line, and only when it is loaded first.
fn name_plugins() {
    static NAMED: Once = Once::new();
    let Some(option) = locate::find(PLUGINS)
        .and_then(|folder| CString::new([b"--gst-plugin-path=", folder.as_os_str().as_encoded_bytes()].concat()).ok())
    else {
        return;
    };
    NAMED.call_once(|| {
        let mut words = [c"livelabel".as_ptr().cast_mut(), option.as_ptr().cast_mut(), std::ptr::null_mut()];
        let (mut count, mut first) = (2, words.as_mut_ptr());
        // SAFETY: `first` points at `count` strings that end in NUL, and a null after them, all of which live within this
        // call. GStreamer moves the pointers, and writes to no string. What fails is told by the call that follows.
        unsafe { gstreamer::ffi::gst_init_check(&mut count, &mut first, std::ptr::null_mut()) };
    });
}

/// What GLib and GStreamer say of themselves beside their messages. They repeat it at each step, so each is told once.
fn complain(domain: Option<&str>, level: glib::LogLevel, message: &str) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let domain = domain.unwrap_or("GLib");
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let serious = matches!(level, glib::LogLevel::Error | glib::LogLevel::Critical | glib::LogLevel::Warning);
    if serious && told.len() < MOST_COMPLAINTS && told.insert(message.into()) {
        tracing::warn!("{domain}: {message}");
    } else {
        tracing::debug!("{domain}: {message}");
    }
}

/// What an error of GStreamer's says, without places in its source.
fn said(cause: &glib::Error) -> String {
    let is_place = |word: &&str| [".c(", ".c:", ".cpp", ".cc("].iter().any(|ending| word.contains(ending));
    let words: Vec<&str> = cause.message().split_whitespace().filter(|word| !is_place(word)).collect();
    words.join(" ").trim_end_matches('.').to_string()
}

/// Encoders of JPEG that take pictures from plain memory. Among those that are here the one with the highest rank is
/// taken, which `GST_PLUGIN_FEATURE_RANK` can change.
const JPEG_ENCODERS: [&str; 2] = ["jpegenc", "nvjpegenc"];

/// The name of the JPEG encoder that is taken here.
pub fn jpeg_encoder() -> &'static str {
    let rank = |name: &&&str| gstreamer::ElementFactory::find(name).map(|factory| factory.rank());
    // Of equals the first one, which every machine has.
    JPEG_ENCODERS.iter().rev().max_by_key(rank).copied().unwrap_or(JPEG_ENCODERS[0])
}

/// JPEG quality, the encoder's usual one.
const QUALITY: i32 = 85;

/// Makes the JPEG encoder.
fn encoder() -> Result<gstreamer::Element> {
    let encoder = element(jpeg_encoder())?;
    encoder.set_property_from_str("quality", &QUALITY.to_string());
    Ok(encoder)
}

/// Makes an element by its factory's name.
fn element(factory: &str) -> Result<gstreamer::Element> {
    gstreamer::ElementFactory::make(factory).build().map_err(|_| {
        Error::unavailable(format!("GStreamer's element {factory} is not installed")).remedy("run scripts/setup")
    })
}

/// The caps' media type, such as `video/x-h264`.
fn kind(caps: &gstreamer::Caps) -> Option<String> {
    caps.structure(0).map(|structure| structure.name().to_string())
}
