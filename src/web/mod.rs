//! The page, the API and the metrics: the [`Telemetry`](crate::telemetry::Telemetry) over HTTP, read-only.
//!
//! One thread serves all clients. It reads the telemetry and never blocks a stream.

mod api;
mod auth;
mod certificate;
mod events;
mod feed;
mod json;
mod metrics;
mod page;
mod pictures;
mod recording;
mod routes;
mod server;
mod state;

pub use metrics::install as install_metrics;
pub use recording::Replay;
pub use server::{Listener, Server};
