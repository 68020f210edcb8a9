//! Publishes events, the start and end of intervals and the loss and return of cameras, to a file, an MQTT broker and
//! webhooks.
//!
//! Publishing never blocks. Each event receiver has its own thread, which reads from one bounded broadcast channel. A
//! receiver that falls behind misses the oldest events. They are counted, and no stream waits.

mod durable;
pub(crate) mod escape;
pub mod event;
pub mod event_bus;
mod json_lines;
mod mqtt;
mod sink_context;
mod webhook;

pub use durable::Durable;
pub use sink_context::EventReceiver;
