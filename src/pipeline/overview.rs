//! The clips of a run in its overview: what a stream collects, and the row when it has ended.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::config::inputs::Job;
use crate::error::{Error, Result};
use crate::pipeline::outcome::Outcome;
use crate::report::overview::{Clip, End, Files, Overview};
use crate::report::timeline_reader;
use crate::system::folders;

/// A clip of the overview while it runs.
pub struct OverviewClip<'a> {
    overview: &'a Overview,
    /// Its place among the rows.
    number: usize,
    job: &'a Job,
    labels: &'a [String],
    /// What its stream found, when that has ended.
    found: Mutex<Option<Clip>>,
}

impl<'a> OverviewClip<'a> {
    pub fn new(overview: &'a Overview, number: usize, job: &'a Job, labels: &'a [String]) -> Self {
        Self { overview, number, job, labels, found: Mutex::new(None) }
    }

    /// Returns the number of thumbnails that the clip may have.
    pub fn thumbnails(&self) -> usize {
        self.overview.thumbnails()
    }

    pub fn labels(&self) -> &'a [String] {
        self.labels
    }

    /// Takes what the stream found.
    pub fn hand_over(&self, clip: Clip) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(clip);
    }

    /// Adds the row of the clip, whose stream has ended.
    pub fn ended(&self, result: Result<&Outcome, &Error>) {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).take();
        let clip = found.unwrap_or_else(|| Clip::new(self.labels));
        let error = result.as_ref().map_or_else(|error| Some(*error), |outcome| outcome.error.as_ref());
        let error = error.map(Error::to_string);
        let end = match (&error, &result) {
            (Some(error), _) => End::Failed(error),
            (None, Ok(outcome)) if outcome.interrupted => End::Stopped,
            _ => End::Done,
        };
        self.overview.add(self.number, &clip, &self.files(), &end, &self.started());
    }

    /// Adds the row of a clip that an earlier run labelled. `duration` is that of its timeline, in milliseconds.
    pub fn labelled_earlier(&self, mut clip: Clip, duration: f64) {
        clip.duration = duration.max(clip.duration);
        self.overview.add_earlier(self.number, &clip, &self.files(), &self.started());
    }

    /// Returns when the run began that wrote the clip's timeline; empty without one.
    fn started(&self) -> String {
        let head = self.job.outputs.timeline.as_deref().and_then(|path| timeline_reader::head(path).ok());
        let started = head.as_ref().and_then(|head| head.get("started")?.as_str());
        started.unwrap_or_default().into()
    }

    fn files(&self) -> Files<'a> {
        let outputs = &self.job.outputs;
        let video = outputs.video.as_ref().map(|(path, _)| path);
        let made =
            [("labelled video", video), ("plot", outputs.plot.as_ref()), ("timeline", outputs.timeline.as_ref())];
        let made =
            made.into_iter().filter_map(|(what, path)| Some((what, absolute(path.filter(|path| path.exists())?))));
        Files { name: &self.job.name, clip: absolute(&self.job.input), made: made.collect() }
    }
}

/// Returns the absolute path, with links of its folder resolved.
fn absolute(path: &Path) -> PathBuf {
    let folder = folders::of(path);
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()),
    }
}
