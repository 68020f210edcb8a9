//! From probabilities to a label people can trust, and its drawing on the picture.

pub mod decision;
pub mod intervals;
pub mod labeler;
pub mod overlay;
pub mod smoothing;
pub mod stride;
