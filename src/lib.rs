//! Labels what people do in video: every frame through a ResNet50, smoothed, drawn, and written down.
//!
//! The rooms, in the order a frame travels: `rtsp` relays what a camera says, [`media`] decodes, [`inference`] classifies,
//! [`labels`] decides, [`report`] writes, [`events`] tells others; [`pipeline`] joins them into one stream and tells
//! [`telemetry`] how it goes, [`analyzer`] runs many, [`web`] shows the telemetry to browsers and systems. [`onnx`] writes
//! model files, [`picture`] is what the rooms hand each other.

mod address;
pub mod analyzer;
mod backoff;
pub mod bench;
mod bounded;
pub mod cameras;
pub mod cli;
pub mod config;
mod credentials;
mod display;
pub mod error;
pub mod events;
pub mod frames;
pub mod inference;
mod intake;
pub mod jobs;
pub mod labels;
pub mod locate;
pub mod logging;
pub mod media;
pub mod models;
pub mod onnx;
pub mod options;
pub mod overwrite;
pub mod picture;
pub mod pipeline;
pub mod printable;
pub mod reference;
pub mod report;
mod rtsp;
pub mod settings;
mod shortage;
pub mod shutdown;
mod summary;
pub mod telemetry;
mod tls;
#[cfg(feature = "train")]
pub mod train;
mod utc;
pub mod viewer;
pub mod web;
