//! `livelabel run`: runs the analyzer, shows how far it is, and prints what became of each input.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::cli::progress::Display;
use crate::cli::summary;
use crate::config::Config;
use crate::config::inputs::Job;
use crate::error::{Error, Result};
use crate::inference::model::Model;
use crate::pipeline::analyzer::Analyzer;
use crate::pipeline::observer::Observer;
use crate::pipeline::outcome::Outcome;
use crate::shutdown::Shutdown;
use crate::telemetry::StreamState;

/// Analyses every input of `config` and returns the exit code: 1 if an input failed while running, else 2 if one could not
/// be used, else 0.
///
/// # Errors
/// Those of [`Analyzer::new`] and [`Analyzer::run`].
pub fn run(config: Config, shutdown: &Shutdown) -> Result<u8> {
    let display = Display::new(config.quiet, config.events.takes_stdout(), config.status_interval)?;
    let analyzer = Analyzer::new(config)?;
    let jobs = analyzer.config().jobs.iter().map(|job| (job.name.as_str(), job)).collect();
    let console = Console { display, jobs, model: analyzer.model(), exit_code: AtomicU8::new(0) };
    let report = analyzer.run(shutdown, &console)?;
    if !report.deliveries.is_empty() {
        console.display.print(&report.deliveries);
    }
    if report.not_started > 0 {
        tracing::info!("{} inputs were not started", report.not_started);
    }
    Ok(console.exit_code.into_inner())
}

/// Returns the worse of two exit codes: a failure while running (1) outweighs an unusable input (2).
pub(super) fn worse_exit_code(a: u8, b: u8) -> u8 {
    if a == 1 || b == 1 { 1 } else { a.max(b) }
}

/// Shows a run on the terminal.
struct Console<'a> {
    display: Display,
    /// By name.
    jobs: HashMap<&'a str, &'a Job>,
    model: &'a Model,
    exit_code: AtomicU8,
}

impl Console<'_> {
    fn fail(&self, code: u8) {
        let worse = |current| Some(worse_exit_code(current, code));
        let _ = self.exit_code.fetch_update(Ordering::Relaxed, Ordering::Relaxed, worse);
    }
}

impl Observer for Console<'_> {
    fn started(&self, stream: &Arc<StreamState>) {
        self.display.add(&stream.info.name, stream.info.live, &stream.progress);
    }

    fn ended(&self, stream: &Arc<StreamState>, result: Result<&Outcome, &Error>) {
        self.display.remove(&stream.progress);
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
                if let Some(job) = self.jobs.get(stream.info.name.as_str()) {
                    self.display.print(&summary::text(job, self.model, outcome));
                }
            }
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
