//! The files of a whole run: the table of intervals, the overview, and the file of events. None may be another file of the run.

use std::path::{Path, PathBuf};

use crate::config::events::{EventsConfig, JsonLines};
use crate::config::inputs::{Inputs, canonical, check_extension};
use crate::config::options::FileKind;
use crate::config::settings::Settings;
use crate::error::{Error, Result};

/// Name of the overview that is written unasked.
const OVERVIEW: &str = "overview";

/// Files with the results of all inputs; `None` for one that is not written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunFiles {
    pub csv: Option<PathBuf>,
    pub overview: Option<PathBuf>,
}

impl RunFiles {
    /// # Errors
    /// Usage, if a name has another extension, or is that of an input or of another output; if an overview is wanted of
    /// cameras, or `--resume` without timelines.
    pub fn resolve(settings: &Settings, inputs: &Inputs, events: &EventsConfig) -> Result<Self> {
        let options = &settings.run;
        if options.resume == Some(true)
            && let Some(job) = inputs.jobs.iter().find(|job| job.live.is_none() && job.outputs.timeline.is_none())
        {
            return Err(Error::usage(format!(
                "{}: --resume needs its timeline, which says what is complete",
                job.name
            ))
            .remedy("add timeline to --only"));
        }
        let clips = inputs.jobs.iter().filter(|job| job.live.is_none()).count();
        if options.overview.is_some() && clips == 0 && options.shard.is_none() {
            return Err(Error::usage("an overview is of clips, and this run has none").remedy("leave out --overview"));
        }
        // Each shard has files of its own.
        let own = |path: &Option<PathBuf>| {
            path.as_ref().map(|path| options.shard.map_or(path.clone(), |shard| shard.path(path)))
        };
        let overview = own(&options.overview).or_else(|| overview_by_default(settings, clips));
        let files = Self { csv: own(&options.csv), overview };
        let mut others: Vec<PathBuf> = match &events.lines {
            Some(JsonLines::File(path)) => vec![canonical(path)],
            _ => Vec::new(),
        };
        for (option, extension, path) in [("csv", "csv", &files.csv), ("overview", "html", &files.overview)] {
            let Some(path) = path else { continue };
            check_extension(Some(path), &[extension], option)?;
            check_distinct(option, path, inputs)?;
            let path_of_run = canonical(path);
            if others.contains(&path_of_run) {
                return Err(another(option, path));
            }
            others.push(path_of_run);
        }
        Ok(files)
    }

    /// Returns the files of the run.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        [&self.csv, &self.overview].into_iter().flatten().map(PathBuf::as_path)
    }
}

/// Several clips whose files go to a folder of their own get an overview there. Since nobody asked for it, it does not stand in
/// the way of a second run into the same folder: its name gets a number.
fn overview_by_default(settings: &Settings, clips: usize) -> Option<PathBuf> {
    let (options, run) = (&settings.streams, &settings.run);
    let wanted = match &options.only {
        Some(only) => clips > 1 && only.contains(&FileKind::Overview),
        None => clips > 1 && options.output_dir.is_some(),
    };
    let folder = options.output_dir.clone().unwrap_or_default();
    let replaced = run.force == Some(true) || run.resume == Some(true);
    let numbered = (2..).map(|number| folder.join(format!("{OVERVIEW}-{number}.html")));
    let names = std::iter::once(folder.join(format!("{OVERVIEW}.html"))).chain(numbered);
    let mut names = names.map(|path| run.shard.map_or(path.clone(), |shard| shard.path(&path)));
    names.find(|path| replaced || !path.exists()).filter(|_| wanted)
}

/// Rejects an event file that is also another file of the run: appending events would corrupt it.
pub fn check_events(events: &EventsConfig, inputs: &Inputs) -> Result<()> {
    match &events.lines {
        Some(JsonLines::File(path)) => check_distinct("events", path, inputs),
        _ => Ok(()),
    }
}

/// Rejects a file that an input reads or writes.
fn check_distinct(option: &str, path: &Path, inputs: &Inputs) -> Result<()> {
    let path_of_run = canonical(path);
    let mut others = inputs.files().chain(inputs.outputs()).chain(inputs.recordings());
    if others.any(|file| canonical(file) == path_of_run) { Err(another(option, path)) } else { Ok(()) }
}

fn another(option: &str, path: &Path) -> Error {
    Error::usage(format!("{option} {}: is another file of this run", path.display())).remedy("write to another name")
}
