//! A stream's latest labelled frame as a JPEG, shared by all viewers.

use bytes::Bytes;
use tokio::sync::watch;

/// A JPEG. While recording, it shares the bytes of the recording without a copy.
#[derive(Clone)]
pub struct Picture {
    pub jpeg: Bytes,
    /// Its pts, in milliseconds of the stream.
    pub ms: f64,
}

/// The latest picture. A slow viewer misses some, and blocks neither the stream nor other viewers.
pub struct Pictures(watch::Sender<Option<Picture>>);

impl Default for Pictures {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Pictures {
    /// Returns the number of viewers.
    pub fn viewers(&self) -> usize {
        self.0.receiver_count()
    }

    pub fn put(&self, picture: Picture) {
        self.0.send_replace(Some(picture));
    }

    pub fn clear(&self) {
        self.0.send_replace(None);
    }

    pub fn latest(&self) -> Option<Picture> {
        self.0.borrow().clone()
    }

    /// Adds a viewer, which gets pictures from the next one on. Pictures are encoded as long as the receiver is held.
    pub fn subscribe(&self) -> watch::Receiver<Option<Picture>> {
        self.0.subscribe()
    }
}
