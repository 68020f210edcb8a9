//! Many inputs, one engine: runs the streams, a bounded number of them at a time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::select;

use crate::config::Config;
use crate::config::inputs::{Job, LabelConfig};
use crate::control::{self, Action, Control, Requests};
use crate::error::{Error, Result};
use crate::events::event_bus::EventBus;
use crate::history::{IndexWriter, Place};
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::learning::models::Models;
use crate::learning::{Learning, LearningClient};
use crate::media;
use crate::media::limits::Limits;
use crate::pipeline::clips::Clips;
use crate::pipeline::live_streams::{LiveStreams, Shared};
use crate::pipeline::observer::Observer;
use crate::pipeline::overwrite;
use crate::pipeline::reload;
use crate::pipeline::resume;
use crate::pipeline::run_files::RunFiles;
use crate::pipeline::running::Running;
use crate::pipeline::stream;
use crate::pipeline::{model_in_use, model_switch};
use crate::shutdown::Shutdown;
use crate::system::clock::SystemClock;
use crate::system::words::count;
use crate::telemetry::{StreamState, Telemetry};
use crate::web::{self, History, Listener, Server, Sources, Teaching};

/// How often the run looks for what no message says: the request to stop, and engines that are free.
const POLL: Duration = Duration::from_millis(50);

/// Analyses the inputs of a [`Config`] with one model on one device.
pub struct Analyzer {
    config: Config,
    model: Arc<Model>,
    /// The models that can take its place, where corrections are kept.
    models: Option<Arc<Models>>,
    /// For each job, whether an earlier run completed it and `--resume` skips it.
    complete: Vec<bool>,
    /// Requests to change the run.
    control: Control,
    requests: Requests,
}

/// How a run ended, beside what its [`Observer`] received.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunReport {
    /// Inputs that were not started because the run was stopped.
    pub not_started: usize,
    /// Files about all inputs.
    pub files: Vec<PathBuf>,
    /// Why one of them could not be written.
    pub failure: Option<String>,
    /// Delivery of events, one line for each event receiver; empty without receivers.
    pub deliveries: String,
}

