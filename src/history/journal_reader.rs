//! Reads a camera's journal into rows, as far as it is written, and goes on when there is more.
//!
//! The same code reads a journal that grows and one that is complete. What is known of a journal depends on its lines only.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use rusqlite::{Result, params};
use serde::Deserialize;

use crate::history::ids;
use crate::history::names;
use crate::history::rows::{IntervalRow, Rows, SegmentRow, SourceRow, is_plausible};
use crate::report::journal::{Header, IntervalRecord, PictureKind, SegmentRecord};
use crate::report::stamped_name::StampedName;
use crate::system::utc;

/// The longest line that is read, in bytes. A longer one is none of livelabel's.
const MAX_LINE: u64 = 4 << 20;

/// Beyond all times that are believed, in milliseconds, so that sums of times do not overflow.
const NEVER: f64 = 1e16;

/// What the index needs of a record.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Start(Box<Header>),
    Frame { ms: f64, label: Option<String>, confidence: f64 },
    Interval(IntervalRecord),
    Gap { start: f64, end: f64, reason: Option<String> },
    Lost { ms: f64, reason: String },
    Segment(SegmentRecord),
    End { complete: bool },
}

/// What the first line says.
struct Run {
    id: i64,
    stream: i64,
    labels: Vec<String>,
    /// Time 0 of the stream, in milliseconds since 1970.
    zero: f64,
    clock_back: i64,
}

impl Run {
    fn time(&self, ms: f64) -> i64 {
        (self.zero + ms).round().clamp(-NEVER, NEVER) as i64
    }

    fn label(&self, name: &str) -> Option<i64> {
        self.labels.iter().any(|known| known == name).then(|| ids::of(&[name]))
    }

    /// Returns the row of an interval from a start to an end, with its mean and highest confidence; `None` if the run has no such
    /// label.
    fn row(
        &self,
        source: i64,
        label: &str,
        span: (f64, f64),
        (mean, peak): (f64, f64),
        open: bool,
    ) -> Option<IntervalRow> {
        let (start, end) = (self.time(span.0), self.time(span.1));
        Some(IntervalRow {
            stream: self.stream,
            label: self.label(label)?,
            start,
            source,
            duration: end - start,
            mean: hundred_thousandths(mean),
            peak: hundred_thousandths(peak),
            open,
        })
    }
}

/// An interval as far as frames show it.
#[derive(Clone, Debug)]
struct Open {
    label: String,
    start: f64,
    end: f64,
    sum: f64,
    count: u32,
    peak: f64,
}

/// A journal that is being read.
pub struct JournalReader {
    file: BufReader<File>,
    folder: std::path::PathBuf,
    name: String,
    id: i64,
    /// Bytes read, and bytes up to the end of the last complete line.
    offset: u64,
    /// The beginning of a line whose end is not written yet.
    partial: Vec<u8>,
    /// Whether the rest of a line that is too long is skipped.
    skipping: bool,
    run: Option<Run>,
    /// The watched stretch that goes on.
    watched: Option<(f64, f64)>,
    open: Option<Open>,
    /// Whether the camera is lost.
    lost: bool,
    /// Earliest and latest time of its rows.
    range: Option<(i64, i64)>,
    ended: bool,
    complete: bool,
    pending: Vec<Line>,
}

