//! The journals of a camera: a new one each day, or with each segment; and the pictures of intervals beside them.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::config::cameras::RecordingConfig;
use crate::error::{Error, Result};
use crate::labels::intervals::Interval;
use crate::pipeline::context::{StreamContext, header, header_of};
use crate::pipeline::outcome::Outcome;
use crate::pipeline::schedule::{RotationSchedule, stamped};
use crate::pipeline::sinks::flusher::Flusher;
use crate::pipeline::sinks::interval_pictures::IntervalPictures;
use crate::pipeline::sinks::open_files::{OpenFile, OpenFiles};
use crate::pipeline::sinks::sink::{Gap, LabeledFrame, Loss, NewSettings, Sink};
use crate::report::journal::{Header, IntervalRecord, Record, SUFFIX as JOURNAL, SegmentRecord};
use crate::report::rotating_journal::RotatingJournal;
use crate::report::{last_run, milliseconds};
use crate::system::clock::SharedClock;
use crate::system::utc;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Writes a record for each change, and for one frame a second.
pub struct JournalSink<'a> {
    labels: &'a [String],
    clock: &'a SharedClock,
    folder: PathBuf,
    stem: String,
    began: Instant,
    journal: RotatingJournal,
    schedule: RotationSchedule,
    files: OpenFiles,
    /// The current file.
    open: OpenFile,
    /// Kept where no video is.
    pictures: Option<IntervalPictures>,
    flusher: Rc<Flusher>,
}

impl<'a> JournalSink<'a> {
    /// Creates the first journal.
    ///
    /// # Errors
    /// Returns an error if the folder or the journal cannot be written.
    pub fn create(
        context: &StreamContext<'a>,
        recording: &RecordingConfig,
        began: Instant,
        files: &OpenFiles,
        flusher: &Rc<Flusher>,
    ) -> Result<Self> {
        if !recording.folder.as_os_str().is_empty() {
            std::fs::create_dir_all(&recording.folder).map_err(|cause| {
                Error::usage(format!("{}: the folder cannot be created", recording.folder.display()))
                    .because(cause)
                    .remedy("choose a writable folder")
            })?;
        }
        // Before this run has a journal.
        if let Some(found) = last_run::unfinished(&recording.folder, &recording.stem) {
            tracing::warn!("{}: {found}", context.job.name);
        }
        let now = context.clock.utc();
        let header = header(context);
        let opened = Header { opened: Some(header.started.clone()), opened_ms: Some(0.0), ..header };
        let path = stamped(&recording.folder, &recording.stem, now, JOURNAL);
        let mut schedule = RotationSchedule::new(recording.segment.unwrap_or(DAY));
        schedule.due(now);
        let sink = Self {
            labels: &context.model.labels,
            clock: context.clock,
            folder: recording.folder.clone(),
            stem: recording.stem.clone(),
            began,
            journal: RotatingJournal::create(path.clone(), opened)?,
            schedule,
            files: files.clone(),
            open: files.add(path),
            pictures: recording.pictures.then(|| IntervalPictures::new(&context.job.name, files, context.clock)),
            flusher: Rc::clone(flusher),
        };
        sink.flush();
        Ok(sink)
    }

    /// Returns the path of the run's summary. It is unique, since the first journal's name is.
    pub fn summary_path(&self) -> PathBuf {
        let name = self.journal.path().to_string_lossy();
        format!("{}.summary.json", name.strip_suffix(JOURNAL).unwrap_or(&name)).into()
    }

    /// Returns the start of the run in UTC.
    pub fn started(&self) -> &str {
        self.journal.started()
    }

    fn rotate(&mut self) -> Result<()> {
        let now = self.clock.utc();
        if !self.schedule.due(now) {
            return Ok(());
        }
        let path = stamped(&self.folder, &self.stem, now, JOURNAL);
        self.flush();
        self.open = self.files.add(path.clone());
        if let Some(pictures) = &mut self.pictures {
            pictures.rotate();
        }
        let opened_ms = milliseconds(self.clock.since(self.began).as_nanos() as u64);
        let rotated = self.journal.rotate(path, utc::exact(now), opened_ms);
        self.flush();
        rotated
    }

    /// Appends a record that must not be lost.
    fn append(&mut self, record: Record) -> Result<()> {
        let appended = self.journal.append(record);
        self.flush();
        appended
    }

    /// Has the disk keep what was written, the pictures before the records that name them.
    fn flush(&self) {
        let pictures = self.pictures.as_ref().and_then(IntervalPictures::path).map(Path::to_path_buf);
        self.flusher.flush(pictures.into_iter().chain([self.journal.path().to_path_buf()]));
    }
}

impl Sink for JournalSink<'_> {
    fn frame(&mut self, labeled: &LabeledFrame) -> Result<()> {
        if let Some(pictures) = &mut self.pictures {
            pictures.frame(labeled);
        }
        self.rotate()?;
        self.journal.append(labeled.record())
    }

    fn interval(&mut self, interval: &Interval) -> Result<()> {
        // Before the record that says where they are, so that none is said to be where there is none.
        let pictures = self.pictures.as_mut().map(|pictures| pictures.close(interval, self.journal.path()));
        let record = IntervalRecord::of(interval, self.labels);
        self.append(Record::Interval(IntervalRecord { pictures: pictures.unwrap_or_default(), ..record }))
    }

    fn gap(&mut self, gap: &Gap) -> Result<()> {
        let (start, end) = (milliseconds(gap.start), milliseconds(gap.end));
        self.append(Record::Gap { start, end, reason: gap.reason.map(Into::into) })
    }

    fn lost(&mut self, loss: &Loss) -> Result<()> {
        self.append(Record::Lost { ms: milliseconds(loss.at), reason: loss.reason.into() })
    }

    fn segment(&mut self, segment: &SegmentRecord) -> Result<()> {
        self.append(Record::Segment(segment.clone()))
    }

    fn settings(&mut self, settings: &NewSettings) -> Result<()> {
        let now = self.clock.utc();
        let header = header_of(settings.job, settings.model, settings.engine.device.clone(), now);
        let changed = self.journal.change(header, milliseconds(settings.at), utc::exact(now));
        self.flush();
        changed
    }

    fn failure_note(&self) -> &'static str {
        ", but records are missing in its journal until it can be written again"
    }

    fn finish(mut self: Box<Self>, outcome: &mut Outcome) -> Result<()> {
        self.append(outcome.record())
    }
}
