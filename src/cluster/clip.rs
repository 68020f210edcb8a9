//! Labels the clip of a job.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use clap::ValueEnum;

use crate::cluster::clip_address::ClipAddress;
use crate::cluster::job::{ClipJob, ClipPlace, JobId};
use crate::cluster::own_process::OwnProcess;
use crate::cluster::part::{self, Part};
use crate::cluster::web_clip::{self, NotCopied};
use crate::config::Config;
use crate::config::camera_credentials::CameraCredentials;
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
use crate::system::printable;
use crate::telemetry::StreamState;

/// Where the files of clips go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ResultsPlace {
    /// A folder that all workers share
    #[default]
    Folder,
    /// JetStream's object store
    Nats,
}

/// Which clips a worker may read; all if both are empty.
#[derive(Clone, Debug, Default)]
pub struct AllowedClips {
    /// Folders that they may be in.
    pub folders: Vec<PathBuf>,
    /// Addresses that they may be below.
    pub addresses: Vec<ClipAddress>,
}

impl AllowedClips {
    pub fn is_limited(&self) -> bool {
        !self.folders.is_empty() || !self.addresses.is_empty()
    }

    fn has_file(&self, real: &Path) -> bool {
        !self.is_limited() || self.folders.iter().any(|folder| real.starts_with(folder))
    }

    fn has_address(&self, address: &ClipAddress) -> bool {
        !self.is_limited() || self.addresses.iter().any(|allowed| address.is_within(allowed))
    }
}

/// What a worker labels clips with.
pub struct Labelling {
    pub model: Arc<Model>,
    pub engine: Arc<Engine>,
    pub precision: InferencePrecision,
    pub clock: SharedClock,
    /// Where results are, or where they are made for another place.
    pub output: PathBuf,
    pub results: ResultsPlace,
    pub allowed: AllowedClips,
    /// Who the worker is to web servers with clips.
    pub credentials: CameraCredentials,
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
    /// Returns the job as a worker does it: the clip is at `path`, and all files are in `folder`.
    ///
    /// # Errors
    /// Usage or input, if the settings contradict each other, or it is no clip.
    pub fn resolve(job: &ClipJob, path: &Path, folder: &Path) -> Result<Job> {
        let streams =
            StreamOptions { input: vec![path.into()], output_dir: Some(folder.into()), ..job.settings.clone() };
        let config = Config::resolve(Settings { streams, ..Settings::default() })?;
        let not_clip = || Error::usage(format!("{}: is not a clip", job.shown()));
        let resolved = config.jobs.into_iter().next().filter(|job| job.live.is_none()).ok_or_else(not_clip)?;
        let job = Job { origin: Some(job.shown()), ..resolved };
        // A name in a message must not lead out of the folder.
        let within = job.outputs.all().all(|path| path.parent() == Some(folder));
        match within {
            true => Ok(job),
            false => Err(Error::usage("a job names its own files").remedy("leave --output and the like out")),
        }
    }

    /// Returns the files of a job that are in their place, if they are.
    pub fn earlier(&self, id: &JobId) -> Option<Labelled> {
        if self.results != ResultsPlace::Folder {
            return None;
        }
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
        let place = job.place();
        if let Err(error) = self.check_readable(&place) {
            return Ended::Unreadable(error);
        }
        let part = match Part::create(&self.output, &job.id) {
            Ok(part) => part,
            Err(error) => return Ended::Unable(error),
        };
        let path = match self.path(place, &part, shutdown) {
            Ok(path) => path,
            Err(NotCopied::Stopped) => return Ended::Interrupted,
            Err(NotCopied::Unreadable(error)) => return Ended::Unreadable(error),
            Err(NotCopied::Unable(error)) => return Ended::Unable(error),
        };
        let labelled = match process {
            Process::This => self.label_here(job, &path, &part, state, shutdown),
            Process::Own => self.label_apart(job, &path, &part, shutdown),
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
                // A copy is nothing to anybody.
                let text = error.to_string().replace(&printable::path(&path), &job.shown());
                Ended::Failed(Error::new(error.kind(), text))
            }
        }
    }

    /// Rejects a clip that this worker cannot, or may not, read.
    fn check_readable(&self, place: &ClipPlace) -> Result<()> {
        let denied = |shown: &dyn fmt::Display, what: &str| {
            Error::input(format!("{shown}: is {what}")).remedy("name where it is with --inputs")
        };
        let path = match place {
            ClipPlace::File(path) => path,
            ClipPlace::Web(address) if self.allowed.has_address(address) => return Ok(()),
            ClipPlace::Web(address) => return Err(denied(address, "below none of this worker's addresses")),
        };
        let shown = printable::path(path);
        let unreadable = |cause: io::Error| {
            Error::input(format!("{shown}: cannot be opened"))
                .because(cause)
                .remedy("mount the same storage on each worker")
        };
        // What a link leads to decides.
        let real = path.canonicalize().map_err(unreadable)?;
        if !self.allowed.has_file(&real) {
            return Err(denied(&shown, "in none of this worker's folders"));
        }
        // A pipe would wait for somebody who writes into it.
        let not_file = || io::Error::other("it is not a regular file");
        let checked = match fs::metadata(&real).map_err(unreadable)?.is_file() {
            true => OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&real).map(drop),
            false => Err(not_file()),
        };
        checked.map_err(unreadable)
    }

    /// Returns the path of the clip, or of a copy of it.
    fn path(&self, place: ClipPlace, part: &Part, shutdown: &Shutdown) -> Result<PathBuf, NotCopied> {
        match place {
            ClipPlace::File(path) => Ok(path),
            ClipPlace::Web(address) => {
                let folder = part.clip_folder().map_err(NotCopied::Unable)?;
                web_clip::copy(&address, &self.credentials, !self.allowed.is_limited(), folder, shutdown)
            }
        }
    }

    fn label_here(
        &self,
        job: &ClipJob,
        path: &Path,
        part: &Part,
        state: &OnceLock<Arc<StreamState>>,
        shutdown: &Shutdown,
    ) -> Result<Option<Labelled>> {
        let job = Self::resolve(job, path, &part.folder)?;
        let state = state.get_or_init(|| stream::state(&job, &self.model, false, &self.clock));
        let outcome = single_clip::label(&job, &self.model, &self.engine, state, &self.clock, shutdown)?;
        Ok((!outcome.interrupted).then(|| Labelled {
            files: Vec::new(),
            intervals: Some(outcome.intervals),
            duration_ms: Some(outcome.position as f64 / 1e6),
        }))
    }

    fn label_apart(&self, job: &ClipJob, path: &Path, part: &Part, shutdown: &Shutdown) -> Result<Option<Labelled>> {
        let device = self.engine.device().to_string();
        let (model, precision) = (self.model.path.as_path(), self.precision);
        let process = OwnProcess { model, device: &device, precision, secrets: &self.secrets };
        let complete = process.label(job, path, &part.folder, shutdown)?;
        Ok(complete.then(Labelled::default))
    }
}
