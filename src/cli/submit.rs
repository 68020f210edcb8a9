//! `livelabel submit`: sends clips to a cluster. Identifiers go to stdout, all else to stderr.

use std::path::{Path, PathBuf};

use crate::cli::cluster_args::SubmitArgs;
use crate::cli::stdout::print;
use crate::cluster::job::{ClipJob, refused_option};
use crate::cluster::record::{JobRecord, JobState};
use crate::cluster::submit::{Progress, Submission, Submitted, Totals};
use crate::config::Config;
use crate::config::clip_list;
use crate::config::nats::NatsConfig;
use crate::config::options::{FileKind, StreamOptions};
use crate::config::settings::Settings;
use crate::error::{Error, Result};
use crate::media::camera::Camera;
use crate::media::files::is_picture;
use crate::shutdown::Shutdown;
use crate::system::words::count;

/// Sends the clips. Returns the exit code: 1 if one failed or was cancelled that was waited for.
///
/// # Errors
/// Usage or input, if an argument is invalid; those of the connection.
pub fn submit(args: &SubmitArgs, shutdown: &Shutdown) -> Result<u8> {
    let nats = NatsConfig::resolve(&args.nats)?;
    let settings = StreamOptions { input: Vec::new(), ..args.streams.clone() };
    if let Some(key) = refused_option(&settings) {
        return Err(Error::usage(format!("--{} is not for the jobs of a cluster", key.replace('_', "-")))
            .remedy("leave it out: workers know where results go"));
    }
    let listed = clip_list::expand(&args.streams.input)?;
    if listed.is_empty() {
        return Err(Error::usage("no input").remedy("name a clip or a folder: livelabel submit --nats URL CLIP"));
    }
    let inputs = listed.iter().map(|input| clip(input)).collect::<Result<Vec<_>>>()?;
    // Ranges and contradictions are found here, and not by a worker.
    let first = StreamOptions { input: inputs.iter().take(1).cloned().collect(), ..settings.clone() };
    Config::resolve(Settings { streams: first, ..Settings::default() })?;
    if settings.only.as_ref().is_some_and(|only| only.contains(&FileKind::Overview)) {
        return Err(Error::usage("--only overview is about all clips of a run").remedy("name other kinds of file"));
    }
    let missing: Vec<_> = inputs.iter().filter(|input| !input.exists()).collect();
    if let Some(first) = missing.first() {
        let others = missing.len() - 1;
        let more = if others > 0 { format!(" and {others} more") } else { String::new() };
        tracing::warn!("{}{more}: not here; it is labelled if a worker has it at this path", first.display());
    }
    let mut report = Report { waiting: args.wait, ..Report::default() };
    let submission = Submission { inputs, settings, again: args.again, wait: args.wait };
    let totals = submission.run(&nats, shutdown, &mut report)?;
    report.finish(totals, shutdown.requested());
    Ok(u8::from(args.wait && totals.failed + totals.cancelled > 0))
}

/// Returns the absolute path of a clip.
fn clip(input: &Path) -> Result<PathBuf> {
    let text = input.to_string_lossy();
    if Camera::is_live(&text) {
        return Err(Error::usage("cameras cannot be submitted").remedy("run them with livelabel run"));
    }
    if is_picture(input) {
        return Err(Error::usage(format!("{}: is a picture", input.display())).remedy("label it with livelabel run"));
    }
    std::path::absolute(input).map_err(|cause| Error::input(format!("{}: has no path", input.display())).because(cause))
}

/// Prints identifiers, and counts.
#[derive(Default)]
struct Report {
    waiting: bool,
    queued: u64,
    known: u64,
    ended: u64,
}

impl Progress for Report {
    fn submitted(&mut self, job: &ClipJob, submitted: &Submitted) {
        print(job.id.as_str());
        *match submitted {
            Submitted::Queued => &mut self.queued,
            Submitted::Known => &mut self.known,
            Submitted::Ended(_) => &mut self.ended,
        } += 1;
    }

    fn ended(&mut self, record: &JobRecord) {
        let JobRecord { id, input, state, error, folder, .. } = record;
        match (state, error, folder) {
            (JobState::Done, _, Some(folder)) => tracing::info!("{input}: done, in {folder}"),
            (JobState::Failed, Some(error), _) => tracing::error!("{error}"),
            (JobState::Cancelled, ..) => tracing::warn!("{id}: cancelled"),
            _ => tracing::info!("{input}: ended"),
        }
    }
}

impl Report {
    fn finish(&self, totals: Totals, stopped: bool) {
        let Self { waiting, queued, known, ended } = self;
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
