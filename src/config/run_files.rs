//! The files of a whole run: the table of intervals, and the file of events. None may be another file of the run.

use std::path::{Path, PathBuf};

use crate::config::events::{EventsConfig, JsonLines};
use crate::config::inputs::{Job, canonical};
use crate::config::options::RunOptions;
use crate::error::{Error, Result};

/// Files with the results of all inputs; `None` for one that is not written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunFiles {
    pub csv: Option<PathBuf>,
}

impl RunFiles {
    /// # Errors
    /// Usage, if a name has another extension, or is that of an input or of another output.
    pub fn resolve(options: &RunOptions, jobs: &[Job], events: &EventsConfig) -> Result<Self> {
        let files = Self { csv: options.csv.clone() };
        if let Some(csv) = &files.csv {
            check_extension("csv", csv, "csv")?;
            check_distinct("csv", csv, jobs)?;
            if let Some(JsonLines::File(path)) = &events.lines
                && canonical(path) == canonical(csv)
            {
                return Err(another("csv", csv));
            }
        }
        Ok(files)
    }

    /// Returns the files of the run.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        self.csv.as_deref().into_iter()
    }
}

/// Rejects an event file that is also another file of the run: appending events would corrupt it.
pub fn check_events(events: &EventsConfig, jobs: &[Job]) -> Result<()> {
    match &events.lines {
        Some(JsonLines::File(path)) => check_distinct("events", path, jobs),
        _ => Ok(()),
    }
}

/// Rejects a file that an input reads or writes.
fn check_distinct(option: &str, path: &Path, jobs: &[Job]) -> Result<()> {
    let path_of_run = canonical(path);
    let own = |job: &Job| {
        let files = job.outputs.all().chain([job.input.as_path()]);
        let recorded = job.live.as_ref().and_then(|live| live.recording.file.as_deref());
        files.chain(recorded).any(|file| canonical(file) == path_of_run)
    };
    if jobs.iter().any(own) { Err(another(option, path)) } else { Ok(()) }
}

fn another(option: &str, path: &Path) -> Error {
    Error::usage(format!("{option} {}: is another file of this run", path.display())).remedy("write to another name")
}

fn check_extension(option: &str, path: &Path, extension: &str) -> Result<()> {
    if path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension)) {
        return Ok(());
    }
    Err(Error::usage(format!("{option} {}: unknown format", path.display()))
        .remedy(format!("end its name in .{extension}")))
}
