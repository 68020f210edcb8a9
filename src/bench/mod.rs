//! `livelabel bench`: what a machine needs for each stage of the work, and what it makes of all of them together.

pub mod clip;
mod meter;
pub mod network;
