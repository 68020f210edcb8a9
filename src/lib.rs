//! Labels what people do in video: every frame through a ResNet50, smoothed, drawn, and written down.
//!
//! The rooms, in the order a frame travels: `rtsp` relays what a camera says, [`media`] decodes, [`inference`] classifies,
//! [`labels`] decides, [`report`] writes, [`events`] tells others; [`pipeline`] joins them into one stream and tells
//! [`telemetry`] how it goes, [`analyzer`] runs many, [`web`] shows the telemetry to browsers and systems. [`onnx`] writes
//! model files, [`picture`] is what the rooms hand each other.

pub mod analyzer;
mod backoff;
pub mod bench;
mod bounded;
pub mod cli;
pub mod config;
mod credentials;
pub mod error;
pub mod events;
pub mod frame_counters;
pub mod inference;
pub mod labels;
mod locate;
pub mod logging;
pub mod media;
pub mod onnx;
pub mod overwrite;
pub mod picture;
pub mod pipeline;
pub mod printable;
pub mod report;
mod rtsp;
mod shortage;
pub mod shutdown;
pub mod telemetry;
mod tls;
#[cfg(feature = "train")]
pub mod train;
mod utc;
pub mod web;
