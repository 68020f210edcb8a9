//! A live stream's timeline: journals that follow each other, day by day or segment by segment, and a summary at the end.
//!
//! To run for months in little room, one frame a second is written down, and every frame on which the label changes.
//! Intervals and gaps keep their exact edges.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::Result;
use crate::report::journal::{Balance, Header, Journal, Record};
use crate::report::{replace, unwritable};

pub const SUMMARY_SCHEMA: &str = "livelabel.summary";
pub const SUMMARY_VERSION: u32 = 1;
/// Time between frames that are written down, in milliseconds.
const SPACING: f64 = 1000.0;

/// Writes one journal after another.
pub struct Diary {
    header: Header,
    journal: Option<Journal>,
    path: PathBuf,
    /// The last frame that was written down.
    written: Option<(f64, Option<String>)>,
    /// Whether a failure was told.
    failed: bool,
}

impl Diary {
    /// Opens the first journal.
    ///
    /// # Errors
    /// Failed, where it cannot be written.
    pub fn create(path: PathBuf, header: Header) -> Result<Self> {
        let journal = Journal::create(&path, header.clone())?;
        Ok(Self { header, journal: Some(journal), path, written: None, failed: false })
    }

    /// Goes on in a new file that begins at `opened_ms` of the stream's time.
    pub fn rotate(&mut self, path: PathBuf, opened: String, opened_ms: f64) {
        let header = Header { opened: Some(opened), opened_ms: Some(opened_ms), ..self.header.clone() };
        self.written = None;
        match Journal::create(&path, header) {
            Ok(journal) => (self.journal, self.path, self.failed) = (Some(journal), path, false),
            Err(error) => {
                self.journal = None;
                tracing::error!("{error}; nothing is written down until the next file");
            }
        }
    }

    /// The file that is being written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a record; of frames only those that tell something. A failure is told once, and the stream goes on.
    pub fn append(&mut self, record: Record) {
        if let Record::Frame { ms, label, .. } = &record {
            let known = self.written.as_ref().is_some_and(|(at, shown)| ms - at < SPACING && shown == label);
            if known {
                return;
            }
            self.written = Some((*ms, label.clone()));
        }
        let Some(journal) = &mut self.journal else { return };
        match journal.append(&record) {
            Ok(()) => self.failed = false,
            Err(error) if !self.failed => {
                self.failed = true;
                tracing::error!("{error}; the stream is watched on");
            }
            Err(_) => {}
        }
    }
}

/// The end of a live run in numbers.
#[derive(Debug, Serialize)]
pub struct Summary<L: Serialize> {
    pub schema: &'static str,
    pub version: u32,
    pub input: String,
    pub started: String,
    pub ended: String,
    pub frames: Balance,
    pub wall_s: f64,
    pub reconnects: u64,
    pub stalls: u64,
    pub gaps: Gaps,
    pub intervals: u64,
    pub latency_ms: L,
    pub videos: u64,
    pub video_failures: u64,
    pub pictures_skipped: u64,
}

/// Stretches without frames, in milliseconds.
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

/// Writes the summary, beside its place and renamed.
///
/// # Errors
/// Failed, where it cannot be written.
pub fn summarise<L: Serialize>(path: &Path, summary: &Summary<L>) -> Result<()> {
    replace(path, |part| {
        let text = serde_json::to_vec_pretty(summary)
            .map_err(|cause| crate::error::Error::internal("a summary").because(cause))?;
        std::fs::write(part, text).map_err(|cause| unwritable(part, cause))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::journal;

    #[test]
    fn one_frame_a_second_and_every_change_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let Some(Record::Start(header)) = journal::sample().into_iter().next() else { unreachable!() };
        let mut diary = Diary::create(path.clone(), header).unwrap();
        for i in 0..100 {
            let label = (i >= 30).then(|| "cooking".to_string());
            diary.append(Record::Frame { ms: 40.0 * f64::from(i), label, confidence: 0.5, smoothed: vec![0.5, 0.5] });
        }
        let times = |path: &Path| -> Vec<f64> {
            journal::read(path)
                .unwrap()
                .filter_map(|record| match record.unwrap() {
                    Record::Frame { ms, .. } => Some(ms),
                    _ => None,
                })
                .collect()
        };
        assert_eq!(times(&path), [0.0, 1000.0, 1200.0, 2200.0, 3200.0]);
        let next = folder.path().join("b.jsonl");
        diary.rotate(next.clone(), "2026-01-02T04:00:00Z".into(), 4000.0);
        diary.append(Record::Gap { start: 4000.0, end: 9000.0, reason: Some("refused".into()) });
        let records: Vec<Record> = journal::read(&next).unwrap().map(Result::unwrap).collect();
        assert!(matches!(&records[0], Record::Start(header) if header.opened_ms == Some(4000.0)));
        assert!(matches!(&records[1], Record::Gap { reason: Some(reason), .. } if reason == "refused"));
    }
}
