//! The recordings that are complete and not in the journal yet: handed from the thread that finalises a file to the journal.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A finalised file, with the times of its first frame and of the end of its last, in nanoseconds of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedSegment {
    pub path: PathBuf,
    pub start: u64,
    pub end: u64,
}

/// Shared by the sinks of one stream. The journal empties it with each frame, so it holds a few files at most.
#[derive(Clone, Default)]
pub struct RecordedSegments(Arc<Mutex<Vec<RecordedSegment>>>);

impl RecordedSegments {
    pub fn add(&self, segment: RecordedSegment) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(segment);
    }

    pub fn take(&self) -> Vec<RecordedSegment> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
