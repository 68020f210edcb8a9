//! Everything GStreamer: clips and cameras to frames, frames to labelled video.

pub mod audio_queue;
mod audio_receiver;
pub mod camera;
pub mod camera_receiver;
mod caps;
pub mod clip_decoder;
mod connection;
pub mod cut;
pub mod decode_errors;
mod decoders;
mod decoding;
pub mod encoder;
mod file_sink;
pub mod files;
mod first_frame;
pub mod frame;
pub mod frame_counters;
pub mod frame_rate;
pub(crate) mod headers;
mod key_frame_wait;
pub mod limits;
mod memory;
mod network;
mod packet_reader;
pub mod packet_recorder;
mod packet_tap;
mod packet_writer;
pub mod packets;
mod parallel_encoder;
mod pts;
pub mod recorder;
mod references;
pub mod replay;
pub mod supervisor;
mod teardown;
mod timestamp_mapper;
pub mod truncation;
mod video_encoder;
pub mod video_format;
pub mod window;

use std::collections::BTreeSet;
use std::ffi::CString;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use gstreamer::glib;
use gstreamer::prelude::*;

use crate::error::{Error, Result};
use crate::system::{locate, shortage};

/// Interval at which a wait for a bus message checks for other work.
const POLL: Duration = Duration::from_millis(100);
/// Open files that a run with one input needs: GStreamer's wake-up pipes, libraries during loading, results.
const MIN_FILES: u64 = 64;
/// Where `scripts/setup` puts GStreamer plugins.
const PLUGINS: &str = ".deps/gstreamer";
/// Distinct library warnings that are logged as warnings.
const MAX_WARNINGS: usize = 16;

/// Has GLib ask no desktop for its settings, like that of a proxy: its service writes files which a sandbox denies. Call it before
/// the first thread is started.
pub fn ignore_desktop_settings() {
    // SAFETY: no other thread exists that could read the environment.
    unsafe { std::env::set_var("GSETTINGS_BACKEND", "memory") };
}

/// Loads GStreamer, once for the process.
///
/// # Errors
/// Unavailable if GStreamer cannot be initialised, or the limit on open files is too low.
pub fn init() -> Result<()> {
    let files = shortage::open_files();
    if files < MIN_FILES {
        return Err(Error::unavailable(format!("the limit on open files is {files}"))
            .remedy(format!("raise it to {MIN_FILES}, and by 32 for each further input (ulimit -n)")));
    }
    glib::log_set_default_handler(log_library_message);
    add_plugin_path();
    gstreamer::init().map_err(|cause| {
        Error::unavailable("GStreamer cannot be started").because(cause).remedy("run scripts/setup")
    })?;
    decoders::restrict();
    Ok(())
}

/// Adds the folder of plugins that set-up extracted from a package. It does not exist where the package is installed.
/// GStreamer takes the folder only as a command-line option, and only at its first initialisation.
fn add_plugin_path() {
    static ADDED: Once = Once::new();
    ADDED.call_once(|| {
        let Some(folder) = locate::find(PLUGINS) else { return };
        let option = [b"--gst-plugin-path=", folder.as_os_str().as_encoded_bytes()].concat();
        let Ok(option) = CString::new(option) else { return };
        let mut words = [c"livelabel".as_ptr().cast_mut(), option.as_ptr().cast_mut(), std::ptr::null_mut()];
        let (mut count, mut first) = (2, words.as_mut_ptr());
        // SAFETY: `first` points to `count` strings that end in NUL, and a null pointer, all of which outlive this call.
        // GStreamer moves the pointers and does not write to the strings. The caller's `gstreamer::init` reports failures.
        unsafe { gstreamer::ffi::gst_init_check(&mut count, &mut first, std::ptr::null_mut()) };
    });
}

/// Logs a message of GLib or GStreamer. The libraries repeat their warnings, so each is logged as a warning once.
fn log_library_message(domain: Option<&str>, level: glib::LogLevel, message: &str) {
    static LOGGED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let domain = domain.unwrap_or("GLib");
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    let serious = matches!(level, glib::LogLevel::Error | glib::LogLevel::Critical | glib::LogLevel::Warning);
    if serious && logged.len() < MAX_WARNINGS && logged.insert(message.into()) {
        tracing::warn!("{domain}: {message}");
    } else {
        tracing::debug!("{domain}: {message}");
    }
}

/// Returns the text of a GStreamer error without source locations.
fn error_text(cause: &glib::Error) -> String {
    let is_location = |word: &&str| [".c(", ".c:", ".cpp", ".cc("].iter().any(|ending| word.contains(ending));
    let words: Vec<&str> = cause.message().split_whitespace().filter(|word| !is_location(word)).collect();
    words.join(" ").trim_end_matches('.').to_string()
}

/// JPEG encoders that read system memory. The installed one with the highest rank is used;
/// `GST_PLUGIN_FEATURE_RANK` changes ranks.
const JPEG_ENCODERS: [&str; 2] = ["jpegenc", "nvjpegenc"];

/// Returns the name of the JPEG encoder in use.
pub fn jpeg_encoder() -> &'static str {
    let rank = |name: &&&str| gstreamer::ElementFactory::find(name).map(|factory| factory.rank());
    // `max_by_key` returns the last of equals; `rev` makes that the first, which every machine has.
    JPEG_ENCODERS.iter().rev().max_by_key(rank).copied().unwrap_or(JPEG_ENCODERS[0])
}

/// JPEG quality, the encoder's default.
const QUALITY: i32 = 85;

/// Creates the JPEG encoder.
fn encoder() -> Result<gstreamer::Element> {
    let encoder = element(jpeg_encoder())?;
    encoder.set_property_from_str("quality", &QUALITY.to_string());
    Ok(encoder)
}

/// Creates an element by its factory name.
fn element(factory: &str) -> Result<gstreamer::Element> {
    gstreamer::ElementFactory::make(factory).build().map_err(|_| {
        Error::unavailable(format!("GStreamer's element {factory} is not installed")).remedy("run scripts/setup")
    })
}

/// Returns the media type of caps, such as `video/x-h264`.
fn media_type(caps: &gstreamer::Caps) -> Option<String> {
    caps.structure(0).map(|structure| structure.name().to_string())
}
