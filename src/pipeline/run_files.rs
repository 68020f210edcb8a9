//! The files about all inputs of a run: the table of intervals and the overview.

use std::path::PathBuf;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::inference::model::Model;
use crate::pipeline::overview::OverviewClip;
use crate::pipeline::overwrite::{check_file_absent, check_replaceable};
use crate::pipeline::sinks::make_folder;
use crate::report::interval_table::{self, IntervalTable};
use crate::report::overview::{self, Overview};

/// The open files, and the names of those that will remain.
pub struct RunFiles {
    table: Option<IntervalTable>,
    overview: Option<Overview>,
    /// For each job, its place in the overview.
    places: Vec<usize>,
    written: Vec<PathBuf>,
}

impl RunFiles {
    /// Rejects files that exist. With `--resume` they are made again, unless they hold the intervals of cameras, which cannot be
    /// seen again.
    ///
    /// # Errors
    /// Returns a usage error that names the file.
    pub fn check(config: &Config) -> Result<()> {
        let cameras = config.jobs.iter().any(|job| job.live.is_some());
        let marks = [(&config.files.csv, interval_table::MARK), (&config.files.overview, overview::MARK)];
        for (path, mark) in marks {
            match path {
                Some(path) if config.resume && !cameras => check_replaceable(path, mark)?,
                Some(path) => check_file_absent(path)?,
                None => {}
            }
        }
        Ok(())
    }

    /// # Errors
    /// Returns an error if a file cannot be created.
    pub fn create(config: &Config, model: &Model) -> Result<Self> {
        let mut places = Vec::new();
        let mut clips = 0;
        for job in &config.jobs {
            places.push(clips);
            clips += usize::from(job.live.is_none());
        }
        config.files.all().try_for_each(make_folder)?;
        let overview = |path: &PathBuf| Overview::create(path, &model.name, &model.labels, clips, config.resume);
        Ok(Self {
            table: config.files.csv.as_deref().map(IntervalTable::create).transpose()?,
            overview: config.files.overview.as_ref().map(overview).transpose()?,
            places,
            written: config.files.csv.iter().cloned().collect(),
        })
    }

    pub fn table(&self) -> Option<&IntervalTable> {
        self.table.as_ref()
    }

    /// Returns what a job's stream adds to the overview.
    pub fn overview_clip<'a>(
        &'a self,
        config: &'a Config,
        number: usize,
        model: &'a Model,
    ) -> Option<OverviewClip<'a>> {
        let job = &config.jobs[number];
        let overview = self.overview.as_ref().filter(|_| job.live.is_none())?;
        Some(OverviewClip::new(overview, self.places[number], job, &model.labels))
    }

    /// Completes the files. Returns their paths, and the first failure.
    pub fn finish(mut self) -> (Vec<PathBuf>, Option<Error>) {
        let failure = match self.overview.map(Overview::finish) {
            Some(Ok(path)) => {
                self.written.push(path);
                None
            }
            Some(Err(error)) => Some(error),
            None => None,
        };
        let failure = failure.or(self.table.and_then(|table| table.sync().err()));
        (self.written, failure)
    }
}
