//! `livelabel run`: runs the analyzer, shows how far it is, and prints what became of each input.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::findings::Findings;
use crate::cli::progress::Display;
use crate::cli::summary::{self, Detail};
use crate::config::Config;
use crate::config::inputs::Job;
use crate::config::web::WebConfig;
use crate::error::{Error, Result};
use crate::media;
use crate::pipeline::analyzer::{Analyzer, RunReport};
use crate::pipeline::observer::{LabeledInterval, LabeledPicture, Observer};
use crate::pipeline::outcome::Outcome;
use crate::pipeline::permissions::{make_folders, permissions};
use crate::shutdown::Shutdown;
use crate::system::made_folders::MadeFolders;
use crate::system::sandbox::{self, Permissions};
use crate::system::temp_folder::TempFolder;
use crate::system::words::count;
use crate::telemetry::{StreamInfo, StreamState};

/// Analyses every input of `config` and returns the exit code: 1 if an input failed while running, else 2 if one could not
/// be used, else 0.
///
/// # Errors
/// Those of [`Analyzer::new`] and [`Analyzer::run`].
pub fn run(config: Config, shutdown: &Shutdown) -> Result<u8> {
    let display = Display::new(config.quiet, config.events.takes_stdout(), config.status_interval)?;
    let analyzer = Analyzer::new(config)?;
    let jobs = analyzer.config().jobs.iter().map(|job| (job.name.as_str(), job)).collect();
    let findings = Findings::new(&analyzer.model().labels);
    let detail = match analyzer.config() {
        config if config.verbose => Detail::All,
        config if config.jobs.len() + config.pictures.len() == 1 => Detail::Files,
        _ => Detail::Findings,
    };
    let (ended, exit_code) = (Mutex::default(), AtomicU8::new(0));
    let web_config = analyzer.config().web.as_ref();
    let console = Console { display, jobs, web_config, findings, detail, ended, exit_code };
    analyzer.run(shutdown, &console)?;
    Ok(console.exit_code.into_inner())
}

/// What a run in a sandbox made before it began. Dropping it deletes what is not needed.
pub struct Prepared {
    _temporary: Option<TempFolder>,
    _folders: MadeFolders,
}

/// Gives up the rights that a run of `config`, or a check of it, does not need. Call it before the first thread is started, and keep
/// what it returns until the end.
///
/// # Errors
/// Unavailable if the kernel has sandboxes and refuses this one.
pub fn give_up_rights(config: &Config, only_check: bool) -> Result<Option<Prepared>> {
    if !config.sandbox {
        return Ok(None);
    }
    let mut permissions = permissions(config);
    let folders = if only_check { MadeFolders::default() } else { make_folders(config, &mut permissions) };
    enter_sandbox((permissions, folders)).map(Some)
}

/// Gives up all other rights. Call it before the first thread is started, and keep what it returns until the end.
///
/// # Errors
/// Unavailable if the kernel has sandboxes and refuses this one.
pub fn enter_sandbox((mut permissions, folders): (Permissions, MadeFolders)) -> Result<Prepared> {
    let temporary = TempFolder::create();
    media::ignore_desktop_settings();
    permissions.write.extend(temporary.as_ref().map(|folder| folder.all.clone()));
    tracing::debug!("{permissions:?}");
    let support = sandbox::enter(permissions).map_err(|cause| {
        Error::unavailable("the sandbox cannot be made").because(cause).remedy("leave it out with --no-sandbox")
    })?;
    tracing::debug!("sandbox: {support}");
    Ok(Prepared { _temporary: temporary, _folders: folders })
}

/// Returns the worse of two exit codes: a failure while running (1) outweighs an unusable input (2).
pub(super) fn worse_exit_code(a: u8, b: u8) -> u8 {
    if a == 1 || b == 1 { 1 } else { a.max(b) }
}

/// Names of failed clips that the last line shows.
const FAILED_SHOWN: usize = 10;

/// Shows a run on the terminal.
struct Console<'a> {
    display: Display,
    /// By name.
    jobs: HashMap<&'a str, &'a Job>,
    /// The page's address, if one is served.
    web_config: Option<&'a WebConfig>,
    findings: Findings,
    detail: Detail,
    ended: Mutex<Ended>,
    exit_code: AtomicU8,
}

/// The clips that have ended.
#[derive(Default)]
struct Ended {
    done: u64,
    /// Pictures that were labelled.
    pictures: u64,
    skipped: u64,
    stopped: u64,
    failed: u64,
    /// The names of the first ones that failed.
    names: Vec<String>,
    /// Of the clip in which the shortest activity that can be found is longest.
    shortest: Option<(u64, String)>,
}

impl Ended {
    /// Adds the name of an input that failed.
    fn add_name(&mut self, name: &str) {
        if self.names.len() < FAILED_SHOWN {
            self.names.push(name.into());
        }
    }
}

