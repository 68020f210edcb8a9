//! The page and the interfaces for systems: what stands on the [`Board`](crate::board::Board), over HTTP, to read only.
//!
//! One thread serves everybody. It reads what the streams have left on the board and never keeps one of them waiting.

pub mod access;
mod api;
mod events;
mod feed;
mod guard;
mod metrics;
mod page;
mod pictures;
mod recording;
mod routes;
mod server;

pub use metrics::install as install_metrics;
pub use recording::Replay;
pub use server::{Bound, Server};
