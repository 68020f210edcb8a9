//! From probabilities to a label people can trust, and its drawing on the picture.

pub mod intervals;
pub mod overlay;
pub mod smoothing;
pub mod stride;
pub mod verdict;
