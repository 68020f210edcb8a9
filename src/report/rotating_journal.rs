//! A live stream's timeline: journals that follow each other, day by day or segment by segment.
//!
//! To run for months in little room, one frame a second is written down, and every frame on which the label changes.
//! Intervals and gaps keep their exact edges.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::report::journal::{Header, Journal, Record};

/// Time between frames that are written down, in milliseconds.
const SPACING: f64 = 1000.0;

/// Writes one journal after another.
pub struct RotatingJournal {
    header: Header,
    journal: Option<Journal>,
    path: PathBuf,
    /// The last frame that was written down.
    written: Option<(f64, Option<String>)>,
    /// Whether the last record could not be written.
    failed: bool,
}

impl RotatingJournal {
    /// Opens the first journal.
    ///
    /// # Errors
    /// Failed, where it cannot be written.
    pub fn create(path: PathBuf, header: Header) -> Result<Self> {
        let journal = Journal::create(&path, header.clone())?;
        Ok(Self { header, journal: Some(journal), path, written: None, failed: false })
    }

    /// Goes on in a new file that begins at `opened_ms` of the stream's time.
    ///
    /// # Errors
    /// Failed, where it cannot be written; nothing is until the next one.
    pub fn rotate(&mut self, path: PathBuf, opened: String, opened_ms: f64) -> Result<()> {
        let header = Header { opened: Some(opened), opened_ms: Some(opened_ms), ..self.header.clone() };
        (self.journal, self.written, self.failed) = (None, None, false);
        self.journal = Some(Journal::create(&path, header)?);
        self.path = path;
        Ok(())
    }

    /// The start of the run in UTC.
    pub fn started(&self) -> &str {
        &self.header.started
    }

    /// The file that is being written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a record; of frames only those that tell something.
    ///
    /// # Errors
    /// Failed, where it cannot be written; returned once until a record is written again.
    pub fn append(&mut self, record: Record) -> Result<()> {
        if let Record::Frame { ms, label, .. } = &record {
            let known = self.written.as_ref().is_some_and(|(at, shown)| ms - at < SPACING && shown == label);
            if known {
                return Ok(());
            }
            self.written = Some((*ms, label.clone()));
        }
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let written = journal.append(&record);
        let again = std::mem::replace(&mut self.failed, written.is_err());
        if again { Ok(()) } else { written }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::journal as records;

    #[test]
    fn one_frame_a_second_and_every_change_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let Some(Record::Start(header)) = records::sample().into_iter().next() else { unreachable!() };
        let mut journal = RotatingJournal::create(path.clone(), header).unwrap();
        for i in 0..100 {
            let label = (i >= 30).then(|| "cooking".to_string());
            journal
                .append(Record::Frame { ms: 40.0 * f64::from(i), label, confidence: 0.5, smoothed: vec![0.5, 0.5] })
                .unwrap();
        }
        let times = |path: &Path| -> Vec<f64> {
            records::read(path)
                .unwrap()
                .filter_map(|record| match record.unwrap() {
                    Record::Frame { ms, .. } => Some(ms),
                    _ => None,
                })
                .collect()
        };
        assert_eq!(times(&path), [0.0, 1000.0, 1200.0, 2200.0, 3200.0]);
        let next = folder.path().join("b.jsonl");
        journal.rotate(next.clone(), "2026-01-02T04:00:00Z".into(), 4000.0).unwrap();
        journal.append(Record::Gap { start: 4000.0, end: 9000.0, reason: Some("refused".into()) }).unwrap();
        let records: Vec<Record> = records::read(&next).unwrap().map(Result::unwrap).collect();
        assert!(matches!(&records[0], Record::Start(header) if header.opened_ms == Some(4000.0)));
        assert!(matches!(&records[1], Record::Gap { reason: Some(reason), .. } if reason == "refused"));
    }
}
