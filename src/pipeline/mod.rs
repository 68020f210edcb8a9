//! The analyzer of many streams, and the pipeline of one: source, preparation, engine, labeler, sinks.

pub(crate) mod analyzer;
mod clips;
pub(crate) mod context;
mod disk_space;
mod group_buffer;
mod live_streams;
mod model_in_use;
mod model_switch;
pub(crate) mod observer;
pub(crate) mod outcome;
pub(crate) mod overlay_renderer;
mod overview;
mod overwrite;
pub(crate) mod permissions;
mod pictures;
mod prepare;
mod preroll_buffer;
mod present;
mod reload;
mod resume;
mod run_files;
mod running;
mod sampled_frames;
mod schedule;
pub(crate) mod settings_change;
#[cfg(test)]
mod simulation;
pub(crate) mod single_camera;
pub(crate) mod single_clip;
pub(crate) mod sinks;
pub(crate) mod source;
pub(crate) mod standby;
pub(crate) mod stream;
mod stride;
