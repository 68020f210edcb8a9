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
pub mod recorder;
pub mod replay;
pub mod rhythm;
pub mod source;
pub mod still;
pub mod supervisor;
mod timekeeper;
pub mod window;

use crate::error::{Error, Result};

/// Loads GStreamer, once for the process.
///
/// # Errors
/// Unavailable, where GStreamer or a part of it that this program needs is not installed.
pub fn init() -> Result<()> {
    gstreamer::init()
        .map_err(|cause| Error::unavailable("GStreamer cannot be started").because(cause).remedy("run scripts/setup"))
}

/// Makes an element by its factory's name.
fn element(factory: &str) -> Result<gstreamer::Element> {
    gstreamer::ElementFactory::make(factory).build().map_err(|_| {
        Error::unavailable(format!("GStreamer's element {factory} is not installed")).remedy("run scripts/setup")
    })
}
