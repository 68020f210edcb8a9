//! What decides the stride, and what it is told.

use std::time::Duration;

use crate::labels::decision::Decision;
use crate::labels::labeler::LabelState;

/// Decides the stride. The thread that prepares frames asks it; the one that presents them tells it what became of them.
pub trait StridePolicy: Sync {
    /// The stride that holds for the next frame: every so many-th is analysed.
    fn stride(&self, load: &dyn Fn() -> Load) -> u64;

    /// Whether the policy must know the state that the next label will depend on.
    fn needs_state(&self) -> bool {
        false
    }

    /// Takes a frame that was labelled and written.
    fn labeled(&self, _frame: Labeled<'_>) {}

    /// The stride that was found by measuring, with the share of frames that showed the same label.
    fn measured(&self) -> Option<(u64, f64)> {
        None
    }
}

/// How busy the way to the engine is.
pub struct Load {
    /// Since the stream began.
    pub at: Duration,
    /// Frames that wait to be prepared, and how many may wait.
    pub waiting: usize,
    pub capacity: usize,
    /// Frames dropped so far.
    pub dropped: u64,
}

/// What became of a frame.
pub struct Labeled<'a> {
    pub pts: u64,
    /// Of a frame that was analysed.
    pub prediction: Option<&'a [f32]>,
    pub decision: Decision,
    /// What the label depended on, where the policy needs it.
    pub before: Option<LabelState>,
    /// From the frame's arrival to its last output.
    pub delay: Duration,
}
