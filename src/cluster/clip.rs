//! Labels the clip of a job.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cluster::job::{ClipJob, JobId};
use crate::cluster::own_process;
use crate::cluster::part::{self, Part};
use crate::config::Config;
use crate::config::inputs::Job;
use crate::config::options::StreamOptions;
use crate::config::settings::Settings;
use crate::error::{Error, ErrorKind, Result};
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::pipeline::{single_clip, stream};
use crate::shutdown::Shutdown;
use crate::system::clock::SharedClock;
use crate::telemetry::StreamState;

/// What a worker labels clips with.
pub struct Labelling {
    pub model: Arc<Model>,
    pub engine: Arc<Engine>,
    pub clock: SharedClock,
    /// Where results are.
    pub output: PathBuf,
    /// Folders that clips may be in; none for all.
    pub inputs: Vec<PathBuf>,
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
    /// Into this folder.
    Complete(Part, Labelled),
    /// By request.
    Interrupted,
    /// For a reason that is not the clip's: this machine lacks something.
    Unable(Error),
    Failed(Error),
}

impl Labelling {
    /// Returns the job as a worker does it: with all files in `folder`.
    ///
    /// # Errors
    /// Usage or input, if the settings contradict each other, or the clip is none that this worker may read.
    pub fn resolve(job: &ClipJob, folder: &Path) -> Result<Job> {
        let input = job.path();
        let streams =
            StreamOptions { input: vec![input.clone()], output_dir: Some(folder.into()), ..job.settings.clone() };
        let config = Config::resolve(Settings { streams, ..Settings::default() })?;
        let not_clip = || Error::usage(format!("{}: is not a clip", job.input));
        let job = config.jobs.into_iter().next().filter(|job| job.live.is_none()).ok_or_else(not_clip)?;
        // A name in a message must not lead out of the folder.
        let written = job.outputs.all().all(|path| path.parent() == Some(folder));
        if written {
            Ok(job)
        } else {
            Err(Error::usage("a job names its own files").remedy("leave --output and the like out"))
        }
    }

    /// Says why this worker cannot read a clip, if it cannot. Another one may.
    pub fn unreadable(&self, job: &ClipJob) -> Option<Error> {
        let path = job.path();
        let missing = |cause: io::Error| {
            Error::input(format!("{}: cannot be opened", job.input))
                .because(cause)
                .remedy("mount the same storage on each worker")
        };
        // What a link leads to decides.
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(cause) => return Some(missing(cause)),
        };
        let allowed = self.inputs.is_empty() || self.inputs.iter().any(|folder| real.starts_with(folder));
        if allowed {
            return fs::File::open(&real).err().map(missing);
        }
        Some(
            Error::input(format!("{}: is in none of this worker's folders", job.input))
                .remedy("name its folder with --inputs"),
        )
    }

    /// Returns where the results of a job are.
    pub fn place(&self, id: &JobId) -> PathBuf {
        self.output.join(id.as_str())
    }

    /// Returns the files of a job that another worker completed, if one did.
    pub fn earlier(&self, id: &JobId) -> Option<Labelled> {
        let files = part::names(&self.place(id)).ok()?;
        Some(Labelled { files, ..Labelled::default() })
    }

    /// Returns the state of a job's stream, and where it is labelled.
    pub fn begin(&self, job: &ClipJob) -> Result<(Part, Arc<StreamState>, Job)> {
        let part = Part::create(&self.output, &job.id)?;
        let resolved = Self::resolve(job, &part.folder)?;
        let state = stream::state(&resolved, &self.model, false, &self.clock);
        Ok((part, state, resolved))
    }

    /// Labels a clip. Blocks.
    pub fn label(
        &self,
        job: &ClipJob,
        work: (Part, Arc<StreamState>, Job),
        process: Process,
        shutdown: &Shutdown,
    ) -> Ended {
        let (part, state, resolved) = work;
        let labelled = match process {
            Process::This => self.label_here(&resolved, &state, shutdown),
            Process::Own => {
                let device = self.engine.device().to_string();
                let labelled = own_process::label(job, &part.folder, &self.model.path, &device, shutdown);
                labelled.map(|complete| complete.then(Labelled::default))
            }
        };
        match labelled
            .and_then(|labelled| labelled.map(|labelled| Ok(Labelled { files: part.files()?, ..labelled })).transpose())
        {
            Ok(Some(labelled)) => Ended::Complete(part, labelled),
            Ok(None) => Ended::Interrupted,
            Err(_) if shutdown.requested() => Ended::Interrupted,
            Err(error) if !part::is_writable(&self.output) => Ended::Unable(error),
            Err(error) if error.kind() == ErrorKind::Unavailable => Ended::Unable(error),
            Err(error) => {
                part.keep_failed(&self.place(&job.id));
                Ended::Failed(error)
            }
        }
    }

    fn label_here(&self, job: &Job, state: &Arc<StreamState>, shutdown: &Shutdown) -> Result<Option<Labelled>> {
        let outcome = single_clip::label(job, &self.model, &self.engine, state, &self.clock, shutdown)?;
        Ok((!outcome.interrupted).then(|| Labelled {
            files: Vec::new(),
            intervals: Some(outcome.intervals),
            duration_ms: Some(outcome.position as f64 / 1e6),
        }))
    }
}
