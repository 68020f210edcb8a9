//! The analyzer of many streams, and the pipeline of one: source, preparation, engine, labeler, sinks.

pub(crate) mod analyzer;
pub(crate) mod context;
mod disk_space;
mod group_buffer;
pub(crate) mod observer;
pub(crate) mod outcome;
pub(crate) mod overlay_renderer;
mod overview;
mod overwrite;
mod pictures;
mod prepare;
mod preroll_buffer;
mod present;
mod resume;
mod run_files;
mod sampled_frames;
mod schedule;
mod sinks;
pub(crate) mod source;
pub(crate) mod stream;
mod stride;
