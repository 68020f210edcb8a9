//! The journal: JSON Lines written during the run, each line at once. It survives if the run is killed, and timeline,
//! plot and subtitles are made from it. Nothing is kept in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::labels::intervals::Interval;
use crate::labels::window::{SmoothingWindow, WindowAlign};
use crate::media::frame_counters::Counts;
use crate::report::{LockedFile, lock_output, milliseconds, rounded};

/// Suffix of a camera's journals.
pub const SUFFIX: &str = ".timeline.jsonl";

/// The setup of a run; the first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    pub input: String,
    /// Of a clip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Box<ClipFile>>,
    /// RFC 3339, UTC.
    pub started: String,
    pub model: ModelName,
    pub action: Option<String>,
    pub window: SmoothingWindow,
    #[serde(default)]
    pub window_align: WindowAlign,
    pub threshold: f64,
    pub hysteresis: f64,
    /// A number, or "auto".
    pub stride: serde_json::Value,
    pub device: String,
    /// For a camera: when this journal was opened, in UTC and in milliseconds of the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_ms: Option<f64>,
    /// For a camera: the stream's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// For a camera: by how many milliseconds the clock was set back during the run. The times of the journal do not follow, so
    /// that they stay in the order of the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_back_ms: Option<f64>,
}

impl Header {
    /// Returns the record of a change to these settings.
    pub fn settings(&self, ms: f64, time: String) -> Settings {
        let Self { model, action, window, window_align, threshold, hysteresis, stride, device, .. } = self.clone();
        Settings { ms, time, model, action, window, window_align, threshold, hysteresis, stride, device }
    }
}

/// The settings of a camera, or its model, from a time of its stream on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub ms: f64,
    /// RFC 3339, UTC.
    pub time: String,
    pub model: ModelName,
    pub action: Option<String>,
    pub window: SmoothingWindow,
    pub window_align: WindowAlign,
    pub threshold: f64,
    pub hysteresis: f64,
    /// A number, or "auto".
    pub stride: serde_json::Value,
    pub device: String,
}

/// Tells a clip from a later file of its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipFile {
    pub bytes: u64,
    /// When it was last changed, RFC 3339 in UTC.
    pub modified: Option<String>,
}

/// Identifies the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelName {
    pub name: String,
    pub sha256: String,
    pub labels: Vec<String>,
}

/// Frame counts of a finished stream: `decoded = analysed + held + the sum of dropped`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameCounts {
    pub decoded: u64,
    /// Went through the model.
    pub analysed: u64,
    /// Got the last prediction because of the stride, or an interpolated one.
    pub held: u64,
    /// Got no label, by reason.
    pub dropped: BTreeMap<String, u64>,
}

impl From<Counts> for FrameCounts {
    fn from(counts: Counts) -> Self {
        let dropped = counts.dropped.into_iter().map(|(reason, count)| (reason.to_string(), count)).collect();
        Self { decoded: counts.decoded, analysed: counts.analysed, held: counts.held, dropped }
    }
}

/// An interval as files show it. Times in milliseconds of the stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntervalRecord {
    pub label: String,
    pub start: f64,
    pub end: f64,
    pub mean: f64,
    pub peak: f64,
    /// Where the single predictions begin and end to speak for the label, if not at `start` and `end`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onset: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<f64>,
    /// For a camera without video: its kept pictures, in the order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<PictureRecord>,
}

/// A picture in the file beside the journal ([`picture_file`](crate::report::picture_file)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureRecord {
    pub kind: PictureKind,
    /// Pts of the frame, in milliseconds of the stream.
    pub ms: f64,
    /// Where it begins in the file, and its length.
    pub offset: u64,
    pub bytes: u64,
}

/// Which frame of an interval a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureKind {
    Start,
    /// The first one with the highest confidence.
    Peak,
    End,
}

