//! Many inputs, one engine: runs the streams, a bounded number at once, shows how far they are, and tells the result.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::config::{Config, Job};
use crate::display::Display;
use crate::error::{Error, Result};
use crate::events::announcer::Announcer;
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::media;
use crate::models;
use crate::stream::{self, Context, Progress, Shutdown};
use crate::summary;

/// Analyses every input of `config`. Failures of single inputs are reported on stderr as they happen; returns the exit
/// code for them, that of failures while running before that of unusable inputs.
///
/// # Errors
/// What keeps the whole run from starting: the model, the device, a label that the model does not know, files that
/// exist already.
pub fn run(config: &Config, shutdown: &Shutdown) -> Result<u8> {
    media::init()?;
    let model = models::read(config.model.as_deref())?;
    config.jobs.iter().try_for_each(|job| check_action(job, &model))?;
    if !config.force {
        config.jobs.iter().try_for_each(stream::check_absent)?;
    }
    let engine = Engine::start(&model, config.device, config.batch)?;
    let streams = config.jobs.iter().map(|job| (job.name.clone(), job.live.is_some()));
    let announcer = Announcer::start(&config.events, streams)?;
    let display = Display::new(config.quiet, config.events.takes_stdout());
    let next = AtomicUsize::new(0);
    let worst = Mutex::new(0_u8);
    std::thread::scope(|scope| {
        let work = || {
            while !shutdown.requested()
                && let Some(job) = config.jobs.get(next.fetch_add(1, Ordering::Relaxed))
            {
                let code = one(config, job, &model, &engine, announcer.as_ref(), &display, shutdown);
                // Something that broke while running weighs more than an input that could not be used.
                let mut worst = worst.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                *worst = match (*worst, code) {
                    (1, _) | (_, 1) => 1,
                    (before, now) => before.max(now),
                };
            }
        };
        let others = config.parallel.min(config.jobs.len()).saturating_sub(1);
        for number in 0..others {
            // With fewer threads the others take over the rest of the inputs.
            let started = std::thread::Builder::new().name(format!("stream-{number}")).spawn_scoped(scope, work);
            if let Err(cause) = started {
                tracing::warn!("fewer inputs are worked on at once: {cause}");
            }
        }
        work();
    });
    if let Some(announcer) = announcer {
        display.print(&announcer.finish());
    }
    let exit_code = *worst.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let left = config.jobs.len().saturating_sub(next.load(Ordering::Relaxed));
    if left > 0 {
        tracing::info!("{left} inputs were not begun");
    }
    Ok(exit_code)
}

/// Analyses one input; returns its exit code.
fn one(
    config: &Config,
    job: &Job,
    model: &Model,
    engine: &Engine,
    announcer: Option<&Announcer>,
    display: &Display,
    shutdown: &Shutdown,
) -> u8 {
    let progress = Progress::default();
    let context = Context {
        job,
        labelling: &job.labelling,
        model,
        engine,
        progress: &progress,
        shutdown,
        announcer,
        display: config.display,
    };
    let told = match &job.live {
        Some(live) => {
            let interval = config.status_interval;
            let ended = display.follow(&job.name, &progress, interval, || stream::live::run(&context, live));
            ended.map(|ended| (summary::live(&context, &ended), ended.error))
        }
        None => {
            let outcome = display.watch(&job.name, &progress, || stream::run(&context));
            outcome.map(|outcome| (summary::text(&context, &outcome), outcome.error))
        }
    };
    if let Some(announcer) = announcer {
        announcer.ended(&job.name, matches!(&told, Ok((_, None))));
    }
    match told {
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

fn check_action(job: &Job, model: &Model) -> Result<()> {
    match &job.labelling.action {
        Some(action) if !model.labels.contains(action) => {
            Err(Error::usage(format!("the model {} has no label {action:?}", model.name))
                .remedy(format!("take one of {}", model.labels.join(", "))))
        }
        _ => Ok(()),
    }
}
