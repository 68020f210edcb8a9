//! The page, the API and the metrics: the [`Telemetry`](crate::telemetry::Telemetry) over HTTP. It is read-only,
//! except for who has the admin token.
//!
//! One thread serves all clients. It reads the telemetry and never blocks a stream.

mod actions;
mod admin;
mod api;
mod attempts;
mod auth;
mod blocking;
mod certificate;
mod events;
mod feed;
mod history;
mod history_export;
mod history_json;
mod history_pictures;
mod history_video;
#[cfg(feature = "fuzz")]
pub mod in_memory;
mod json;
mod metrics;
mod page;
mod pictures;
mod recording;
mod routes;
mod server;
mod state;
mod teach;
mod teach_intervals;
mod teach_models;
mod workers;

pub use history::History;
pub use metrics::install as install_metrics;
pub use recording::Replay;
pub use server::{Listener, Server, Sources};
pub use teach::Teaching;
pub use workers::Workers;
