//! Labels what people in video are doing: classifies each frame with a ResNet50, smooths, draws the label, writes it
//! down.
//!
//! The modules in the order of a frame's life: `rtsp` relays packets from a camera, [`media`] decodes, [`inference`]
//! classifies, [`labels`] smooths and decides, [`report`] writes files, [`events`] notifies event receivers.
//! [`pipeline`] joins them into one stream and updates [`telemetry`]; [`analyzer`] runs many streams; [`web`] serves
//! the telemetry to browsers and other systems. [`onnx`] reads and writes model files, and [`picture`] holds planes and
//! colours.

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
