//! Reads the configuration of a run again, checks all of it, and only then changes what differs.

use std::sync::Arc;

use crate::config::Config;
use crate::config::cameras::CameraConfig;
use crate::config::inputs::Job;
use crate::error::{Error, Result};
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::inference::session::SessionOptions;
use crate::learning::models::Models;
use crate::pipeline::live_streams::{Fate, LiveStream, LiveStreams, Planned};
use crate::pipeline::permissions::permissions;
use crate::pipeline::{model_in_use, overwrite};
use crate::shutdown::Shutdown;
use crate::system::sandbox;
use crate::telemetry::StreamState;

/// Names that an answer lists of each kind of change.
const NAMED: usize = 5;

/// Reloads the cameras of a run that began with `config`. `clips` are its other streams, which stay as they are. Returns
/// what was changed.
///
/// # Errors
/// Returns why nothing was changed.
pub fn reload(
    config: &Config,
    shutdown: &Shutdown,
    models: Option<&Models>,
    live: &mut LiveStreams,
    clips: &[Arc<StreamState>],
) -> Result<String> {
    if config.jobs.iter().all(|job| job.live.is_none()) {
        return Err(Error::usage(
            "this run has no cameras, and clips are analysed with the settings that they began with",
        )
        .remedy("start another run"));
    }
    let origin = config.origin.as_ref().ok_or_else(|| {
        Error::usage("this run has no pipeline file to read again")
            .remedy("write its settings into a file, and start it with --pipeline FILE.toml")
    })?;
    check_changed(live)?;
    let (new, mut ignored) = origin.read_again()?;
    check_rights(&new)?;
    if !is_same_files(config, &new) {
        ignored.push("clips");
    }
    let indexed = config.index_folders();
    if new.index_folders().iter().any(|folder| !indexed.contains(folder)) {
        ignored.push("index");
        ignored.dedup();
    }
    let named = Model::open(new.model.as_deref())?;
    let base = model_in_use::base(&named);
    let model = Arc::new(match models {
        Some(models) => model_in_use::in_use(named, models),
        None => named,
    });
    let replaced = model.sha256 != live.model.sha256;
    if replaced {
        check_replaceable(config)?;
    }
    let model = if replaced { model } else { Arc::clone(&live.model) };
    overwrite::check(&new, &model.path)?;
    let cameras = new.jobs.iter().filter(|job| job.live.is_some());
    let plan = cameras.map(|job| planned(job, live, &model)).collect::<Vec<_>>();
    plan.iter().try_for_each(|planned| check(planned, live, &model, config.force))?;
    let engine = replaced.then(|| start_engine(&model, config.session, plan.len(), shutdown)).transpose()?;
    let answer = describe(&plan, live, replaced.then_some(&model), &ignored);
    if let Some(models) = models {
        models.set_base(base);
    }
    live.apply(plan, engine.map(|engine| (model, Arc::new(engine))), clips);
    Ok(answer)
}

/// Plans the change of all cameras to another model, and loads it.
///
/// # Errors
/// Returns why it cannot be used.
pub fn with_model(
    config: &Config,
    model: &Arc<Model>,
    shutdown: &Shutdown,
    live: &LiveStreams,
) -> Result<(Vec<Planned>, Arc<Engine>)> {
    check_changed(live)?;
    check_replaceable(config)?;
    let plan: Vec<_> = live.streams.iter().map(|stream| planned(&stream.job, live, model)).collect();
    plan.iter().try_for_each(|planned| check(planned, live, model, config.force))?;
    let engine = start_engine(model, config.session, plan.len(), shutdown)?;
    Ok((plan, Arc::new(engine)))
}

/// Rejects what the sandbox does not allow: rights that were given up do not come back.
fn check_rights(config: &Config) -> Result<()> {
    let beyond = sandbox::in_force().and_then(|in_force| permissions(config).beyond(in_force));
    match beyond {
        Some(what) => Err(Error::usage(format!("the sandbox of this run does not allow {what}"))
            .remedy("restart livelabel, or start it with --no-sandbox")),
        None => Ok(()),
    }
}

/// Rejects a change while the one before is still being made.
fn check_changed(live: &LiveStreams) -> Result<()> {
    match live.is_changing() {
        true => Err(Error::unavailable("the model before is still in use").remedy("try again later")),
        false => Ok(()),
    }
}

/// Rejects another model where clips began with the one before.
fn check_replaceable(config: &Config) -> Result<()> {
    match config.jobs.iter().any(|job| job.live.is_none()) || !config.pictures.is_empty() {
        true => Err(Error::usage("the model cannot be replaced in a run with clips, which began with the one before")
            .remedy("start another run")),
        false => Ok(()),
    }
}