impl Console<'_> {
    fn fail(&self, code: u8) {
        let worse = |current| Some(worse_exit_code(current, code));
        let _ = self.exit_code.fetch_update(Ordering::Relaxed, Ordering::Relaxed, worse);
    }

    fn count(&self, name: &str, result: &Result<&Outcome, &Error>) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(outcome) = result {
            let shortest = outcome.shortest.zip(summary::shortest(outcome));
            ended.shortest = ended.shortest.take().into_iter().chain(shortest).max();
        }
        match result {
            Ok(outcome) if outcome.error.is_none() && outcome.interrupted => ended.stopped += 1,
            Ok(outcome) if outcome.error.is_none() => ended.done += 1,
            _ => {
                ended.failed += 1;
                ended.add_name(name);
            }
        }
    }

    /// Formats what became of several clips.
    fn totals(&self, not_started: usize) -> Option<String> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let Ended { done, pictures, skipped, stopped, failed, names, shortest } = &*ended;
        let all = done + pictures + skipped + stopped + failed + not_started as u64;
        if all < 2 && not_started == 0 {
            return None;
        }
        // A failed picture counts as one, like a failed clip.
        let noun = if *pictures > 0 { "input" } else { "clip" };
        let mut line = format!("{}: {} done", count(all, noun), done + pictures);
        for (number, what) in
            [(*skipped, "skipped"), (*stopped, "stopped"), (not_started as u64, "not started"), (*failed, "failed")]
        {
            if number > 0 {
                line.push_str(&format!(", {number} {what}"));
            }
        }
        if !names.is_empty() {
            let more = if *failed > names.len() as u64 { ", …" } else { "" };
            line.push_str(&format!(" ({}{more})", names.join(", ")));
        }
        let shortest = shortest.iter().map(|(_, text)| format!("  {text}"));
        Some(std::iter::once(line).chain(self.findings.totals()).chain(shortest).collect::<Vec<_>>().join("\n"))
    }
}

impl Observer for Console<'_> {
    fn started(&self, stream: &Arc<StreamState>) {
        self.display.add(&stream.info.name, stream.info.live, &stream.info.labels, &stream.progress);
    }

    fn interval(&self, stream: &StreamInfo, interval: LabeledInterval) {
        if !stream.live {
            self.findings.add(&stream.name, &interval);
        }
    }

    fn skipped(&self, stream: &Arc<StreamState>) {
        let name = stream.info.name.as_str();
        let findings = self.findings.finish(name);
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).skipped += 1;
        if let Some(job) = self.jobs.get(name) {
            self.display.print(&format!("{}: {findings} (done before)", summary::name(job)));
        }
    }

    fn picture(&self, name: &str, result: Result<&LabeledPicture, &Error>) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(picture) => {
                ended.pictures += 1;
                self.display.print(&summary::picture(name, picture, self.detail));
            }
            Err(error) => {
                ended.failed += 1;
                ended.add_name(name);
                self.display.error(error);
                self.fail(error.exit_code());
            }
        }
    }

    fn ended(&self, stream: &Arc<StreamState>, result: Result<&Outcome, &Error>) {
        self.display.remove(&stream.progress);
        let name = stream.info.name.as_str();
        let findings = self.findings.finish(name);
        if !stream.info.live {
            self.count(name, &result);
        }
        match result {
            Err(error) => {
                self.display.error(error);
                self.fail(error.exit_code());
            }
            Ok(outcome) => {
                if let Some(error) = &outcome.error {
                    self.display.error(error);
                    self.fail(1);
                }
                if stream.info.live {
                    self.display.print(&summary::camera(name, outcome));
                } else if let Some(job) = self.jobs.get(name) {
                    self.display.print(&summary::clip(job, outcome, &findings, self.detail));
                }
            }
        }
    }

    fn all_ended(&self, report: &RunReport, page: Option<SocketAddr>) {
        if let Some(text) = self.totals(report.not_started) {
            self.display.print(&text);
        }
        if !report.files.is_empty() {
            let files: Vec<String> = report.files.iter().map(|path| path.display().to_string()).collect();
            self.display.print(&format!("wrote {}", files.join(", ")));
        }
        if let Some(failure) = &report.failure {
            tracing::error!("{failure}");
            self.fail(1);
        }
        if !report.deliveries.is_empty() {
            self.display.print(&report.deliveries);
        }
        if let Some((address, web_config)) = page.zip(self.web_config) {
            tracing::info!("all inputs have ended; the page stays at {} until Ctrl-C", web_config.url(address));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_while_running_outweighs_an_unusable_input() {
        assert_eq!([(0, 0), (0, 2), (2, 1), (1, 2), (1, 0)].map(|(a, b)| worse_exit_code(a, b)), [0, 2, 1, 1, 1]);
    }
}
