//! The trait of stride policies, and its arguments.

use std::time::Duration;

use crate::media::frame::Frame;

/// Decides which frames are analysed. The first thread calls [`stride`](Self::stride) and [`is_needed`](Self::is_needed)
/// for each frame; the second calls [`labeled`](Self::labeled) after its last output.
pub trait StridePolicy: Send + Sync {
    /// Returns the stride for the next frame: at most every n-th is analysed.
    fn stride(&self, load: &dyn Fn() -> Load) -> u64;

    /// Returns whether to analyse the frame. It is `due` if the stride has passed.
    fn is_needed(&self, _frame: &Frame, due: bool) -> bool {
        due
    }

    /// Called when the labels begin anew: the next frame must be analysed.
    fn restart(&self) {}

    /// Called for each labelled frame, in order.
    fn labeled(&self, _label: &Label) {}
}

/// The label of a frame, as far as it matters for the next frames.
pub struct Label<'a> {
    /// The frame's own prediction; `None` if it was held.
    pub prediction: Option<&'a [f32]>,
    /// Time since its arrival.
    pub delay: Duration,
    /// The [margin](crate::labels::decision::Decider::margin) of the last decision, and the number of predictions that it
    /// is the mean of.
    pub margin: f64,
    pub window: usize,
}

/// The load of the path to the engine.
pub struct Load {
    /// Time since the start of the stream.
    pub at: Duration,
    /// Length and capacity of the queue of decoded frames.
    pub waiting: usize,
    pub capacity: usize,
    /// Frames dropped so far.
    pub dropped: u64,
}
