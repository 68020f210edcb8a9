//! `livelabel submit`: sends clips and cameras to a cluster. Identifiers go to stdout, all else to stderr.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::cluster_args::SubmitArgs;
use crate::cli::stdout::print;
use crate::cluster::cameras::camera::{CameraName, CameraSettings};
use crate::cluster::cameras::submit::Submitted as SubmittedCamera;
use crate::cluster::clip_address::ClipAddress;
use crate::cluster::job::{ClipJob, refused_option};
use crate::cluster::names;
use crate::cluster::record::{JobRecord, JobState};
use crate::cluster::submit::{Progress, Submission, Submitted, Totals};
use crate::config::Config;
use crate::config::inputs::listed;
use crate::config::nats::NatsConfig;
use crate::config::options::{FileKind, RunOptions, StreamOptions};
use crate::config::settings::Settings;
use crate::error::{Error, Result};
use crate::media::camera::{Camera, Transport};
use crate::media::files::is_picture;
use crate::shutdown::Shutdown;
use crate::system::words::count;

/// Bytes of a camera's name that is made of its address.
const NAME: usize = 64;

/// Sends what the arguments name. Returns the exit code: 1 if a clip failed or was cancelled that was waited for.
///
/// # Errors
/// Usage or input, if an argument is invalid; those of the connection.
pub fn submit(args: &SubmitArgs, shutdown: &Shutdown) -> Result<u8> {
    let nats = NatsConfig::resolve(&args.nats)?;
    let mut submission = Submission { clips: Vec::new(), cameras: Vec::new(), wait: args.wait };
    let mut missing = Vec::new();
    for (settings, input) in inputs(args)? {
        let text = input.to_string_lossy();
        let address = ClipAddress::parse(&text).filter(ClipAddress::is_clip);
        // What has a name is a camera: clips have none.
        if let Some(address) = address.filter(|_| settings.name.is_none()) {
            check_settings(&settings, address.file_name().into())?;
            let job = ClipJob::on_web(&address, settings)?;
            submission.clips.push(ClipJob { again: args.again, ..job });
        } else if Camera::is_live(&text) {
            submission.cameras.push(camera(&text, settings)?);
        } else {
            let input = clip(&input, &settings)?;
            let job = ClipJob::new(&input, settings)?;
            submission.clips.push(ClipJob { again: args.again, ..job });
            missing.extend((!input.exists()).then_some(input));
        }
    }
    check_names(&submission.cameras)?;
    if let Some(first) = missing.first() {
        let others = missing.len() - 1;
        let more = if others > 0 { format!(" and {others} more") } else { String::new() };
        tracing::warn!("{}{more}: not here; it is labelled if a worker has it at this path", first.display());
    }
    let mut report = Report { waiting: args.wait && !submission.clips.is_empty(), ..Report::default() };
    let totals = submission.run(&nats, shutdown, &mut report)?;
    report.finish(totals, shutdown.requested());
    Ok(u8::from(args.wait && totals.failed + totals.cancelled > 0))
}

/// Returns the inputs of flags and pipeline, each with its settings.
fn inputs(args: &SubmitArgs) -> Result<Vec<(StreamOptions, PathBuf)>> {
    let flags = Settings { streams: args.streams.clone(), ..Settings::default() };
    let settings = match &args.pipeline {
        Some(pipeline) => flags.over(Settings::read(pipeline)?),
        None => flags,
    };
    let mut others = settings.run.differences(&RunOptions::default());
    others.retain(|name| *name != "stream");
    if !others.is_empty() {
        tracing::warn!("the pipeline's {} are of a run, and left out: workers have their own", others.join(", "));
    }
    let inputs = listed(&settings)?;
    if inputs.is_empty() {
        return Err(
            Error::usage("no input").remedy("name a clip, a folder or a camera: livelabel submit --nats URL CLIP")
        );
    }
    Ok(inputs)
}

/// Checks a clip and its settings, so that mistakes are found here and not by a worker. Returns its absolute path.
fn clip(input: &Path, settings: &StreamOptions) -> Result<PathBuf> {
    if is_picture(input) {
        return Err(Error::usage(format!("{}: is a picture", input.display())).remedy("label it with livelabel run"));
    }
    let input = std::path::absolute(input)
        .map_err(|cause| Error::input(format!("{}: has no path", input.display())).because(cause))?;
    check_settings(settings, input.clone())?;
    Ok(input)
}

