//! The trait of stride policies, and its arguments.

use std::time::Duration;

/// Decides the stride. The first thread calls [`stride`](Self::stride) before each frame; the second calls
/// [`labeled`](Self::labeled) after it.
pub trait StridePolicy: Sync {
    /// Returns the stride for the next frame.
    fn stride(&self, load: &dyn Fn() -> Load) -> u64;

    /// Called for each labelled frame after its last output: whether it was analysed, and the time since its arrival.
    fn labeled(&self, _analysed: bool, _delay: Duration) {}
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