impl PictureKind {
    pub const ALL: [Self; 3] = [Self::Start, Self::Peak, Self::End];

    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Peak => "peak",
            Self::End => "end",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl IntervalRecord {
    /// Returns when the activity itself began and ended.
    pub fn activity(&self) -> (f64, f64) {
        (self.onset.unwrap_or(self.start), self.offset.unwrap_or(self.end))
    }

    /// Converts an interval: label name, milliseconds, rounded confidences.
    pub fn of(interval: &Interval, labels: &[String]) -> Self {
        Self {
            label: labels[interval.label].clone(),
            start: milliseconds(interval.start),
            end: milliseconds(interval.end),
            mean: rounded(interval.mean),
            peak: rounded(interval.peak),
            onset: (interval.onset != interval.start).then(|| milliseconds(interval.onset)),
            offset: (interval.offset != interval.end).then(|| milliseconds(interval.offset)),
            pictures: Vec::new(),
        }
    }
}

/// A segment of a camera's recording. Times in milliseconds of the stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentRecord {
    /// The file's name, in the journal's folder; its path if it is elsewhere.
    pub file: String,
    pub video: RecordedVideo,
    /// The file's time 0.
    pub start: f64,
    /// The same moment, RFC 3339 in UTC, to the nanosecond.
    pub start_utc: String,
    /// End of the last frame; `None` while the segment is being written, as is `bytes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// What a recording shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordedVideo {
    /// The camera's own video.
    Original,
    /// Frames with the label drawn on them.
    Labelled,
}

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    Start(Box<Header>),
    Frame {
        ms: f64,
        /// The label that is shown; `None` if none is.
        label: Option<String>,
        confidence: f64,
        /// The smoothed probability of every label.
        smoothed: Vec<f64>,
        /// The frame's own prediction, before smoothing; only for clips, since a camera's journals are kept for months.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prediction: Option<Vec<f64>>,
        /// Whether the model did not run on the frame: the prediction is that of an earlier one, or interpolated.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        inferred: bool,
    },
    Interval(IntervalRecord),
    /// A gap of more than a second, in milliseconds.
    Gap {
        start: f64,
        end: f64,
        /// For a camera: why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Written twice: when the segment begins, and when it is complete.
    Segment(SegmentRecord),
    /// The camera was lost; a gap follows when it is back.
    Lost {
        ms: f64,
        reason: String,
    },
    /// The settings of a camera changed while it ran.
    Settings(Box<Settings>),
    End {
        frames: FrameCounts,
        wall_s: f64,
        frames_per_second: f64,
        reconnects: u64,
        /// Duration in milliseconds of the shortest activity that can be found, if known.
        #[serde(default)]
        shortest_ms: Option<f64>,
        /// Whether the input was analysed to its end.
        complete: bool,
    },
}

/// Appends records to a file.
pub struct Journal {
    file: LockedFile,
    path: PathBuf,
    bytes: u64,
    /// Whether the last line was written only in part.
    torn: bool,
}

impl Journal {
    /// Creates the file and writes the first line.
    ///
    /// # Errors
    /// Returns an error if the file is locked or cannot be written.
    pub fn create(path: &Path, header: impl Into<Box<Header>>) -> Result<Self> {
        let file = lock_output(path)?;
        file.set_len(0).map_err(|cause| Error::unwritable(path, cause))?;
        let mut journal = Self { file, path: path.to_path_buf(), bytes: 0, torn: false };
        journal.append(&Record::Start(header.into()))?;
        Ok(journal)
    }

    /// Appends a record.
    ///
    /// # Errors
    /// Returns a failure if the disk is full or unavailable. A partly written record then ends up on a line of its own,
    /// which [`read`] skips.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        let mut line = serde_json::to_vec(record).map_err(|cause| Error::internal("a record").because(cause))?;
        line.push(b'\n');
        if self.torn {
            line.insert(0, b'\n');
        }
        let mut rest = line.as_slice();
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(Error::unwritable(&self.path, std::io::ErrorKind::WriteZero.into())),
                Ok(written) => {
                    self.bytes += written as u64;
                    rest = &rest[written..];
                    self.torn = !rest.is_empty();
                }
                Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(Error::unwritable(&self.path, cause)),
            }
        }
        Ok(())
    }

    /// Returns the number of bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Reads a journal record by record. Skips a line that is not a record: it was written only in part because the disk
