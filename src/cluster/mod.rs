//! Many machines: jobs wait in NATS JetStream, workers take them, and results are written once.
//!
//! JetStream holds the queue, delivers again what a worker no longer claims, and replicates. Nothing here elects a leader or keeps
//! a lease of its own. All types of the NATS client stay in this folder.

mod attempt;
pub mod cameras;
pub mod capacity;
pub mod claim;
pub mod clip;
pub mod clip_address;
mod clock_check;
pub mod command;
pub mod connection;
pub mod job;
pub mod names;
pub mod objects;
pub mod overview;
mod own_process;
pub mod page;
pub mod part;
pub mod presence;
pub mod queue_metrics;
pub mod record;
#[cfg(test)]
mod scaling_test;
mod streams;
pub mod submit;
#[cfg(test)]
mod test_server;
mod web_clip;
pub mod worker;
pub mod worker_state;
