//! The clips and pictures of a run: a bounded number of threads takes one after the other.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use crate::config::Config;
use crate::config::inputs::Job;
use crate::error::Error;
use crate::inference::device::threads;
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::pipeline::context::StreamContext;
use crate::pipeline::live_streams::Shared;
use crate::pipeline::observer::Observer;
use crate::pipeline::outcome::EngineInfo;
use crate::pipeline::overview::OverviewClip;
use crate::pipeline::pictures;
use crate::pipeline::resume;
use crate::pipeline::run_files::RunFiles;
use crate::pipeline::stream;
use crate::report::interval_table::IntervalTable;
use crate::report::overview::Clip;
use crate::system::memory;
use crate::telemetry::StreamState;

/// Ended clips whose confidences and pictures the page still shows. A run may have any number of clips.
const REMEMBERED: usize = 64;
/// Most threads that encode one video. With more, drawing takes longer.
const MAX_ENCODERS: usize = 4;

/// The clips and pictures.
pub struct Clips<'env> {
    config: &'env Config,
    model: &'env Model,
    /// For each job, whether `--resume` skips it.
    complete: &'env [bool],
    shared: Shared<'env>,
    /// The states of the run's jobs.
    streams: &'env [Arc<StreamState>],
    files: &'env RunFiles,
    /// Threads that encode the video of each clip.
    encoders: usize,
    /// The numbers of the jobs that are clips.
    order: Vec<usize>,
    /// The place of the next one to start; after the clips come the pictures.
    next: AtomicUsize,
    /// The states of the clips that ended last, oldest first.
    ended: Mutex<VecDeque<Arc<StreamState>>>,
}

impl<'env> Clips<'env> {
    pub fn new(
        config: &'env Config,
        model: &'env Model,
        complete: &'env [bool],
        shared: Shared<'env>,
        streams: &'env [Arc<StreamState>],
        files: &'env RunFiles,
    ) -> Self {
        let jobs = config.jobs.iter().enumerate();
        let order: Vec<usize> = jobs.filter(|(_, job)| job.live.is_none()).map(|(number, _)| number).collect();
        let encoders = encoders(threads(), config.max_clips.min(order.len()));
        Self {
            config,
            model,
            complete,
            shared,
            streams,
            files,
            encoders,
            order,
            next: AtomicUsize::new(0),
            ended: Mutex::default(),
        }
    }

    /// Starts the threads.
    pub fn start<'scope>(&'env self, scope: &'scope Scope<'scope, 'env>, engine: &Arc<Engine>) {
        let mut threads = 0;
        for number in 0..self.config.max_clips.min(self.all()) {
            let (engine, end) = (Arc::clone(engine), self.shared.running.begin());
            let work = move || {
                let _end = end;
                self.work(&engine);
            };
            match std::thread::Builder::new().name(format!("clip-{number}")).spawn_scoped(scope, work) {
                Ok(_) => threads += 1,
                Err(cause) => {
                    tracing::warn!("fewer inputs run at the same time, because a thread cannot be started: {cause}");
                }
            }
        }
        if threads == 0 {
            self.work(engine);
        }
    }

    /// Returns the states of the clips.
    pub fn states(&self) -> Vec<Arc<StreamState>> {
        self.order.iter().map(|&number| Arc::clone(&self.streams[number])).collect()
    }

    /// Returns how many were not started.
    pub fn not_started(&self) -> usize {
        self.all().saturating_sub(self.next.load(Ordering::Relaxed))
    }

    fn all(&self) -> usize {
        self.order.len() + self.config.pictures.len()
    }

    fn work(&self, engine: &Arc<Engine>) {
        let Shared { shutdown, observer, table, .. } = self.shared;
        let Self { config, model, .. } = *self;
        while !shutdown.requested() {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            match self.order.get(place) {
                Some(&number) => self.analyse(number, engine),
                None => {
                    let Some(picture) = config.pictures.get(place - self.order.len()) else { break };
                    let labeled = pictures::label(picture, model, engine, table, config.force);
                    observer.picture(&picture.name, labeled.as_ref());
                }
            }
        }
    }

    fn analyse(&self, number: usize, engine: &Arc<Engine>) {
        let Shared { shutdown, event_bus, table, index, learning, observer, clock, display, .. } = self.shared;
        let Self { config, model, .. } = *self;
        let (job, state) = (&config.jobs[number], &self.streams[number]);
        let overview = self.files.overview_clip(config, number, model);
        if self.complete[number] {
            return skip(job, state, table, overview.as_ref(), observer);
        }
        let info = EngineInfo::of(engine);
        let context = StreamContext {
            job,
            model,
            engine: &info,
            state,
            shutdown,
            event_bus,
            table,
            overview: overview.as_ref(),
            index,
            learning,
            observer,
            clock,
            display,
            encoders: self.encoders,
        };
        stream::run_observed(&context, Arc::clone(engine), None);
        self.forget_oldest(state);
        if self.all() > 1 {
            memory::give_back();
        }
    }

    /// Adds a clip that has ended, and forgets what takes memory of the one that ended long before it.
    fn forget_oldest(&self, state: &Arc<StreamState>) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push_back(Arc::clone(state));
        if ended.len() > REMEMBERED
            && let Some(oldest) = ended.pop_front()
        {
            oldest.forget();
        }
    }
}

/// Returns how many threads encode the video of each of `clips` that run at the same time. Encoding takes up to a third of
/// a sampled run's CPU time, so one thread keeps up with four cores.
fn encoders(cores: usize, clips: usize) -> usize {
    cores.div_ceil(4 * clips.max(1)).min(MAX_ENCODERS)
}

/// Passes on what an earlier run found in a clip.
fn skip(
    job: &Job,
    state: &Arc<StreamState>,
    table: Option<&IntervalTable>,
    overview: Option<&OverviewClip>,
    observer: &dyn Observer,
) {
    let passed = job.outputs.timeline.as_deref().map_or(Ok(()), |timeline| {
        let mut clip = overview.map(|overview| Clip::new(overview.labels()));
        let duration = resume::replay(timeline, &state.info, table, observer, &mut |interval| {
            clip.iter_mut().for_each(|clip| clip.add(interval));
        })?;
        if let (Some(overview), Some(clip)) = (overview, clip) {
            overview.labelled_earlier(clip, duration);
        }
        Ok(())
    });
    state.end(passed.as_ref().err().map(Error::to_string));
    match passed {
        Ok(()) => observer.skipped(state),
        Err(error) => observer.ended(state, Err(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_clip_on_many_cores_is_encoded_on_several_threads() {
        assert_eq!([(1, 1), (4, 1), (8, 1), (64, 1)].map(|(cores, clips)| encoders(cores, clips)), [1, 1, 2, 4]);
        assert_eq!([(8, 2), (16, 2), (16, 16), (2, 0)].map(|(cores, clips)| encoders(cores, clips)), [1, 2, 1, 1]);
    }
}