/// was full or the run was killed.
///
/// # Errors
/// Returns an error if the file cannot be opened; an item is an error if the file cannot be read further.
pub fn read(path: &Path) -> Result<impl Iterator<Item = Result<Record>> + use<>> {
    let origin = path.display().to_string();
    let unreadable = move |cause: std::io::Error| Error::failed(format!("{origin}: cannot be read")).because(cause);
    let file = File::open(path).map_err(&unreadable)?;
    Ok(BufReader::new(file).split(b'\n').filter_map(move |line| match line {
        Ok(line) => serde_json::from_slice(&line).ok().map(Ok),
        Err(cause) => Some(Err(unreadable(cause))),
    }))
}

/// Returns whether every line of a journal is a record.
///
/// # Errors
/// Returns a failure if it cannot be read.
pub fn is_whole(path: &Path) -> Result<bool> {
    let unreadable = |cause| Error::failed(format!("{}: cannot be read", path.display())).because(cause);
    for line in BufReader::new(File::open(path).map_err(unreadable)?).split(b'\n') {
        if serde_json::from_slice::<Record>(&line.map_err(unreadable)?).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
pub(super) fn sample() -> Vec<Record> {
    let header = Header {
        input: "clip.mp4".into(),
        file: Some(Box::new(ClipFile { bytes: 1000, modified: Some("2026-01-01T00:00:00Z".into()) })),
        started: "2026-01-02T03:04:05Z".into(),
        model: ModelName {
            name: "m.onnx".into(),
            sha256: "00".into(),
            labels: vec!["cooking".into(), "drinking <tea>".into()],
        },
        action: None,
        window: SmoothingWindow::Predictions(128),
        window_align: WindowAlign::Trailing,
        threshold: 0.5,
        hysteresis: 0.0,
        stride: 1.into(),
        device: "cpu".into(),
        opened: None,
        opened_ms: None,
        stream: None,
        clock_back_ms: None,
    };
    let frame = |ms, label: Option<&str>, confidence, smoothed: [f64; 2]| Record::Frame {
        ms,
        label: label.map(Into::into),
        confidence,
        smoothed: smoothed.into(),
        prediction: None,
        inferred: label.is_none(),
    };
    let interval = |label: &str, start, end, mean, peak| {
        let (label, pictures) = (label.into(), Vec::new());
        Record::Interval(IntervalRecord { label, start, end, mean, peak, onset: None, offset: None, pictures })
    };
    vec![
        Record::Start(header.into()),
        frame(0.0, Some("cooking"), 0.75, [0.75, 0.25]),
        frame(33.366667, None, 0.5, [0.5, 0.5]),
        interval("cooking", 0.0, 33.366667, 0.75, 0.75),
        frame(3_723_004.0, Some("drinking <tea>"), 0.875, [0.125, 0.875]),
        Record::Gap { start: 66.733334, end: 3_723_004.0, reason: None },
        interval("drinking <tea>", 3_723_004.0, 3_723_044.0, 0.875, 0.875),
        Record::End {
            frames: FrameCounts { decoded: 3, analysed: 3, ..Default::default() },
            wall_s: 1.5,
            frames_per_second: 2.0,
            reconnects: 0,
            shortest_ms: None,
            complete: true,
        },
    ]
}

#[cfg(test)]
pub(super) fn write_sample(path: &Path) {
    let mut records = sample().into_iter();
    let Some(Record::Start(header)) = records.next() else { unreachable!() };
    let mut journal = Journal::create(path, header).unwrap();
    records.for_each(|record| journal.append(&record).unwrap());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_despite_a_partial_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        write_sample(&path);
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"frame\":{\"ms\":12").unwrap();
        let records: Vec<Record> = read(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(records, sample());
    }

    #[test]
    fn a_partial_line_does_not_affect_other_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let Some(Record::Start(header)) = sample().into_iter().next() else { unreachable!() };
        let mut journal = Journal::create(&path, header).unwrap();
        assert!(is_whole(&path).unwrap());
        // As after a full disk.
        journal.file.write_all(b"{\"frame\":{\"ms\":12").unwrap();
        journal.torn = true;
        sample()[1..].iter().for_each(|record| journal.append(record).unwrap());
        let records: Vec<Record> = read(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(records, sample());
        assert!(!is_whole(&path).unwrap());
    }
}
