//! The timeline of a camera: journals that follow each other, by the day or with the videos.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::config::cameras::Record as Plan;
use crate::error::{Error, Result};
use crate::labels::intervals::Interval;
use crate::pipeline::context::{StreamContext, header};
use crate::pipeline::outcome::Outcome;
use crate::pipeline::schedule::{Schedule, stamped};
use crate::pipeline::sinks::open_files::{OpenFile, OpenFiles};
use crate::pipeline::sinks::sink::{Gap, LabeledFrame, Loss, Sink};
use crate::report::journal::{Header, LabelledInterval, Record};
use crate::report::milliseconds;
use crate::report::rotating_journal::RotatingJournal;
use crate::utc;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How the names of journals end.
const JOURNAL: &str = ".timeline.jsonl";

/// Writes a record for what changes, and for one frame a second.
pub struct JournalSink<'a> {
    labels: &'a [String],
    folder: PathBuf,
    stem: String,
    began: Instant,
    journal: RotatingJournal,
    schedule: Schedule,
    files: OpenFiles,
    /// The file that is being written.
    open: OpenFile,
}

impl<'a> JournalSink<'a> {
    /// # Errors
    /// Usage, where the folder cannot be written to.
    pub fn create(context: &StreamContext<'a>, plan: &Plan, began: Instant, files: &OpenFiles) -> Result<Self> {
        if !plan.folder.as_os_str().is_empty() {
            std::fs::create_dir_all(&plan.folder).map_err(|cause| {
                Error::usage(format!("{}: the folder cannot be made", plan.folder.display()))
                    .because(cause)
                    .remedy("choose a folder that can be written to")
            })?;
        }
        let now = utc::now();
        let header = header(context);
        let opened = Header { opened: Some(header.started.clone()), opened_ms: Some(0.0), ..header };
        let path = stamped(&plan.folder, &plan.stem, now, JOURNAL);
        let mut schedule = Schedule::new(plan.segment.unwrap_or(DAY));
        schedule.due(now);
        Ok(Self {
            labels: &context.model.labels,
            folder: plan.folder.clone(),
            stem: plan.stem.clone(),
            began,
            journal: RotatingJournal::create(path.clone(), opened)?,
            schedule,
            files: files.clone(),
            open: files.add(path),
        })
    }

    /// Where the run's summary goes: the first journal is of this run alone, and so is what is called like it.
    pub fn summary_path(&self) -> PathBuf {
        let name = self.journal.path().to_string_lossy();
        format!("{}.summary.json", name.strip_suffix(JOURNAL).unwrap_or(&name)).into()
    }

    /// The start of the run in UTC.
    pub fn started(&self) -> &str {
        self.journal.started()
    }

    fn rotate(&mut self) -> Result<()> {
        let now = utc::now();
        if !self.schedule.due(now) {
            return Ok(());
        }
        let path = stamped(&self.folder, &self.stem, now, JOURNAL);
        self.open = self.files.add(path.clone());
        let opened_ms = milliseconds(self.began.elapsed().as_nanos() as u64);
        self.journal.rotate(path, utc::exact(now), opened_ms)
    }
}

impl Sink for JournalSink<'_> {
    fn frame(&mut self, labeled: &LabeledFrame) -> Result<()> {
        self.rotate()?;
        self.journal.append(labeled.record())
    }

    fn interval(&mut self, interval: &Interval) -> Result<()> {
        self.journal.append(Record::Interval(LabelledInterval::of(interval, self.labels)))
    }

    fn gap(&mut self, gap: &Gap) -> Result<()> {
        let (start, end) = (milliseconds(gap.start), milliseconds(gap.end));
        self.journal.append(Record::Gap { start, end, reason: gap.reason.map(Into::into) })
    }

    fn lost(&mut self, loss: &Loss) -> Result<()> {
        self.journal.append(Record::Lost { ms: milliseconds(loss.at), reason: loss.reason.into() })
    }

    fn consequence(&self) -> &'static str {
        ", but its journal misses records until it can be written again"
    }

    fn finish(mut self: Box<Self>, outcome: &mut Outcome) -> Result<()> {
        outcome.wall = outcome.began.elapsed();
        self.journal.append(outcome.record(None))
    }
}
