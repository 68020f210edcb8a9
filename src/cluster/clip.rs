//! Labels the clip of a job.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::cluster::job::{ClipJob, JobId};
use crate::cluster::own_process::OwnProcess;
use crate::cluster::part::{self, Part};
use crate::config::Config;
use crate::config::inputs::Job;
use crate::config::options::StreamOptions;
use crate::config::settings::Settings;
use crate::error::{Error, ErrorKind, Result};
use crate::inference::engine::Engine;
use crate::inference::inference_precision::InferencePrecision;
use crate::inference::model::Model;
use crate::pipeline::{single_clip, stream};
use crate::shutdown::Shutdown;
use crate::system::clock::SharedClock;
use crate::telemetry::StreamState;

/// What a worker labels clips with.
pub struct Labelling {
    pub model: Arc<Model>,
    pub engine: Arc<Engine>,
    pub precision: InferencePrecision,
    pub clock: SharedClock,
    /// Where results are.
    pub output: PathBuf,
    /// Folders that clips may be in; none for all.
    pub inputs: Vec<PathBuf>,
    /// Environment variables that no other process needs: those with the user and password of NATS.
    pub secrets: Vec<String>,
}

/// A clip that is labelled, with files in their place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labelled {
    pub files: Vec<String>,
    pub intervals: Option<u64>,
    pub duration_ms: Option<f64>,
}

/// Where a clip is labelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    This,
    /// One of its own, for a clip that may have ended a worker.
    Own,
}

/// How labelling ended.
pub enum Ended {
    Complete(Part, Labelled),
    /// The results are in their place already: another worker has completed them.
    Before(Labelled),
    /// By request.
    Interrupted,
    /// This worker cannot read the clip. Another one may.
    Unreadable(Error),
    /// For a reason that is not the clip's: this machine lacks something.
    Unable(Error),
    Failed(Error),
}

impl Labelling {
    /// Returns the job as a worker does it: with all files in `folder`.
    ///
    /// # Errors
    /// Usage or input, if the settings contradict each other, or it is no clip.
    pub fn resolve(job: &ClipJob, folder: &Path) -> Result<Job> {
        let streams =
            StreamOptions { input: vec![job.path()], output_dir: Some(folder.into()), ..job.settings.clone() };
        let config = Config::resolve(Settings { streams, ..Settings::default() })?;
        let not_clip = || Error::usage(format!("{}: is not a clip", job.input));
        let job = config.jobs.into_iter().next().filter(|job| job.live.is_none()).ok_or_else(not_clip)?;
        // A name in a message must not lead out of the folder.
        let within = job.outputs.all().all(|path| path.parent() == Some(folder));
        match within {
            true => Ok(job),
            false => Err(Error::usage("a job names its own files").remedy("leave --output and the like out")),
        }
    }

    /// Returns the files of a job that are in their place, if they are.
    pub fn earlier(&self, id: &JobId) -> Option<Labelled> {
        let files = part::names(&part::place(&self.output, id)).ok()?;
        Some(Labelled { files, ..Labelled::default() })
    }

    /// Labels a clip. Blocks. `state` gets what shows how far it is.
    pub fn label(
        &self,
        job: &ClipJob,
        process: Process,
        state: &OnceLock<Arc<StreamState>>,
        shutdown: &Shutdown,
    ) -> Ended {
        if let Some(labelled) = self.earlier(&job.id).filter(|_| !job.again) {
            return Ended::Before(labelled);
        }
        if let Err(error) = self.check_readable(job) {
            return Ended::Unreadable(error);
        }
        let part = match Part::create(&self.output, &job.id) {
            Ok(part) => part,
            Err(error) => return Ended::Unable(error),
        };
        let labelled = match process {
            Process::This => self.label_here(job, &part, state, shutdown),
            Process::Own => self.label_apart(job, &part, shutdown),
        };
        let labelled =
            labelled.and_then(|done| done.map(|done| Ok(Labelled { files: part.files()?, ..done })).transpose());
        match labelled {
            Ok(Some(labelled)) => Ended::Complete(part, labelled),
            Ok(None) => Ended::Interrupted,
            Err(_) if shutdown.requested() => Ended::Interrupted,
            Err(error) if error.kind() == ErrorKind::Unavailable || part::check_writable(&self.output).is_err() => {
                Ended::Unable(error)
            }
            Err(error) => {
                part.keep_failed(&self.output, &job.id);
                Ended::Failed(error)
            }
        }
    }

    /// Rejects a clip that this worker cannot, or may not, read.
    fn check_readable(&self, job: &ClipJob) -> Result<()> {
        let unreadable = |cause: io::Error| {
            Error::input(format!("{}: cannot be opened", job.input))
                .because(cause)
                .remedy("mount the same storage on each worker")
        };
        // What a link leads to decides.
        let real = job.path().canonicalize().map_err(unreadable)?;
        if !self.inputs.is_empty() && !self.inputs.iter().any(|folder| real.starts_with(folder)) {
            return Err(Error::input(format!("{}: is in none of this worker's folders", job.input))
                .remedy("name its folder with --inputs"));
        }
        // A pipe would wait for somebody who writes into it.
        let not_file = || io::Error::other("it is not a regular file");
        let checked = match fs::metadata(&real).map_err(unreadable)?.is_file() {
            true => OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&real).map(drop),
            false => Err(not_file()),
        };
        checked.map_err(unreadable)
    }

    fn label_here(
        &self,
        job: &ClipJob,
        part: &Part,
        state: &OnceLock<Arc<StreamState>>,
        shutdown: &Shutdown,
    ) -> Result<Option<Labelled>> {
        let job = Self::resolve(job, &part.folder)?;
        let state = state.get_or_init(|| stream::state(&job, &self.model, false, &self.clock));
        let outcome = single_clip::label(&job, &self.model, &self.engine, state, &self.clock, shutdown)?;
        Ok((!outcome.interrupted).then(|| Labelled {
            files: Vec::new(),
            intervals: Some(outcome.intervals),
            duration_ms: Some(outcome.position as f64 / 1e6),
        }))
    }

    fn label_apart(&self, job: &ClipJob, part: &Part, shutdown: &Shutdown) -> Result<Option<Labelled>> {
        let device = self.engine.device().to_string();
        let (model, precision) = (self.model.path.as_path(), self.precision);
        let process = OwnProcess { model, device: &device, precision, secrets: &self.secrets };
        let complete = process.label(job, &part.folder, shutdown)?;
        Ok(complete.then(Labelled::default))
    }
}
