//! The table of all intervals of a run, as CSV (RFC 4180). Each row is written when its interval ends, so the file is
//! complete up to there however the run ends.

use std::borrow::Cow;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use csv::{Terminator, WriterBuilder};
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::report::journal::IntervalRecord;
use crate::report::{LockedFile, lock_output};
use crate::system::{durable, utc};

/// The beginning of every table.
pub const MARK: &str = "input,label,start,end,duration,mean,peak,onset,offset,time\r\n";

/// Appends rows to a file, for all streams of a run.
pub struct IntervalTable {
    path: PathBuf,
    rows: Mutex<Rows>,
}

/// The file, with the length of its complete rows in bytes.
struct Rows {
    file: LockedFile,
    length: u64,
}

impl IntervalTable {
    /// Creates the file with a row of column names.
    ///
    /// # Errors
    /// Returns an error if the file is locked or cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let file = lock_output(path)?;
        file.set_len(0).map_err(|cause| Error::unwritable(path, cause))?;
        let table = Self { path: path.to_path_buf(), rows: Mutex::new(Rows { file, length: 0 }) };
        table.append(MARK.as_bytes())?;
        // By its beginning `--resume` knows a table, also after a loss of power.
        table.sync()?;
        Ok(table)
    }

    /// Adds an interval of `input`. `time` is when it began, for a camera.
    ///
    /// # Errors
    /// Returns a failure if the disk is full or unavailable. The file then ends with the row before.
    pub fn add(&self, input: &str, interval: &IntervalRecord, time: Option<OffsetDateTime>) -> Result<()> {
        let seconds = |milliseconds: f64| format!("{:.3}", milliseconds / 1000.0);
        let IntervalRecord { label, start, end, mean, peak, .. } = interval;
        let (onset, offset) = interval.activity();
        self.write(&[
            &harmless(input),
            &harmless(label),
            &seconds(*start),
            &seconds(*end),
            &seconds(end - start),
            &mean.to_string(),
            &peak.to_string(),
            &seconds(onset),
            &seconds(offset),
            &time.map(utc::milliseconds).unwrap_or_default(),
        ])
    }

    /// Adds a picture, which has no times.
    ///
    /// # Errors
    /// Those of [`IntervalTable::add`].
    pub fn add_picture(&self, input: &str, label: &str, confidence: f64) -> Result<()> {
        let confidence = confidence.to_string();
        self.write(&[&harmless(input), &harmless(label), "", "", "", &confidence, &confidence, "", "", ""])
    }

    /// Has the disk keep the rows.
    ///
    /// # Errors
    /// Returns a failure if it cannot.
    pub fn sync(&self) -> Result<()> {
        durable::sync(&self.path).map_err(|cause| Error::unwritable(&self.path, cause))
    }

    fn write(&self, cells: &[&str]) -> Result<()> {
        let internal = |cause: String| Error::internal("a row of the table").because(cause);
        let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
        writer.write_record(cells).map_err(|cause| internal(cause.to_string()))?;
        let row = writer.into_inner().map_err(|cause| internal(cause.to_string()))?;
        self.append(&row)
    }

    fn append(&self, row: &[u8]) -> Result<()> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let Rows { file, length } = &mut *rows;
        if let Err(cause) = file.write_all(row) {
            // A part of a row would be read as a row.
            let _ = file.set_len(*length).and_then(|()| file.seek(std::io::SeekFrom::Start(*length)));
            return Err(Error::unwritable(&self.path, cause));
        }
        *length += row.len() as u64;
        Ok(())
    }
}

/// Returns `text` with an apostrophe before a character that makes a spreadsheet compute the cell.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn cells_are_quoted_and_never_computed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let table = IntervalTable::create(&path).unwrap();
        let interval = |label: &str| IntervalRecord {
            label: label.into(),
            start: 16_200.0,
            end: 18_680.5,
            mean: 0.98765,
            peak: 1.0,
            onset: Some(15_900.0),
            offset: None,
            pictures: Vec::new(),
        };
        table.add("a, \"b\".mp4", &interval("drinking"), None).unwrap();
        table.add("=HYPERLINK(1)", &interval("+x"), Some(datetime!(2026-01-02 03:04:05.678 UTC))).unwrap();
        table.add("line\nbreak", &interval("-@"), None).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "input,label,start,end,duration,mean,peak,onset,offset,time\r\n\
             \"a, \"\"b\"\".mp4\",drinking,16.200,18.680,2.481,0.98765,1,15.900,18.680,\r\n\
             '=HYPERLINK(1),'+x,16.200,18.680,2.481,0.98765,1,15.900,18.680,2026-01-02T03:04:05.678Z\r\n\
             \"line\nbreak\",'-@,16.200,18.680,2.481,0.98765,1,15.900,18.680,\r\n"
        );
    }

    #[test]
    fn a_full_disk_leaves_complete_rows() {
        let full = Path::new("/dev/full");
        let file = std::fs::OpenOptions::new().write(true).open(full).unwrap();
        let table = IntervalTable { path: full.into(), rows: Mutex::new(Rows { file: LockedFile(file), length: 0 }) };
        let error = table.append(MARK.as_bytes()).unwrap_err();
        assert!(error.exit_code() == 1 && error.to_string().contains("free some space"), "{error}");
    }
}
