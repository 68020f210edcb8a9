//! Runs many streams on one engine, a bounded number at once; shows their progress and prints their summaries.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::cli::models;
use crate::cli::progress::Display;
use crate::cli::summary;
use crate::config::Config;
use crate::config::inputs::Job;
use crate::error::{Error, Result};
use crate::events::event_bus::EventBus;
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::media;
use crate::overwrite;
use crate::pipeline::{self, StreamContext};
use crate::printable;
use crate::shutdown::Shutdown;
use crate::telemetry::{StreamInfo, StreamState, Telemetry};
use crate::web::{self, Bound, Server};

/// Analyses every input of `config`. Failures of single inputs are logged as they occur. Returns the exit code: 1 if an
/// input failed while running, else 2 if an input was unusable, else 0.
///
/// # Errors
/// Returns an error if the run cannot start: model or device unusable, unknown label, or existing output files.
pub fn run(config: &Config, shutdown: &Shutdown) -> Result<u8> {
    media::init()?;
    let model = models::read(config.model.as_deref())?;
    config.jobs.iter().try_for_each(|job| check_action(job, &model))?;
    overwrite::check(config, &model.path)?;
    if !config.force {
        config.jobs.iter().try_for_each(pipeline::check_absent)?;
    }
    let web = config.web.as_ref().map(|access| Ok((Bound::new(access)?, web::install_metrics()?))).transpose()?;
    let stopping = {
        let shutdown = shutdown.clone();
        Arc::new(move || shutdown.requested())
    };
    let engine = Engine::start(&model, config.network, stopping)?;
    let telemetry =
        Arc::new(Telemetry::new(config.jobs.iter().map(|job| stream_state(job, &model, web.is_some())).collect()));
    // Dropped after the streams have ended, which stops the server.
    let _server = web.map(|(bound, metrics)| Server::start(bound, Arc::clone(&telemetry), metrics)).transpose()?;
    let event_bus = EventBus::start(&config.events, &telemetry)?;
    let display = Display::new(config.quiet, config.events.takes_stdout());
    let order = start_order(&config.jobs);
    let next = AtomicUsize::new(0);
    let worst = Mutex::new(0_u8);
    std::thread::scope(|scope| {
        let work = || {
            while !shutdown.requested()
                && let Some(&number) = order.get(next.fetch_add(1, Ordering::Relaxed))
            {
                let (job, stream) = (&config.jobs[number], &telemetry.streams[number]);
                let event_bus = event_bus.as_ref();
                let run = Run { config, model: &model, engine: &engine, event_bus, display: &display, shutdown };
                let code = run.one(job, stream);
                // A failure while running (1) wins over an unusable input (2).
                let mut worst = worst.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                *worst = match (*worst, code) {
                    (1, _) | (_, 1) => 1,
                    (before, now) => before.max(now),
                };
            }
        };
        let extra_threads = config.parallel.min(config.jobs.len()).saturating_sub(1);
        for number in 0..extra_threads {
            // With fewer threads, the existing ones process the remaining inputs.
            let started = std::thread::Builder::new().name(format!("stream-{number}")).spawn_scoped(scope, work);
            if let Err(cause) = started {
                tracing::warn!("a thread cannot be started, so fewer inputs run at once ({cause})");
            }
        }
        work();
    });
    if let Some(event_bus) = event_bus {
        display.print(&event_bus.finish());
    }
    let exit_code = *worst.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let remaining = config.jobs.len().saturating_sub(next.load(Ordering::Relaxed));
    if remaining > 0 {
        tracing::info!("{remaining} inputs were not started");
    }
    Ok(exit_code)
}

/// Creates the telemetry of an input's stream.
pub(crate) fn stream_state(job: &Job, model: &Model, shown: bool) -> Arc<StreamState> {
    let info = StreamInfo {
        name: job.name.clone(),
        input: printable::path(&job.input),
        live: job.live.is_some(),
        labels: model.labels.clone(),
        threshold: job.label_config.threshold.unwrap_or(model.threshold),
        action: job.label_config.action.clone(),
    };
    Arc::new(StreamState::new(info, shown))
}

/// What all streams share.
struct Run<'a> {
    config: &'a Config,
    model: &'a Model,
    engine: &'a Engine,
    event_bus: Option<&'a EventBus>,
    display: &'a Display,
    shutdown: &'a Shutdown,
}

impl Run<'_> {
    /// Analyses one input; returns its exit code.
    fn one(&self, job: &Job, stream: &Arc<StreamState>) -> u8 {
        let Run { config, model, engine, event_bus, display, shutdown } = *self;
        let context = StreamContext { job, model, engine, state: stream, shutdown, event_bus, display: config.display };
        let progress = &stream.progress;
        let outcome = if job.live.is_some() {
            display.follow(&job.name, progress, config.status_interval, || pipeline::run(&context))
        } else {
            display.watch(&job.name, progress, || pipeline::run(&context))
        };
        let result = outcome.map(|outcome| (summary::text(&context, &outcome), outcome.error));
        stream.end(
            result
                .as_ref()
                .map_or_else(|error| Some(error.to_string()), |(_, error)| error.as_ref().map(Error::to_string)),
        );
        match result {
            Err(error) => {
                display.error(&error);
                error.exit_code()
            }
            Ok((text, error)) => {
                if let Some(error) = &error {
                    display.error(error);
                }
                display.print(&text);
                error.map_or(0, |_| 1)
            }
        }
    }
}

/// Returns the indices of the jobs in the order in which they start. Cameras start first: a camera that waited for a
/// clip to end would miss what happens meanwhile.
fn start_order(jobs: &[Job]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(|&number| jobs[number].live.is_none());
    order
}

fn check_action(job: &Job, model: &Model) -> Result<()> {
    match &job.label_config.action {
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
