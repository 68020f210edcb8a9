//! From predictions to labels: smoothing, decision, intervals and stride; and drawing the label.

pub mod decision;
mod edges;
pub mod intervals;
pub mod labeler;
pub mod overlay;
pub mod palette;
pub mod rule;
pub mod sampling;
pub mod smoothing;
pub mod stride;
pub mod window;
mod window_length;

/// The label of everything that no other label names.
pub const REST: &str = "other";
