//! Tells others what was seen: the start and end of intervals and the loss of cameras, to a file, an MQTT broker and
//! web servers.
//!
//! Telling never waits. Each place that is told has a thread of its own and takes what it
//! gets from one bounded channel: a receiver that falls behind misses the oldest events, which is counted, and blocks nobody.

mod escape;
pub mod event;
pub mod event_bus;
mod json_lines;
mod mqtt;
mod sink_context;
mod webhook;
