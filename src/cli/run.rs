//! `livelabel run`: runs the analyzer, shows how far it is, and prints what became of each input.

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
    let console =
        Console { display, jobs: &analyzer.config().jobs, model: analyzer.model(), exit_code: AtomicU8::new(0) };
    let report = analyzer.run(shutdown, &console)?;
    if !report.deliveries.is_empty() {
        console.display.print(&report.deliveries);
    }
    if report.not_started > 0 {
        tracing::info!("{} inputs were not started", report.not_started);
    }
    Ok(console.exit_code.into_inner())
}

/// Shows a run on the terminal.
struct Console<'a> {
    display: Display,
    jobs: &'a [Job],
    model: &'a Model,
    exit_code: AtomicU8,
}

impl Console<'_> {
    fn fail(&self, code: u8) {
        let worse = |current: u8| (current != 1).then_some(if code == 1 { 1 } else { current.max(code) });
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
                if let Some(job) = self.jobs.iter().find(|job| job.name == stream.info.name) {
                    self.display.print(&summary::text(job, self.model, outcome));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::StreamOptions;
    use crate::config::settings::Settings;

    #[test]
    fn a_failure_while_running_outweighs_an_unusable_input() {
        let streams = StreamOptions { input: vec!["a.mp4".into()], ..StreamOptions::default() };
        let config = Config::resolve(Settings { streams, ..Settings::default() }).unwrap();
        let model = Model::open(None).unwrap();
        let display = Display::new(true, false, config.status_interval).unwrap();
        let console = Console { display, jobs: &config.jobs, model: &model, exit_code: AtomicU8::new(0) };
        for (code, expected) in [(2, 2), (1, 1), (2, 1)] {
            console.fail(code);
            assert_eq!(console.exit_code.load(Ordering::Relaxed), expected);
        }
    }
}
