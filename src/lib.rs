//! Labels what people do in video: classifies the frames of clips and cameras with a ResNet50, smooths the predictions, draws
//! the label on the picture and writes down when each label was shown.
//!
//! The program is `livelabel`; this library runs the same analysis from Rust. [`Config`] says what to do, [`Analyzer`] does
//! it, an [`Observer`] receives what was found:
//!
//! ```no_run
//! use livelabel::{Analyzer, Config, LabeledInterval, Observer, Settings, Shutdown, StreamInfo, StreamOptions};
//!
//! struct Print;
//!
//! impl Observer for Print {
//!     fn interval(&self, stream: &StreamInfo, interval: LabeledInterval) {
//!         println!("{}: {} from {:?} to {:?}", stream.name, interval.label, interval.start, interval.end);
//!     }
//! }
//!
//! # fn main() -> livelabel::Result<()> {
//! let streams = StreamOptions { input: vec!["clip.mp4".into()], only: Some(vec![]), ..StreamOptions::default() };
//! let config = Config::resolve(Settings { streams, ..Settings::default() })?;
//! Analyzer::new(config)?.run(&Shutdown::default(), &Print)?;
//! # Ok(())
//! # }
//! ```
//!
//! The library needs what the program needs: GStreamer 1.22, and ONNX Runtime or OpenVINO where `scripts/setup` puts them.

#[doc(hidden)]
pub mod cluster;
mod config;
mod control;
mod database;
mod error;
mod events;
mod history;
mod learning;
mod net;
mod pipeline;
mod report;
mod rtsp;
mod shutdown;
mod system;
mod telemetry;
mod web;

// Not part of the API: the programs, tests and benchmarks of this package use these modules.
#[doc(hidden)]
pub mod bench;
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
#[doc(hidden)]
pub mod inference;
#[doc(hidden)]
pub mod labels;
#[doc(hidden)]
pub mod logging;
#[doc(hidden)]
pub mod media;
#[doc(hidden)]
pub mod onnx;
#[doc(hidden)]
pub mod picture;
#[cfg(feature = "train")]
#[doc(hidden)]
pub mod train;

pub use config::Config;
pub use config::options::{FileKind, Keep, RunOptions, StreamOptions};
pub use config::settings::Settings;
pub use error::{Error, ErrorKind, Result};
pub use inference::device::DeviceSelection;
pub use inference::inference_precision::InferencePrecision;
pub use inference::model::Model;
pub use labels::overlay::OverlayStyle;
pub use labels::stride::Stride;
pub use labels::window::{SmoothingWindow, WindowAlign};
pub use media::camera::Transport;
pub use media::recorder::Container;
pub use pipeline::analyzer::{Analyzer, RunReport};
pub use pipeline::observer::{LabeledInterval, LabeledPicture, Observer};
pub use pipeline::outcome::{EngineInfo, Outcome};
pub use shutdown::{Shutdown, Watch, watch as watch_signals};
pub use telemetry::{StreamInfo, StreamState};