/// Returns what becomes of a camera.
fn planned(job: &Job, live: &LiveStreams, model: &Model) -> Planned {
    let says = |job: &Job| job.live.as_ref().is_some_and(|live| live.paused);
    let Some(old) = live.streams.iter().find(|old| old.job.name == job.name) else {
        return Planned { job: Arc::new(job.clone()), fate: Fate::Added, paused: says(job) };
    };
    let fate = if needs_restart(&old.job, job) || model.labels != live.model.labels || is_worth_another_try(old) {
        Fate::Restarted
    } else if old.job.label_config != job.label_config
        || old.job.overlay != job.overlay
        || model.sha256 != live.model.sha256
    {
        Fate::Changed
    } else {
        Fate::Kept
    };
    // What was paused by hand stays so, unless the file says otherwise than before.
    let paused = if says(&old.job) == says(job) { old.paused } else { says(job) };
    Planned { job: Arc::new(job.clone()), fate, paused }
}

/// Returns whether a change cannot take effect between two frames: of the source, or of the files.
fn needs_restart(old: &Job, new: &Job) -> bool {
    let but_paused = |job: &Job| {
        let live = job.live.as_deref().map(|live| CameraConfig { paused: false, ..live.clone() });
        (job.input.clone(), job.limits, live)
    };
    but_paused(old) != but_paused(new)
}

/// Returns whether a camera has failed, and may be started again without overwriting its video.
fn is_worth_another_try(stream: &LiveStream) -> bool {
    stream.has_ended() && recording_file(&stream.job).is_none_or(|file| !file.exists())
}

fn recording_file(job: &Job) -> Option<&std::path::Path> {
    job.live.as_ref()?.recording.file.as_deref()
}

/// Rejects a camera that could not run with its settings.
fn check(planned: &Planned, live: &LiveStreams, model: &Model, force: bool) -> Result<()> {
    let job = &planned.job;
    if let Some(action) = job.label_config.unknown_action(&model.labels) {
        return Err(Error::usage(format!("{}: the model {} has no label {action:?}", job.name, model.name))
            .remedy(format!("use one of {}", model.labels.join(", "))));
    }
    if !matches!(planned.fate, Fate::Added | Fate::Restarted) {
        return Ok(());
    }
    if let Some(file) = recording_file(job) {
        let old = live.streams.iter().find(|old| old.job.name == job.name);
        if old.is_some_and(|old| recording_file(&old.job) == Some(file)) {
            return Err(Error::usage(format!("{}: starting again would overwrite {}", job.name, file.display()))
                .remedy("name another file with output, or record with segment"));
        }
        if !force {
            overwrite::check_absent(job)?;
        }
    }
    overwrite::check_folder(job)
}

/// Returns whether both have the same clips and pictures.
fn is_same_files(old: &Config, new: &Config) -> bool {
    let clips = |config: &Config| config.jobs.iter().filter(|job| job.live.is_none()).cloned().collect::<Vec<_>>();
    clips(old) == clips(new) && old.pictures == new.pictures
}

fn start_engine(model: &Model, session: SessionOptions, live: usize, shutdown: &Shutdown) -> Result<Engine> {
    let shutdown = shutdown.clone();
    Engine::start(model, SessionOptions { live, ..session }, Arc::new(move || shutdown.requested()))
}

/// Says what is changed, in one line.
fn describe(plan: &[Planned], live: &LiveStreams, model: Option<&Arc<Model>>, ignored: &[&str]) -> String {
    let old = |planned: &Planned| live.streams.iter().find(|old| old.job.name == planned.job.name);
    let was_paused = |planned: &Planned| old(planned).map(|old| old.paused);
    let names = |wanted: &dyn Fn(&Planned) -> bool| -> Vec<&str> {
        plan.iter().filter(|planned| wanted(planned)).map(|planned| planned.job.name.as_str()).collect()
    };
    let removed = live.streams.iter().map(|old| old.job.name.as_str());
    let removed = removed.filter(|name| plan.iter().all(|planned| planned.job.name != *name)).collect();
    let unchanged = |planned: &Planned| planned.fate == Fate::Kept && was_paused(planned) == Some(planned.paused);
    let kinds: [(&str, Vec<&str>); 6] = [
        ("added", names(&|planned| planned.fate == Fate::Added)),
        ("removed", removed),
        ("restarted", names(&|planned| planned.fate == Fate::Restarted)),
        ("changed", names(&|planned| planned.fate == Fate::Changed)),
        ("paused", names(&|planned| planned.paused && was_paused(planned) == Some(false))),
        ("resumed", names(&|planned| !planned.paused && was_paused(planned) == Some(true))),
    ];
    let mut parts: Vec<String> =
        model.map(|model| format!("model {}", model.name)).into_iter().chain(kinds.iter().filter_map(listed)).collect();
    match names(&unchanged).len() {
        0 => {}
        all if all == plan.len() && parts.is_empty() => parts.push("nothing changed".into()),
        number => parts.push(format!("{number} unchanged")),
    }
    let mut text = parts.join(", ");
    if !ignored.is_empty() {
        text.push_str(&format!("; needs a restart, and stays as it was: {}", ignored.join(", ")));
    }
    text
}

/// Formats names like `added door, garden`.
fn listed((what, names): &(&str, Vec<&str>)) -> Option<String> {
    let more = names.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| format!("{what} {shown}{more}"))
}
