//! A stream's latest picture as a JPEG, shared by all that watch.

use bytes::Bytes;
use tokio::sync::watch;

/// An encoded picture. Its bytes are those of the recording where there is one, and never copied.
#[derive(Clone)]
pub struct Picture {
    pub jpeg: Bytes,
    /// When it is shown, in milliseconds of the stream.
    pub ms: f64,
}

/// The latest picture. Who reads slowly misses some and holds nobody up.
pub struct Pictures(watch::Sender<Option<Picture>>);

impl Default for Pictures {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Pictures {
    /// How many watch.
    pub fn watchers(&self) -> usize {
        self.0.receiver_count()
    }

    pub fn put(&self, picture: Picture) {
        self.0.send_replace(Some(picture));
    }

    pub fn latest(&self) -> Option<Picture> {
        self.0.borrow().clone()
    }

    /// To watch, from the next picture on; as long as this is held pictures are made.
    pub fn watch(&self) -> watch::Receiver<Option<Picture>> {
        self.0.subscribe()
    }
}
