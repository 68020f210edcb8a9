//! Adaptive sampling: which frames are analysed, so that the labels are those of analysing every frame.
//!
//! Neighbouring frames tell the network the same thing. So a frame of a clip is analysed every few frames, and the predictions
//! between are interpolated. Each interpolated prediction has an expected error: it is larger where the predictions at
//! both ends differ, where they are not sure, and where the picture differs from those at both ends. A label is final
//! if the errors in its smoothing window cannot change it. If they can, the stretches with the largest share of the
//! error are halved, down to single frames. On a camera (`forward`) predictions can only be held.

mod forward;
mod grid;
mod plan;
mod replay;
mod sampler;
mod stretch;
#[cfg(test)]
mod tests;

pub use forward::{Evidence, ForwardSampler};
pub use plan::{IN_FLIGHT, Plan, STRICTNESS};
pub use replay::{replay, replay_forwards};
pub use sampler::{Sample, Sampler};
