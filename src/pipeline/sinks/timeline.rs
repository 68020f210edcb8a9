//! The result files of a clip: the journal during the run, and from it timeline, plot and subtitles at the end.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use crate::config::inputs::Outputs;
use crate::error::Result;
use crate::labels::intervals::Interval;
use crate::pipeline::context::{StreamContext, header};
use crate::pipeline::outcome::Outcome;
use crate::pipeline::sinks::sink::{Gap, LabeledFrame, Sink};
use crate::report::journal::{self, IntervalRecord, Journal, Record};
use crate::report::{LockedFile, lock_output, milliseconds, plot, remove_empty, subtitles, timeline};

/// Writes a record for each frame.
pub struct TimelineSink<'a> {
    outputs: &'a Outputs,
    path: &'a Path,
    labels: &'a [String],
    journal: Journal,
    /// Locks that keep other runs from writing the plot and the subtitles. The journal's lock also covers the timeline.
    locks: Vec<(&'a Path, LockedFile)>,
    /// Bytes of the journal so far, for the check of the disk.
    written: Rc<Cell<u64>>,
}

impl<'a> TimelineSink<'a> {
    /// Creates the journal and locks the other files; returns nothing if no file is made from the journal.
    ///
    /// # Errors
    /// Returns a usage error if another run writes one of the files, and a failure if the journal cannot be written.
    pub fn create(context: &StreamContext<'a>, written: Rc<Cell<u64>>) -> Result<Option<Self>> {
        let outputs = &context.job.outputs;
        let Some(path) = outputs.journal.as_deref() else { return Ok(None) };
        let journal = Journal::create(path, header(context))?;
        let labels = &context.model.labels;
        let mut sink = Self { outputs, path, labels, journal, locks: Vec::new(), written };
        for path in [&outputs.plot, &outputs.subtitles].into_iter().flatten() {
            match lock_output(path) {
                Ok(file) => sink.locks.push((path, file)),
                Err(error) => {
                    sink.discard();
                    return Err(error);
                }
            }
        }
        Ok(Some(sink))
    }

    /// Removes the files, which hold no results.
    pub fn discard(self) {
        let _ = fs::remove_file(self.path);
        self.remove_empty();
    }

    fn remove_empty(&self) {
        self.locks.iter().for_each(|(path, lock)| remove_empty(lock, path));
    }
}

impl Sink for TimelineSink<'_> {
    fn frame(&mut self, labeled: &LabeledFrame) -> Result<()> {
        self.journal.append(&labeled.clip_record())?;
        self.written.set(self.journal.bytes());
        Ok(())
    }

    fn interval(&mut self, interval: &Interval) -> Result<()> {
        self.journal.append(&Record::Interval(IntervalRecord::of(interval, self.labels)))
    }

    fn gap(&mut self, gap: &Gap) -> Result<()> {
        self.journal.append(&Record::Gap { start: milliseconds(gap.start), end: milliseconds(gap.end), reason: None })
    }

    fn finish(mut self: Box<Self>, outcome: &mut Outcome) -> Result<()> {
        let end = outcome.record();
        let mut result = self.journal.append(&end);
        let Outputs { timeline, plot, subtitles, .. } = self.outputs;
        let source = self.path;
        type Report<'r> = &'r dyn Fn(&Path) -> Result<()>;
        // The timeline comes last: for `--resume` it says that the clip is complete.
        let reports: [(_, Report); 3] = [
            (subtitles, &|path| subtitles::write(source, path)),
            (plot, &|path| plot::write(source, path)),
            (timeline, &|path| timeline::write(source, &end, path)),
        ];
        let first = outcome.files.len();
        for (path, write) in reports {
            let Some(path) = path else { continue };
            let written = write(path);
            if written.is_ok() {
                // It is listed first.
                let place = if Some(path) == timeline.as_ref() { first } else { outcome.files.len() };
                outcome.files.insert(place, path.clone());
            }
            result = result.and(written);
        }
        // Remove the files of failed reports.
        self.remove_empty();
        if result.is_ok() && journal::is_whole(source)? {
            // The timeline holds all of the journal. If removing it fails, that does no harm.
            let _ = fs::remove_file(source);
        }
        result
    }
}
