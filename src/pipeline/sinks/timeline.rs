//! What a clip leaves to read: the journal while it goes, and from it timeline, plot and subtitles at its end.

use std::fs::{self, File};
use std::path::Path;

use crate::error::{Error, Result};
use crate::jobs::Outputs;
use crate::labels::intervals::Interval;
use crate::media::source::Facts;
use crate::pipeline::disk_space::DiskSpace;
use crate::pipeline::sinks::{Gap, LabeledFrame, Sink};
use crate::pipeline::{Outcome, StreamContext, header};
use crate::report::journal::{self, AutoStride, Journal, LabelledInterval, Record};
use crate::report::{claim, milliseconds, plot, remove_empty, subtitles, timeline};

/// Writes a record a frame.
pub struct TimelineSink<'a> {
    outputs: &'a Outputs,
    labels: &'a [String],
    journal: Journal,
    /// Held so that no other run writes to the plot or the subtitles. The journal's own is the timeline's too.
    claims: Vec<(&'a Path, File)>,
    space: Vec<DiskSpace>,
    frames: u64,
}

impl<'a> TimelineSink<'a> {
    /// # Errors
    /// Usage, where one of the clip's files could not be written; failed, where the disk is full.
    pub fn create(context: &StreamContext<'a>, facts: &Facts) -> Result<Self> {
        let outputs = &context.job.outputs;
        for path in outputs.files().chain([outputs.journal.as_path()]) {
            make_folder(path)?;
            check_writable(path)?;
        }
        let folders = outputs.files().chain([outputs.journal.as_path()]).filter_map(Path::parent);
        let pixels = facts.layout.width * facts.layout.height;
        let mut space: Vec<DiskSpace> = Vec::new();
        for folder in folders {
            if space.iter().all(|space| !space.watches(folder)) {
                space.push(DiskSpace::new(folder, pixels));
            }
        }
        space.iter_mut().try_for_each(|space| space.check(0, 0))?;
        let journal = Journal::create(&outputs.journal, header(context))?;
        let labels = &context.model.labels;
        let mut sink = Self { outputs, labels, journal, claims: Vec::new(), space, frames: 0 };
        for path in [&outputs.plot, &outputs.subtitles].into_iter().flatten() {
            match claim(path) {
                Ok(file) => sink.claims.push((path, file)),
                Err(error) => {
                    sink.discard();
                    return Err(error);
                }
            }
        }
        Ok(sink)
    }

    /// Removes the files, into which nothing came.
    pub fn discard(self) {
        let _ = fs::remove_file(&self.outputs.journal);
        self.remove_empty();
    }

    fn remove_empty(&self) {
        self.claims.iter().for_each(|(path, claim)| remove_empty(claim, path));
    }
}

impl Sink for TimelineSink<'_> {
    fn frame(&mut self, labeled: &LabeledFrame) -> Result<()> {
        self.frames += 1;
        let (frames, bytes) = (self.frames, self.journal.bytes());
        self.space.iter_mut().try_for_each(|space| space.check(frames, bytes))?;
        self.journal.append(&labeled.record())
    }

    fn interval(&mut self, interval: &Interval) -> Result<()> {
        self.journal.append(&Record::Interval(LabelledInterval::of(interval, self.labels)))
    }

    fn gap(&mut self, gap: &Gap) -> Result<()> {
        self.journal.append(&Record::Gap { start: milliseconds(gap.start), end: milliseconds(gap.end), reason: None })
    }

    fn finish(mut self: Box<Self>, outcome: &mut Outcome) -> Result<()> {
        // Every other file is closed by now.
        outcome.wall = outcome.began.elapsed();
        let end = outcome.record(outcome.stride.map(|(stride, agreement)| AutoStride { stride, agreement }));
        let ended = self.journal.append(&end);
        let Outputs { timeline, plot, subtitles, journal: source, .. } = self.outputs;
        type Report = fn(&Path, &Path) -> Result<()>;
        let reports = [
            (timeline, timeline::write as Report),
            (subtitles, subtitles::write as Report),
            (plot, plot::write as Report),
        ];
        let mut result = ended;
        for (path, write) in reports {
            let Some(path) = path else { continue };
            let written = write(source, path);
            if written.is_ok() {
                outcome.files.push(path.clone());
            }
            result = result.and(written);
        }
        // What could not be written after all.
        self.remove_empty();
        if result.is_ok() && journal::is_whole(source)? {
            // The timeline holds all of it. Left behind, the journal would only do no harm.
            let _ = fs::remove_file(source);
        }
        result
    }
}

/// Refuses a file that could not be written, before any work is done for it.
fn check_writable(path: &Path) -> Result<()> {
    let existed = path.exists();
    fs::OpenOptions::new().append(true).create(true).open(path).map_err(|cause| {
        Error::usage(format!("{}: cannot be written", path.display()))
            .because(cause)
            .remedy("choose a folder that can be written to")
    })?;
    if !existed {
        let _ = fs::remove_file(path);
    }
    Ok(())
}

fn make_folder(path: &Path) -> Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    fs::create_dir_all(folder).map_err(|cause| {
        Error::usage(format!("{}: the folder cannot be made", folder.display()))
            .because(cause)
            .remedy("choose a folder that can be written to")
    })
}