impl JournalReader {
    /// Opens a journal in `folder`.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(folder: &Path, name: &str) -> std::io::Result<Self> {
        Ok(Self {
            file: BufReader::new(File::open(folder.join(name))?),
            folder: folder.into(),
            name: name.into(),
            id: ids::of(&[name]),
            offset: 0,
            partial: Vec::new(),
            skipping: false,
            run: None,
            watched: None,
            open: None,
            lost: false,
            range: None,
            ended: false,
            complete: false,
            pending: Vec::new(),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether the file was made shorter than what was read.
    pub fn was_cut(&self) -> bool {
        self.file.get_ref().metadata().is_ok_and(|file| file.len() < self.offset)
    }

    /// Reads up to `most` more lines. Returns whether there are more; a line that is not complete yet is kept for later.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn read(&mut self, most: usize) -> std::io::Result<bool> {
        while self.pending.len() < most {
            let room = MAX_LINE.saturating_sub(self.partial.len() as u64);
            let read = (&mut self.file).take(room).read_until(b'\n', &mut self.partial)?;
            self.offset += read as u64;
            if self.partial.last() == Some(&b'\n') {
                if !std::mem::take(&mut self.skipping)
                    && let Ok(line) = serde_json::from_slice(&self.partial)
                {
                    self.pending.push(line);
                }
                self.partial.clear();
            } else if self.partial.len() as u64 >= MAX_LINE {
                self.skipping = true;
                self.partial.clear();
            } else {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Has the disk keep what was read.
    pub fn sync(&self) {
        let _ = self.file.get_ref().sync_data();
    }

    /// Returns whether something was read that is not in the index.
    pub fn has_news(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Returns whether something was read that should be in the index soon. A frame can wait.
    pub fn is_urgent(&self) -> bool {
        self.pending.len() > 1000 || self.pending.iter().any(|line| !matches!(line, Line::Frame { .. }))
    }

    /// Writes what was read to the index. With the first line, replaces what the index has of this journal.
    ///
    /// # Errors
    /// Those of SQLite. The transaction must be rolled back then, and the journal read again from its start.
    pub fn store(&mut self, rows: &mut Rows) -> Result<()> {
        for line in std::mem::take(&mut self.pending) {
            self.line(rows, line)?;
        }
        let Some(run) = &self.run else { return Ok(()) };
        if let (Some((start, end)), stream) = (self.watched, run.stream) {
            let (start, end) = (run.time(start), run.time(end));
            rows.watched(stream, self.id, start, end)?;
            self.reach(start, end);
        }
        self.store_open(rows, true)?;
        self.store_source(rows)
    }

    fn store_source(&self, rows: &Rows) -> Result<()> {
        let Some(run) = &self.run else { return Ok(()) };
        rows.source(&SourceRow {
            id: self.id,
            file: &self.name,
            run: run.id,
            stream: run.stream,
            bytes: self.offset as i64,
            modified: 0,
            first: self.range.map(|(first, _)| first),
            last: self.range.map(|(_, last)| last),
            ended: self.ended,
            complete: self.complete,
            clock_back: run.clock_back,
        })
    }

    fn line(&mut self, rows: &mut Rows, line: Line) -> Result<()> {
        if let Line::Start(header) = line {
            return if self.run.is_none() { self.start(rows, &header) } else { Ok(()) };
        }
        let Some(run) = &self.run else { return Ok(()) };
        let stream = run.stream;
        match line {
            Line::Start(_) => Ok(()),
            Line::Frame { ms, label, confidence } => self.frame(rows, ms, label, confidence),
            Line::Interval(interval) => self.interval(rows, &interval),
            Line::Gap { start, end, reason } => {
                self.store_open(rows, false)?;
                let span = (run_time(&self.run, start), run_time(&self.run, end));
                self.lost = false;
                self.leave(rows, Some(start))?;
                rows.gap(stream, self.id, span, reason.as_deref())?;
                self.reach(span.0, span.1);
                Ok(())
            }
            Line::Lost { ms, reason } => {
                let at = run.time(ms);
                rows.loss(stream, self.id, at, &reason)?;
                self.reach(at, at);
                self.lost = true;
                Ok(())
            }
            Line::Segment(segment) => self.segment(rows, &segment),
            Line::End { complete } => {
                self.store_open(rows, false)?;
                (self.ended, self.complete) = (true, complete);
                self.leave(rows, None)
            }
        }
    }

    fn start(&mut self, rows: &mut Rows, header: &Header) -> Result<()> {
        let milliseconds = |text: &str| Some(utc::parse(text)?.unix_timestamp_nanos() as f64 / 1e6);
        let opened = header.opened.as_deref().and_then(milliseconds);
        // A clip's journal has neither; its results are in its timeline.
        let (Some(opened), Some(opened_ms), Some(started)) = (opened, header.opened_ms, milliseconds(&header.started))
        else {
            return Ok(());
        };
        rows.remove_source(self.id)?;
        let stem = StampedName::parse(&self.name).map_or("", |name| name.stem);
        let name = header.stream.as_deref().unwrap_or(stem);
        let back = header.clock_back_ms.unwrap_or(0.0);
        let stream = ids::of(&[name]);
        rows.stream(stream, name, "camera", stem)?;
        let id = run(rows, stream, started.round() as i64, header)?;
        let zero = opened + back - opened_ms;
        self.run = Some(Run { id, stream, labels: header.model.labels.clone(), zero, clock_back: back.round() as i64 });
        self.store_source(rows)
    }

    fn frame(&mut self, rows: &mut Rows, ms: f64, label: Option<String>, confidence: f64) -> Result<()> {
        if std::mem::take(&mut self.lost) {
            // The record of the gap is missing.
            self.leave(rows, None)?;
        }
        let (start, _) = *self.watched.get_or_insert((ms, ms));
        self.watched = Some((start, ms.max(start)));
        if self.open.as_ref().map(|open| &open.label) != label.as_ref() {
            // Its own record is missing: the disk was full.
            self.store_open(rows, false)?;
        }
        let Some(label) = label else { return Ok(()) };
        let open = self.open.get_or_insert(Open { label, start: ms, end: ms, sum: 0.0, count: 0, peak: 0.0 });
        open.end = open.end.max(ms);
        open.sum += confidence;
        open.count += 1;
        open.peak = open.peak.max(confidence);
        Ok(())
    }

    fn interval(&mut self, rows: &mut Rows, interval: &IntervalRecord) -> Result<()> {
        let Some(run) = &self.run else { return Ok(()) };
        let IntervalRecord { label, start, end, mean, peak, .. } = interval;
        let Some(row) = run.row(self.id, label, (*start, *end), (*mean, *peak), false) else { return Ok(()) };
        if self.open.as_ref().is_some_and(|open| open.label == *label && open.start >= *start) {
            self.open = None;
        }
        rows.remove_open(run.id, &row)?;
        rows.interval(&row)?;
        for picture in interval.pictures.iter().take(PictureKind::ALL.len()) {
            rows.picture(&row, picture, run.time(picture.ms))?;
        }
        self.reach(row.start, row.start + row.duration);
        Ok(())
    }

    /// Stores the interval that frames show, as one that goes on, or as one that ended without a record of its own.
    fn store_open(&mut self, rows: &mut Rows, goes_on: bool) -> Result<()> {
        let open = if goes_on { self.open.clone() } else { self.open.take() };
        let (Some(run), Some(open)) = (&self.run, open) else { return Ok(()) };
        let mean = open.sum / f64::from(open.count.max(1));
        let row = run.row(self.id, &open.label, (open.start, open.end), (mean, open.peak), goes_on);
        let Some(row) = row else { return Ok(()) };
        if rows.is_known(run.id, &row)? {
            return Ok(());
        }
        rows.interval(&row)?;
        self.reach(row.start, row.start + row.duration);
        Ok(())
    }

    /// Ends the watched stretch, at `end` if that is known.
    fn leave(&mut self, rows: &mut Rows, end: Option<f64>) -> Result<()> {
        let (Some(run), Some((start, last))) = (&self.run, self.watched.take()) else { return Ok(()) };
        let (start, end) = (run.time(start), run.time(end.unwrap_or(last).max(last)));
        rows.watched(run.stream, self.id, start, end)?;
        self.reach(start, end);
        Ok(())
    }

    fn segment(&mut self, rows: &mut Rows, segment: &SegmentRecord) -> Result<()> {
        let SegmentRecord { file, start, .. } = segment;
        // The first record of a segment has no end. Of two files of the same time, the camera's own video counts.
        let (Some(run), Some(end), false) = (&self.run, segment.end, names::is_second(file)) else { return Ok(()) };
        // A journal that names a file elsewhere was not written by livelabel.
        let path = self.folder.join(file);
        let found = std::fs::symlink_metadata(&path).ok().filter(|found| names::is_plain(file) && found.is_file());
        let Some(found) = found else { return Ok(()) };
        let (id, bytes) = (ids::of(&[file]), found.len() as i64);
        let (start, end) = (run.time(*start), run.time(end));
        rows.segment(&SegmentRow { id, file, stream: run.stream, source: self.id, start, end, bytes })
    }

    fn reach(&mut self, start: i64, end: i64) {
        if is_plausible(start, end) {
            let (first, last) = self.range.unwrap_or((start, end));
            self.range = Some((first.min(start), last.max(end)));
        }
    }
}

fn run_time(run: &Option<Run>, ms: f64) -> i64 {
    run.as_ref().map_or(0, |run| run.time(ms))
}

/// Adds a run. Returns its id.
pub fn run(rows: &Rows, stream: i64, started: i64, header: &Header) -> Result<i64> {
    let id = ids::of(&[&stream.to_string(), &header.started]);
    for label in &header.model.labels {
        rows.label(ids::of(&[label]), label)?;
    }
    let labels = serde_json::to_string(&header.model.labels).unwrap_or_default();
    let sql = "INSERT OR IGNORE INTO runs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let (model, action) = (&header.model, &header.action);
    let row = params![id, stream, started, header.input, model.name, model.sha256, labels, action];
    rows.db.prepare_cached(sql)?.execute(row)?;
    Ok(id)
}

pub fn hundred_thousandths(confidence: f64) -> i64 {
    (confidence * 1e5).round() as i64
}
