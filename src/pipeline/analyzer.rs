//! Many inputs, one engine: runs the streams, a bounded number of them at a time.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::config::Config;
use crate::config::inputs::{Job, LabelConfig};
use crate::error::{Error, Result};
use crate::events::event_bus::EventBus;
use crate::history::{IndexWriter, Place};
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::media;
use crate::pipeline::context::StreamContext;
use crate::pipeline::observer::Observer;
use crate::pipeline::overview::OverviewClip;
use crate::pipeline::overwrite;
use crate::pipeline::pictures;
use crate::pipeline::resume;
use crate::pipeline::run_files::RunFiles;
use crate::pipeline::stream;
use crate::report::interval_table::IntervalTable;
use crate::report::overview::Clip;
use crate::shutdown::Shutdown;
use crate::telemetry::{StreamState, Telemetry};
use crate::web::{self, History, Listener, Server};

/// How often a page that stays looks for the request to stop.
const POLL: Duration = Duration::from_millis(50);

/// Analyses the inputs of a [`Config`] with one model on one device.
pub struct Analyzer {
    config: Config,
    model: Model,
    /// For each job, whether an earlier run completed it and `--resume` skips it.
    complete: Vec<bool>,
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
        let model = Model::open(config.model.as_deref())?;
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
        Ok(Self { config, model, complete })
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
        let Self { config, model, complete } = self;
        let web = config
            .web
            .as_ref()
            .map(|web_config| Ok((Listener::new(web_config)?, web::install_metrics()?)))
            .transpose()?;
        let engine = self.start_engine(shutdown)?;
        let streams = config.jobs.iter().map(|job| stream::state(job, model, web.is_some())).collect();
        let page = web.as_ref().map(|(bound, _)| bound.address);
        let index = config.index_folders();
        let index = (!index.is_empty()).then(|| IndexWriter::start(index)).transpose()?;
        let telemetry = Arc::new(Telemetry::new(streams, index.is_some()));
        // Dropped, and so stopped, at the end.
        let _server = web
            .map(|(bound, metrics)| {
                Server::start(bound, Arc::clone(&telemetry), index.as_ref().map(history_of), metrics)
            })
            .transpose()?;
        let event_bus = EventBus::start(&config.events, &telemetry)?;
        let files = RunFiles::create(config, model)?;
        let order = start_order(&config.jobs);
        let inputs = order.len() + config.pictures.len();
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let work = || {
                while !shutdown.requested() {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&number) = order.get(place) else {
                        let Some(picture) = config.pictures.get(place - order.len()) else { break };
                        let labeled = pictures::label(picture, model, &engine, files.table(), config.force);
                        observer.picture(&picture.name, labeled.as_ref());
                        continue;
                    };
                    let (job, state) = (&config.jobs[number], &telemetry.streams[number]);
                    let overview = files.overview_clip(config, number, model);
                    if complete[number] {
                        skip(job, state, files.table(), overview.as_ref(), observer);
                        continue;
                    }
                    run_one(&StreamContext {
                        job,
                        model,
                        engine: &engine,
                        state,
                        shutdown,
                        event_bus: event_bus.as_ref(),
                        table: files.table(),
                        overview: overview.as_ref(),
                        index: index.as_ref(),
                        observer,
                        display: config.display,
                    });
                }
            };
            let others = config.max_streams.min(inputs).saturating_sub(1);
            for number in 0..others {
                let started = std::thread::Builder::new().name(format!("stream-{number}")).spawn_scoped(scope, work);
                if let Err(cause) = started {
                    tracing::warn!("fewer inputs run at the same time, because a thread cannot be started: {cause}");
                }
            }
            work();
        });
        let (files, failure) = files.finish();
        drop(engine);
        drop(index);
        let report = RunReport {
            not_started: inputs.saturating_sub(next.into_inner()),
            files,
            failure: failure.map(|error| error.to_string()),
            deliveries: event_bus.map(EventBus::finish).unwrap_or_default(),
        };
        let exit = config.web.as_ref().is_none_or(|web_config| web_config.exit) || shutdown.requested();
        let page = page.filter(|_| !exit && telemetry.streams.iter().any(|stream| showed_anything(stream)));
        if page.is_some() {
            shutdown.set_done();
        }
        observer.all_ended(&report, page);
        while page.is_some() && !shutdown.requested() {
            std::thread::sleep(POLL);
        }
        Ok(report)
    }
}

/// Returns the indexes of a run for its page.
fn history_of(index: &IndexWriter) -> History {
    let places = index.folders().iter().map(|folder| Place::of_run(folder)).collect();
    History::new(places, Some(Arc::clone(index.state())))
}

/// Returns whether a frame of the stream was labelled.
fn showed_anything(stream: &StreamState) -> bool {
    stream.progress.counters.counts().labelled() > 0
}

fn run_one(context: &StreamContext) {
    let StreamContext { state, observer, overview, .. } = *context;
    state.start();
    observer.started(state);
    let result = stream::run(context);
    let failure = result.as_ref().map_or_else(Some, |outcome| outcome.error.as_ref());
    state.end(failure.map(Error::to_string));
    if let Some(overview) = overview {
        overview.ended(result.as_ref());
    }
    observer.ended(state, result.as_ref());
}

/// Passes on what an earlier run found in a clip.
fn skip(
    job: &Job,
    state: &Arc<StreamState>,
    table: Option<&IntervalTable>,
    overview: Option<&OverviewClip>,
    observer: &dyn Observer,
) {
    let passed = job.outputs.timeline.as_deref().map_or(Ok(()), |timeline| {
        let mut clip = overview.map(|overview| Clip::new(overview.labels()));
        let duration = resume::replay(timeline, &state.info, table, observer, &mut |interval| {
            clip.iter_mut().for_each(|clip| clip.add(interval));
        })?;
        if let (Some(overview), Some(clip)) = (overview, clip) {
            overview.labelled_earlier(clip, duration);
        }
        Ok(())
    });
    state.end(passed.as_ref().err().map(Error::to_string));
    match passed {
        Ok(()) => observer.skipped(state),
        Err(error) => observer.ended(state, Err(&error)),
    }
}

/// The numbers of the jobs in the order in which they start: cameras first. A camera that waited for a clip to end would miss
/// what happens meanwhile.
fn start_order(jobs: &[Job]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(|&number| jobs[number].live.is_none());
    order
}

fn check_action(options: &LabelConfig, model: &Model) -> Result<()> {
    match &options.action {
        Some(action) if !model.labels.contains(action) => {
            Err(Error::usage(format!("the model {} has no label {action:?}", model.name))
                .remedy(format!("use one of {}", model.labels.join(", "))))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::StreamOptions;
    use crate::config::settings::Settings;

    #[test]
    fn cameras_start_before_clips() {
        let input = ["a.mp4", "b.mp4", "test://", "c.mp4", "rtsp://cam/1"].map(Into::into).to_vec();
        let streams = StreamOptions { input, ..StreamOptions::default() };
        let config = Config::resolve(Settings { streams, ..Settings::default() }).unwrap();
        assert_eq!(start_order(&config.jobs), [2, 4, 0, 1, 3]);
    }
}
