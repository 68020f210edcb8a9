//! The trait of stride policies, and its arguments.

use std::time::Duration;

use crate::labels::labeler::LabelState;

/// Decides the stride. The first thread calls [`stride`](Self::stride) before each frame; the second calls
/// [`labeled`](Self::labeled) after it.
pub trait StridePolicy: Sync {
    /// Returns the stride for the next frame.
    fn stride(&self, load: &dyn Fn() -> Load) -> u64;

    /// Returns whether the policy needs the labeler's state before the next label.
    fn needs_state(&self) -> bool {
        false
    }

    /// Called for each labelled frame after its last output.
    fn labeled(&self, _frame: Labeled<'_>) {}

    /// Returns the calibrated stride, and the share of frames that showed the same label.
    fn measured(&self) -> Option<(u64, f64)> {
        None
    }
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

/// The result for one frame.
pub struct Labeled<'a> {
    pub pts: u64,
    /// The prediction; `None` for a held frame.
    pub prediction: Option<&'a [f32]>,
    /// The labeler's state before the frame, if the policy needs it.
    pub before: Option<LabelState>,
    /// Time from the frame's arrival to its last output.
    pub delay: Duration,
}