/// Rejects settings that the job of a clip cannot have.
fn check_settings(settings: &StreamOptions, clip: PathBuf) -> Result<()> {
    if let Some(key) = refused_option(settings) {
        return Err(Error::usage(format!("--{} is not for the jobs of a cluster", key.replace('_', "-")))
            .remedy("leave it out: workers know where results go"));
    }
    if settings.only.as_ref().is_some_and(|only| only.contains(&FileKind::Overview)) {
        return Err(Error::usage("--only overview is about all clips of a run").remedy("name other kinds of file"));
    }
    let streams = StreamOptions { input: vec![clip], ..settings.clone() };
    Config::resolve(Settings { streams, ..Settings::default() }).map(drop)
}

fn camera(input: &str, settings: StreamOptions) -> Result<CameraSettings> {
    let name = match &settings.name {
        Some(name) => name.parse::<CameraName>().map_err(|_| {
            Error::usage(format!("{name:?} cannot be the name of a cluster's camera"))
                .remedy("use up to 64 letters, digits, - and _")
        })?,
        None => {
            let stem = Camera::parse(input, None, Transport::default(), Duration::ZERO)?.stem();
            names::token(&stem, NAME).parse().map_err(Error::usage)?
        }
    };
    CameraSettings::new(name, input, StreamOptions { name: None, ..settings })
}

/// Rejects two cameras of the same name: one would replace the other.
fn check_names(cameras: &[CameraSettings]) -> Result<()> {
    let mut names = HashSet::new();
    match cameras.iter().find(|camera| !names.insert(&camera.camera)) {
        Some(CameraSettings { camera, .. }) => Err(Error::usage(format!("two cameras are named {camera}"))
            .remedy("name each: in a [[stream]] of a pipeline file, or with --name")),
        None => Ok(()),
    }
}

/// Prints identifiers, and counts.
#[derive(Default)]
struct Report {
    waiting: bool,
    queued: u64,
    known: u64,
    ended: u64,
    cameras: [u64; 3],
}

impl Progress for Report {
    fn camera(&mut self, camera: &CameraSettings, submitted: SubmittedCamera) {
        print(camera.camera.as_str());
        self.cameras[match submitted {
            SubmittedCamera::Added => 0,
            SubmittedCamera::Changed => 1,
            SubmittedCamera::Known => 2,
        }] += 1;
    }

    fn submitted(&mut self, job: &ClipJob, submitted: &Submitted) {
        print(job.id.as_str());
        *match submitted {
            Submitted::Queued => &mut self.queued,
            Submitted::Known => &mut self.known,
            Submitted::Ended(_) => &mut self.ended,
        } += 1;
    }

    fn ended(&mut self, record: &JobRecord) {
        let JobRecord { id, input, state, error, folder, objects, .. } = record;
        match (state, error, folder) {
            (JobState::Done, _, Some(folder)) => tracing::info!("{input}: done, in {folder}"),
            (JobState::Done, ..) if objects.is_some() => tracing::info!("{input}: done; livelabel cluster fetch {id}"),
            (JobState::Failed, Some(error), _) => tracing::error!("{error}"),
            (JobState::Cancelled, ..) => tracing::warn!("{id}: cancelled"),
            _ => tracing::info!("{input}: ended"),
        }
    }
}

impl Report {
    fn finish(&self, totals: Totals, stopped: bool) {
        let Self { waiting, queued, known, ended, cameras } = self;
        if cameras.iter().any(|&number| number > 0) {
            let [added, changed, same] = cameras;
            tracing::info!("{} added, {changed} changed, {same} there before", count(*added, "camera"));
        }
        if queued + known + ended == 0 {
            return;
        }
        let mut line = format!("{} submitted", count(*queued, "clip"));
        for (number, what) in [(*known, "waiting before"), (*ended, "labelled before")] {
            if number > 0 {
                line.push_str(&format!(", {number} {what}"));
            }
        }
        if stopped {
            line.push_str("; they are labelled without this command");
        } else if *waiting {
            line.push_str(&format!(": {} done, {} failed", totals.done, totals.failed));
            if totals.cancelled > 0 {
                line.push_str(&format!(", {} cancelled", totals.cancelled));
            }
        }
        tracing::info!("{line}");
    }
}
