//! `livelabel bench`: measures each stage of the pipeline alone, and all of them together.

pub mod clip;
mod meter;
pub mod model;
