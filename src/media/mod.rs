//! Everything GStreamer: files and cameras to frames, frames to labelled video.

pub mod camera;
mod caps;
mod clock;
mod connection;
mod decoding;
pub mod encoder;
pub mod faults;
pub mod frame;
pub mod length;
pub mod live;
mod memory;
mod network;
mod preroll;
pub mod recorder;
pub mod replay;
pub mod rhythm;
pub mod source;
pub mod supervisor;
mod teardown;
mod timekeeper;
pub mod window;

use std::time::Duration;

use gstreamer::prelude::*;

use crate::error::{Error, Result};

/// Longest that a wait for a message goes on without a look at what else there may be to do.
const POLL: Duration = Duration::from_millis(100);

/// Loads GStreamer, once for the process.
///
/// # Errors
/// Unavailable, where GStreamer or a part of it that this program needs is not installed.
pub fn init() -> Result<()> {
    gstreamer::init()
        .map_err(|cause| Error::unavailable("GStreamer cannot be started").because(cause).remedy("run scripts/setup"))
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

/// Makes the JPEG encoder.
fn encoder(quality: i32) -> Result<gstreamer::Element> {
    let encoder = element(jpeg_encoder())?;
    encoder.set_property_from_str("quality", &quality.to_string());
    Ok(encoder)
}

/// Makes an element by its factory's name.
fn element(factory: &str) -> Result<gstreamer::Element> {
    gstreamer::ElementFactory::make(factory).build().map_err(|_| {
        Error::unavailable(format!("GStreamer's element {factory} is not installed")).remedy("run scripts/setup")
    })
}
