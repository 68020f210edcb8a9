//! The journals of a camera: a new file each day, or with each segment.
//!
//! To save space over months, only one frame a second is written, and every frame on which the label changes. Intervals
//! and gaps keep their exact edges.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::report::journal::{Header, Journal, Record};
use crate::system::utc;

/// Minimum time between written frames with the same label, in milliseconds.
const SPACING: f64 = 1000.0;

/// A clock that was set back by less is followed, in milliseconds.
const CLOCK_TOLERANCE: f64 = 1000.0;

/// Writes one journal after another.
pub struct RotatingJournal {
    header: Header,
    /// `None` while the file cannot be created.
    journal: Option<Journal>,
    path: PathBuf,
    /// Time and label of the last written frame.
    written: Option<(f64, Option<String>)>,
    /// Whether the last record could not be written.
    failed: bool,
    /// UTC of the stream's time 0 by the clock of the last journal, in milliseconds since 1970.
    zero: Option<f64>,
}

impl RotatingJournal {
    /// Creates the first journal.
    ///
    /// # Errors
    /// Returns an error if it cannot be written.
    pub fn create(path: PathBuf, header: Header) -> Result<Self> {
        let journal = Journal::create(&path, header.clone())?;
        let zero = zero(&header);
        Ok(Self { header, journal: Some(journal), path, written: None, failed: false, zero })
    }

    /// Continues in a new file that begins at `opened_ms` of the stream's time.
    ///
    /// # Errors
    /// Returns an error if it cannot be written. Each later record then tries again; those until it succeeds are lost.
    pub fn rotate(&mut self, path: PathBuf, opened: String, opened_ms: f64) -> Result<()> {
        self.header.opened = Some(opened);
        self.header.opened_ms = Some(opened_ms);
        self.header.clock_back_ms = self.clock_back();
        (self.path, self.journal, self.written) = (path, None, None);
        let created = self.journal().map(drop);
        self.failed = created.is_err();
        created
    }

    /// Takes over the settings of `header` from `ms` of the stream on, for this file and those that follow.
    ///
    /// # Errors
    /// Those of [`RotatingJournal::append`].
    pub fn change(&mut self, header: Header, ms: f64, time: String) -> Result<()> {
        // The run is the same, and so is the file.
        let Header { started, opened, opened_ms, clock_back_ms, .. } = self.header.clone();
        self.header = Header { started, opened, opened_ms, clock_back_ms, ..header };
        // The next frame is written, whatever its label.
        self.written = None;
        self.append(Record::Settings(Box::new(self.header.settings(ms, time))))
    }

    /// Returns by how much the clock was set back. A clock that was set forward is followed.
    fn clock_back(&mut self) -> Option<f64> {
        let now = zero(&self.header)?;
        let back = self.zero.map_or(0.0, |before| before - now);
        if back > CLOCK_TOLERANCE {
            return Some(back);
        }
        self.zero = Some(now);
        None
    }

    fn journal(&mut self) -> Result<&mut Journal> {
        let journal = match self.journal.take() {
            Some(journal) => journal,
            None => Journal::create(&self.path, self.header.clone())?,
        };
        Ok(self.journal.insert(journal))
    }

    /// Returns the start of the run in UTC.
    pub fn started(&self) -> &str {
        &self.header.started
    }

    /// Returns the current file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a record. Skips a frame if its label is unchanged and less than a second has passed.
    ///
    /// # Errors
    /// Returns an error if it cannot be written: once, until a record is written successfully.
    pub fn append(&mut self, record: Record) -> Result<()> {
        if let Record::Frame { ms, label, .. } = &record {
            let redundant = self.written.as_ref().is_some_and(|(at, shown)| ms - at < SPACING && shown == label);
            if redundant {
                return Ok(());
            }
            self.written = Some((*ms, label.clone()));
        }
        let written = self.journal().and_then(|journal| journal.append(&record));
        let failed_before = std::mem::replace(&mut self.failed, written.is_err());
        if failed_before { Ok(()) } else { written }
    }
}

/// Returns the UTC of the stream's time 0, by the moment at which the journal was opened.
fn zero(header: &Header) -> Option<f64> {
    let opened = utc::parse(header.opened.as_deref()?)?;
    Some(opened.unix_timestamp_nanos() as f64 / 1e6 - header.opened_ms?)
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
        let mut journal = RotatingJournal::create(path.clone(), *header).unwrap();
        for i in 0..100 {
            let label = (i >= 30).then(|| "cooking".to_string());
            journal
                .append(Record::Frame {
                    ms: 40.0 * f64::from(i),
                    label,
                    confidence: 0.5,
                    smoothed: vec![0.5, 0.5],
                    prediction: None,
                    inferred: false,
                })
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

    #[test]
    fn a_file_that_cannot_be_created_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let Some(Record::Start(header)) = records::sample().into_iter().next() else { unreachable!() };
        let mut journal = RotatingJournal::create(folder.path().join("a.jsonl"), *header).unwrap();
        let gap = |start| Record::Gap { start, end: start + 1.0, reason: None };
        let next = folder.path().join("b.jsonl");
        std::fs::create_dir(&next).unwrap();
        assert!(journal.rotate(next.clone(), "2026-01-02T04:00:00Z".into(), 4000.0).is_err());
        // Reported once.
        journal.append(gap(4000.0)).unwrap();
        std::fs::remove_dir(&next).unwrap();
        journal.append(gap(5000.0)).unwrap();
        let records: Vec<Record> = records::read(&next).unwrap().map(Result::unwrap).collect();
        assert!(matches!(&records[0], Record::Start(header) if header.opened_ms == Some(4000.0)));
        assert_eq!(records[1..], [gap(5000.0)]);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_turn_times_back() {
        let folder = tempfile::tempdir().unwrap();
        let Some(Record::Start(header)) = records::sample().into_iter().next() else { unreachable!() };
        let header = Header { opened: Some("2026-01-02T03:00:00Z".into()), opened_ms: Some(0.0), ..*header };
        let mut journal = RotatingJournal::create(folder.path().join("a.jsonl"), header).unwrap();
        let backs: Vec<Option<f64>> = [
            ("2026-01-02T04:00:00Z", 3_600_000.0),
            // Half a second slow: followed.
            ("2026-01-02T05:00:00Z", 7_200_500.0),
            // A day back.
            ("2026-01-01T06:00:00Z", 10_800_500.0),
            ("2026-01-01T07:00:00Z", 14_400_500.0),
            // Set right again, and ten seconds more.
            ("2026-01-02T08:00:10Z", 18_000_500.0),
        ]
        .into_iter()
        .zip(0..)
        .map(|((opened, ms), number)| {
            journal.rotate(folder.path().join(format!("{number}.jsonl")), opened.into(), ms).unwrap();
            journal.header.clock_back_ms
        })
        .collect();
        assert_eq!(backs, [None, None, Some(86_400_000.0), Some(86_400_000.0), None]);
    }
}
