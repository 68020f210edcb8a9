//! Where a run's settings came from, to read them again while it runs.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::config::options::RunOptions;
use crate::config::settings::Settings;
use crate::error::{Error, Result};

/// The options of the whole run that can change while it runs.
const CHANGEABLE: [&str; 2] = ["model", "stream"];

/// The flags and the pipeline file of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Origin {
    flags: Settings,
    pipeline: String,
    /// The options of the whole run, as they were at its start.
    run: RunOptions,
}

impl Origin {
    /// Returns the origin of settings that were made of `flags` and a pipeline; `None` if that is not a file.
    pub fn of(flags: &Settings, pipeline: &str, settings: &Settings) -> Option<Self> {
        settings.origin.as_ref()?;
        Some(Self { flags: flags.clone(), pipeline: pipeline.into(), run: settings.run.clone() })
    }

    /// Reads the pipeline file again. Returns the configuration, and the names of options that differ and need a restart.
    ///
    /// # Errors
    /// Those of [`Config::resolve`].
    pub fn read_again(&self) -> Result<(Config, Vec<&'static str>)> {
        let settings = self.flags.clone().over(Settings::read(&self.pipeline)?);
        if settings.streams.input.iter().any(|input: &PathBuf| input == Path::new("-")) {
            return Err(Error::usage("the inputs came from stdin, which cannot be read again")
                .remedy("name them in the pipeline file"));
        }
        let mut ignored = settings.run.differences(&self.run);
        ignored.retain(|name| !CHANGEABLE.contains(name));
        Ok((Config::resolve(settings)?, ignored))
    }
}
