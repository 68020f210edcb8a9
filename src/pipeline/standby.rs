//! A camera that is connected and not yet labelled: another machine still labels it, and hands it over.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};
use crate::media::frame_counters::DropReason;
use crate::pipeline::prepare::POLL;
use crate::pipeline::source::{FrameSource, SourceEvent};
use crate::shutdown::Shutdown;
use crate::system::clock::SharedClock;
use crate::telemetry::StreamState;

/// Holds a camera back until it is released.
#[derive(Debug, Default)]
pub struct Standby {
    connected: AtomicBool,
    released: AtomicBool,
}

impl Standby {
    /// Returns whether the camera has sent a frame.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::SeqCst)
    }

    /// Lets the camera be labelled, from its next frame on.
    pub fn release(&self) {
        self.released.store(true, Ordering::SeqCst);
    }

    /// Drops the frames of `source` until it is released.
    ///
    /// # Errors
    /// `Unavailable` if the stream is stopped before; those of the source.
    pub(super) fn wait(
        &self,
        source: &mut dyn FrameSource,
        state: &StreamState,
        clock: &SharedClock,
        shutdown: &Shutdown,
    ) -> Result<()> {
        while !self.released.load(Ordering::SeqCst) {
            if shutdown.requested() {
                return Err(Error::unavailable(format!("{}: stopped before it was handed over", state.info.name)));
            }
            if let Some(SourceEvent::Frame(_)) = source.next(POLL)? {
                state.progress.counters.dropped(DropReason::Standby);
                self.connected.store(true, Ordering::SeqCst);
            }
            source.report(&mut state.progress.status_mut(), clock.utc());
        }
        Ok(())
    }
}