impl Analyzer {
    /// Reads the model and checks the configuration against it and against the files on disk.
    ///
    /// # Errors
    /// Input, if the model cannot be used; usage, if the model lacks a requested label or an output would overwrite a file, or with `resume` one of
    /// other settings.
    pub fn new(config: Config) -> Result<Self> {
        media::init()?;
        let (model, models) = model_in_use::open(&config)?;
        let streams = config.jobs.iter().map(|job| &job.label_config);
        let pictures = config.pictures.iter().map(|picture| &picture.label_config);
        streams.chain(pictures).try_for_each(|options| check_action(options, &model))?;
        overwrite::check(&config, &model.path)?;
        let is_complete = |job: &Job| match (config.resume && job.live.is_none(), config.force) {
            (true, force) => resume::is_complete(job, &model, force),
            (false, true) => Ok(false),
            (false, false) => overwrite::check_absent(job).map(|()| false),
        };
        let complete = config.jobs.iter().map(is_complete).collect::<Result<_>>()?;
        if !config.force {
            RunFiles::check(&config)?;
            // With `--resume`, pictures are labelled again, and the files that are there stay.
            let pictures = config.pictures.iter().filter(|_| !config.resume);
            pictures.flat_map(|picture| picture.outputs()).try_for_each(overwrite::check_file_absent)?;
        }
        let (control, requests) = control::channel();
        Ok(Self { config, model: Arc::new(model), models, complete, control, requests })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Returns whether `--resume` skips a job.
    pub(crate) fn is_skipped(&self, number: usize) -> bool {
        self.complete[number]
    }

    /// Loads the model on the configured device.
    ///
    /// # Errors
    /// Unavailable, if the device cannot run the model.
    pub(crate) fn start_engine(&self, shutdown: &Shutdown) -> Result<Engine> {
        let shutdown = shutdown.clone();
        Engine::start(&self.model, self.config.session, Arc::new(move || shutdown.requested()))
    }

    /// Analyses every input. Blocks until all have ended, or until `shutdown` is requested and the files are closed. A page
    /// that showed anything then stays until `shutdown` is requested, unless it is configured to exit. A failure of one input
    /// does not stop the others; the observer receives it.
    ///
    /// # Errors
    /// What keeps the whole run from starting: the device, the web server's address, an event receiver, a file of the run.
    pub fn run(&self, shutdown: &Shutdown, observer: &dyn Observer) -> Result<RunReport> {
        let Self { config, model, complete, .. } = self;
        let web = config
            .web
            .as_ref()
            .map(|web_config| Ok((Listener::new(web_config)?, web::install_metrics()?)))
            .transpose()?;
        let engine = Arc::new(self.start_engine(shutdown)?);
        if config.origin.is_some() {
            shutdown.reload_on_hangup(self.control.clone());
        }
        let clock = SystemClock::shared();
        let streams: Vec<Arc<StreamState>> =
            config.jobs.iter().map(|job| stream::state(job, model, web.is_some(), &clock)).collect();
        let page = web.as_ref().map(|(bound, _)| bound.address);
        let index = config.index_folders();
        let index = (!index.is_empty()).then(|| IndexWriter::start(index, &clock)).transpose()?;
        let learning = config.learning.as_ref().map(|learning| Learning::start(learning, &model.labels)).transpose()?;
        if let Some(config) = &config.learning {
            let (frames, folder) = (count(config.per_day as u64, "frame"), config.folder.display());
            tracing::info!("keeps up to {frames} a day of each stream in {folder}");
        }
        let learning = learning.as_ref().map(Learning::client);
        let telemetry = Arc::new(Telemetry::new(streams.clone(), index.is_some(), &clock));
        // Dropped, and so stopped, at the end.
        let _server = web
            .map(|(bound, metrics)| {
                let history = index.as_ref().map(|index| history_of(index, config));
                let teaching = teaching(learning, self.models.as_ref(), config);
                let sources = Sources { telemetry: Arc::clone(&telemetry), history, teaching, workers: None };
                Server::start(bound, sources, metrics, Some(self.control.clone()))
            })
            .transpose()?;
        let event_bus = EventBus::start(&config.events, &telemetry)?;
        let files = RunFiles::create(config, model)?;
        let running = Running::default();
        let shared = Shared {
            shutdown,
            event_bus: event_bus.as_ref(),
            table: files.table(),
            index: index.as_ref(),
            learning,
            observer,
            clock: &clock,
            display: config.display,
            telemetry: &telemetry,
            shown: page.is_some(),
            running: &running,
        };
        let clips = Clips::new(config, model, complete, shared, &streams, &files);
        std::thread::scope(|scope| {
            let mut live = LiveStreams::new(scope, shared, Arc::clone(model), Arc::clone(&engine));
            // A camera that waited for a clip to end would miss what happens meanwhile.
            for (job, state) in config.jobs.iter().zip(&streams).filter(|(job, _)| job.live.is_some()) {
                let paused = job.live.as_ref().is_some_and(|live| live.paused);
                live.start(Arc::new(job.clone()), Arc::clone(state), paused);
            }
            clips.start(scope, &engine);
            // The cameras hold it, and may give it back.
            drop(engine);
            while running.any() {
                select! {
                    recv(self.requests.receiver()) -> request => if let Ok(request) = request {
                        let answer = self.act(&request.action, shutdown, &mut live, &clips.states());
                        request.answer(answer);
                    },
                    recv(running.ended()) -> _ => {}
                    default(POLL) => {}
                }
                live.tidy();
            }
        });
        let not_started = clips.not_started();
        let (files, failure) = files.finish();
        drop(index);
        let report = RunReport {
            not_started,
            files,
            failure: failure.map(|error| error.to_string()),
            deliveries: event_bus.map(EventBus::finish).unwrap_or_default(),
        };
        let exit = config.web.as_ref().is_none_or(|web_config| web_config.exit) || shutdown.requested();
        let page = page.filter(|_| !exit && telemetry.streams().iter().any(|stream| showed_anything(stream)));
        if page.is_some() {
            shutdown.set_done();
        }
        observer.all_ended(&report, page);
        while page.is_some() && !shutdown.requested() {
            if let Some(request) = self.requests.next(POLL) {
                let answer = self.act_after_the_end(&request.action);
                request.answer(answer);
            }
        }
        Ok(report)
    }

    /// Does what was requested. Returns what was changed.
    fn act(
        &self,
        action: &Action,
        shutdown: &Shutdown,
        live: &mut LiveStreams,
        clips: &[Arc<StreamState>],
    ) -> Result<String> {
        match action {
            _ if shutdown.requested() => Err(control::ended()),
            Action::Reload => reload::reload(&self.config, shutdown, self.models.as_deref(), live, clips),
            Action::Pause(name) => live.pause(name, true),
            Action::Resume(name) => live.pause(name, false),
            Action::UseModel(name) => {
                let models = self.models.as_deref().ok_or_else(model_in_use::no_corrections)?;
                model_switch::switch(&self.config, models, name.as_deref(), shutdown, live, clips)
            }
        }
    }

    /// Does what was requested while only the page is left. Returns what was changed.
    fn act_after_the_end(&self, action: &Action) -> Result<String> {
        match (action, self.models.as_deref()) {
            (Action::UseModel(name), Some(models)) => model_in_use::choose(models, name.as_deref()),
            _ => Err(control::ended()),
        }
    }
}

/// Returns the indexes of a run for its page.
fn history_of(index: &IndexWriter, config: &Config) -> History {
    let places = index.folders().iter().map(|folder| Place::of_run(folder)).collect();
    // A recording has the size of its camera.
    let max_pixels = config.jobs.iter().map(|job| job.limits.max_pixels).max();
    let limits = max_pixels.map_or_else(Limits::default, |max_pixels| Limits { max_pixels, ..Limits::default() });
    History::new(places, Some(Arc::clone(index.state())), limits)
}

/// Returns what the page shows of the frames that are kept for learning, and of the models made of them.
fn teaching(learning: Option<&LearningClient>, models: Option<&Arc<Models>>, config: &Config) -> Option<Teaching> {
    let ((learning, models), kept) = learning.zip(models).zip(config.learning.as_ref())?;
    Some(Teaching::new(learning.clone(), Arc::clone(models), kept.folder.clone()))
}

/// Returns whether a frame of the stream was labelled.
fn showed_anything(stream: &StreamState) -> bool {
    stream.progress.counters.counts().labelled() > 0
}

pub(super) fn check_action(options: &LabelConfig, model: &Model) -> Result<()> {
    match options.unknown_action(&model.labels) {
        Some(action) => Err(Error::usage(format!("the model {} has no label {action:?}", model.name))
            .remedy(format!("use one of {}", model.labels.join(", ")))),
        None => Ok(()),
    }
}
