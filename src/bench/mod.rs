//! `livelabel bench`: measures each stage of the pipeline alone, and all of them together.

pub mod clip;
mod label_change;
mod meter;
pub mod model;
pub mod sampling;
