//! What `fuzz/` runs: everything that reads bytes from outside and is this package's own. A function panics where something
//! that is promised does not hold.

mod files;
mod http;
mod jobs;
mod media;
mod models;
mod options;
mod pipeline;
mod results;
mod rtsp;
mod training;

pub use http::http;
pub use jobs::jobs;
pub use media::{headers, pictures, truncation};
pub use models::{model, weights};
pub use options::{names, options, settings};
pub use pipeline::pipeline;
pub use results::{journal, timeline};
pub use rtsp::rtsp;
pub use training::dataset;
