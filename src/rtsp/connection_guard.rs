//! Counts the bytes of one connection to a camera since its last frame, and holds the reason if the connection was
//! refused.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bytes allowed without a frame: ten seconds between two key frames at 50 Mbit/s.
const MAX_WITHOUT_FRAME: u64 = 64 << 20;

/// Why livelabel closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Nothing answers at the address.
    Unreachable,
    /// The certificate is not trusted, or there is no common TLS version.
    Tls,
    /// The camera redirects to another server.
    Redirected,
    /// A message is larger than any that a camera has to send.
    TooLarge,
    /// The camera sent much data but no frame.
    NoFrame,
}

/// State of one connection, shared by its relay, its pipeline and the source.
#[derive(Debug, Default)]
pub struct ConnectionGuard {
    bytes: AtomicU64,
    reason: OnceLock<CloseReason>,
    plain_password: AtomicBool,
}

impl ConnectionGuard {
    /// Counts received bytes.
    ///
    /// # Errors
    /// If there are too many without a frame. The connection is then refused.
    pub fn add(&self, bytes: usize) -> Result<(), CloseReason> {
        let bytes = bytes as u64;
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= MAX_WITHOUT_FRAME {
            return Ok(());
        }
        self.refuse(CloseReason::NoFrame);
        Err(CloseReason::NoFrame)
    }

    /// Resets the count after a frame.
    pub fn frame(&self) {
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// Sets the reason; the first one counts. Call it before closing the connection, since other parts see only the
    /// close.
    pub fn refuse(&self, reason: CloseReason) {
        let _ = self.reason.set(reason);
    }

    pub fn reason(&self) -> Option<CloseReason> {
        self.reason.get().copied()
    }

    /// Records that the camera accepts credentials as plain text only.
    pub fn set_plain_password(&self) {
        self.plain_password.store(true, Ordering::Relaxed);
    }

    pub fn plain_password(&self) -> bool {
        self.plain_password.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_resets_the_count() {
        let guard = ConnectionGuard::default();
        for _ in 0..10 {
            assert_eq!(guard.add(MAX_WITHOUT_FRAME as usize), Ok(()));
            guard.frame();
        }
        assert_eq!(guard.add(MAX_WITHOUT_FRAME as usize), Ok(()));
        assert_eq!((guard.add(1), guard.reason()), (Err(CloseReason::NoFrame), Some(CloseReason::NoFrame)));
        guard.refuse(CloseReason::TooLarge);
        assert_eq!(guard.reason(), Some(CloseReason::NoFrame));
    }
}
