//! What one connection to a camera has brought since its last picture, and why it was broken off.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What may come without a picture: the ten seconds between two key pictures of a stream of 50 Mbit/s.
const WITHOUT_PICTURE: u64 = 64 << 20;

/// Why a connection was broken off from this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody answers at the address.
    Unreachable,
    /// The certificate is not trusted, or there is no TLS that both sides know.
    Tls,
    /// The camera sends its callers to another address.
    Redirected,
    /// A message is larger than any that a camera has to send.
    TooLarge,
    /// Much came, and no picture.
    NoPicture,
}

/// Shared by all that a connection's bytes go through.
#[derive(Debug, Default)]
pub struct Intake {
    bytes: AtomicU64,
    refusal: OnceLock<Refusal>,
    plain_password: AtomicBool,
}

impl Intake {
    /// Counts bytes that have come.
    ///
    /// # Errors
    /// Where they are too many without a picture; the connection is refused then.
    pub fn add(&self, bytes: usize) -> Result<(), Refusal> {
        let bytes = bytes as u64;
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= WITHOUT_PICTURE {
            return Ok(());
        }
        self.refuse(Refusal::NoPicture);
        Err(Refusal::NoPicture)
    }

    /// A picture has come.
    pub fn picture(&self) {
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// The first refusal counts. It is to be told before the connection is closed, as others see only that it is.
    pub fn refuse(&self, refusal: Refusal) {
        let _ = self.refusal.set(refusal);
    }

    pub fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().copied()
    }

    /// The camera takes user and password as plain text only.
    pub fn ask_plain_password(&self) {
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
    fn a_picture_makes_room_for_more() {
        let intake = Intake::default();
        for _ in 0..10 {
            assert_eq!(intake.add(WITHOUT_PICTURE as usize), Ok(()));
            intake.picture();
        }
        assert_eq!(intake.add(WITHOUT_PICTURE as usize), Ok(()));
        assert_eq!((intake.add(1), intake.refusal()), (Err(Refusal::NoPicture), Some(Refusal::NoPicture)));
        intake.refuse(Refusal::TooLarge);
        assert_eq!(intake.refusal(), Some(Refusal::NoPicture));
    }
}
