//! The summary file of a camera's run, written at its end.

use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::report::journal::FrameCounts;
use crate::report::replace;

pub const SUMMARY_SCHEMA: &str = "livelabel.summary";
pub const SUMMARY_VERSION: u32 = 1;

/// Figures of a camera's whole run.
#[derive(Debug, Serialize)]
pub struct Summary<L: Serialize> {
    pub schema: &'static str,
    pub version: u32,
    pub input: String,
    pub started: String,
    pub ended: String,
    pub frames: FrameCounts,
    pub wall_s: f64,
    pub reconnects: u64,
    pub stalls: u64,
    pub gaps: Gaps,
    pub intervals: u64,
    pub latency_ms: L,
    pub videos: u64,
    pub video_failures: u64,
    pub pictures_skipped: u64,
    pub video_bytes: u64,
}

/// Gaps: count, total and maximum length in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Gaps {
    pub count: u64,
    pub total: f64,
    pub longest: f64,
}

impl Gaps {
    pub fn add(&mut self, length: f64) {
        self.count += 1;
        self.total += length;
        self.longest = self.longest.max(length);
    }
}

/// Writes the summary to a temporary file and renames it.
///
/// # Errors
/// Returns a failure if it cannot be written.
pub fn write<L: Serialize>(path: &Path, summary: &Summary<L>) -> Result<()> {
    replace(path, |part| {
        let text = serde_json::to_vec_pretty(summary).map_err(|cause| Error::internal("a summary").because(cause))?;
        std::fs::write(part, text).map_err(|cause| Error::unwritable(part, cause))
    })
}
