//! The cameras of a run, each on a thread of its own: starts, changes, restarts and stops one without touching the others.

use std::sync::Arc;
use std::thread::{Scope, ScopedJoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::config::inputs::Job;
use crate::error::{Error, Result};
use crate::events::event_bus::EventBus;
use crate::history::IndexWriter;
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::learning::LearningClient;
use crate::pipeline::context::StreamContext;
use crate::pipeline::observer::Observer;
use crate::pipeline::outcome::EngineInfo;
use crate::pipeline::running::Running;
use crate::pipeline::settings_change::{COMMANDS, Command};
use crate::pipeline::stream;
use crate::report::interval_table::IntervalTable;
use crate::shutdown::Shutdown;
use crate::system::clock::SharedClock;
use crate::telemetry::{StreamState, Telemetry};

/// What the cameras share.
#[derive(Clone, Copy)]
pub struct Shared<'env> {
    pub shutdown: &'env Shutdown,
    pub event_bus: Option<&'env EventBus>,
    pub table: Option<&'env IntervalTable>,
    pub index: Option<&'env IndexWriter>,
    pub learning: Option<&'env LearningClient>,
    pub observer: &'env dyn Observer,
    pub clock: &'env SharedClock,
    pub display: bool,
    pub telemetry: &'env Telemetry,
    /// Whether a page shows the streams.
    pub shown: bool,
    /// Counts the threads that run.
    pub running: &'env Running,
}

/// The cameras of a run.
pub struct LiveStreams<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    shared: Shared<'env>,
    pub model: Arc<Model>,
    engine: Arc<Engine>,
    /// Engines that streams may still wait for.
    retired: Vec<Arc<Engine>>,
    pub streams: Vec<LiveStream<'scope>>,
}

/// A camera and its thread.
pub struct LiveStream<'scope> {
    pub job: Arc<Job>,
    pub state: Arc<StreamState>,
    pub paused: bool,
    stop: Shutdown,
    commands: Sender<Command>,
    thread: Option<ScopedJoinHandle<'scope, ()>>,
}

impl LiveStream<'_> {
    pub fn name(&self) -> &str {
        &self.job.name
    }

    /// Returns whether its thread has ended: it could not start, or failed.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(ScopedJoinHandle::is_finished)
    }

    fn tell(&self, command: Command) -> Result<()> {
        self.commands.try_send(command).map_err(|_| {
            Error::unavailable(format!("{}: the stream does not respond", self.name())).remedy("try again later")
        })
    }
}

/// What becomes of a camera of the new configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Added,
    /// Its source or its files changed, or it had failed: it is stopped and started.
    Restarted,
    /// The settings of its labels changed.
    Changed,
    Kept,
}

/// A camera of the new configuration.
pub struct Planned {
    pub job: Arc<Job>,
    pub fate: Fate,
    /// Whether it is paused from then on.
    pub paused: bool,
}

impl<'scope, 'env> LiveStreams<'scope, 'env> {
    pub fn new(
        scope: &'scope Scope<'scope, 'env>,
        shared: Shared<'env>,
        model: Arc<Model>,
        engine: Arc<Engine>,
    ) -> Self {
        Self { scope, shared, model, engine, retired: Vec::new(), streams: Vec::new() }
    }

    /// Starts a camera whose state is known to the telemetry.
    pub fn start(&mut self, job: Arc<Job>, state: Arc<StreamState>, paused: bool) {
        let (commands, receiver) = bounded(COMMANDS);
        let stop = self.shared.shutdown.child();
        let mut stream = LiveStream { job, state, paused, stop, commands, thread: None };
        if paused {
            // Obeyed before it connects.
            let _ = stream.tell(Command::Pause);
        }
        match self.spawn(&stream, receiver) {
            Ok(thread) => stream.thread = Some(thread),
            Err(cause) => {
                let error = Error::unavailable(format!("{}: its thread cannot be started", stream.name()))
                    .because(cause)
                    .remedy("reload to try again");
                stream.state.end(Some(error.to_string()));
                self.shared.observer.ended(&stream.state, Err(&error));
            }
        }
        self.streams.push(stream);
    }

    fn spawn(&self, stream: &LiveStream, commands: Receiver<Command>) -> std::io::Result<ScopedJoinHandle<'scope, ()>> {
        let (shared, stop, end) = (self.shared, stream.stop.clone(), self.shared.running.begin());
        let (job, state) = (Arc::clone(&stream.job), Arc::clone(&stream.state));
        let (model, engine) = (Arc::clone(&self.model), Arc::clone(&self.engine));
        let work = move || {
            let _end = end;
            let info = EngineInfo::of(&engine);
            let context = StreamContext {
                job: &job,
                model: &model,
                engine: &info,
                state: &state,
                shutdown: &stop,
                event_bus: shared.event_bus,
                table: shared.table,
                overview: None,
                index: shared.index,
                learning: shared.learning,
                observer: shared.observer,
                clock: shared.clock,
                display: shared.display,
                encoders: 1,
            };
            stream::run_observed(&context, engine, Some(commands));
        };
        std::thread::Builder::new().name("stream".into()).spawn_scoped(self.scope, work)
    }

    /// Pauses or resumes a camera. Returns what was done.
    ///
    /// # Errors
    /// Usage, if there is no such camera, or it has ended.
    pub fn pause(&mut self, name: &str, pause: bool) -> Result<String> {
        let what = if pause { "paused" } else { "resumed" };
        let stream = self.streams.iter_mut().find(|stream| stream.name() == name).ok_or_else(|| {
            Error::usage(format!("{name}: is no camera of this run")).remedy("only cameras can be paused")
        })?;
        if stream.has_ended() {
            return Err(Error::usage(format!("{name}: has failed")).remedy("reload to start it again"));
        }
        if stream.paused == pause {
            return Ok(format!("{name} was {what} before"));
        }
        stream.tell(if pause { Command::Pause } else { Command::Resume })?;
        stream.paused = pause;
        Ok(format!("{what} {name}"))
    }

    /// Makes the cameras those that are `planned`, in their order, and stops all others. `replaced` are another model and its
    /// engine, and `clips` the states of the other streams of the run.
    pub fn apply(
        &mut self,
        planned: Vec<Planned>,
        replaced: Option<(Arc<Model>, Arc<Engine>)>,
        clips: &[Arc<StreamState>],
    ) {
        if let Some((model, engine)) = replaced {
            self.model = model;
            self.retired.push(std::mem::replace(&mut self.engine, engine));
        }
        let stays = |stream: &LiveStream| {
            let kept = |planned: &&Planned| matches!(planned.fate, Fate::Changed | Fate::Kept);
            planned.iter().filter(kept).any(|planned| planned.job.name == stream.job.name)
        };
        let (mut kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.streams).into_iter().partition(stays);
        stop(gone);
        let states: Vec<Arc<StreamState>> = planned
            .iter()
            .map(|planned| {
                let old = kept.iter().find(|stream| stream.job.name == planned.job.name);
                old.map_or_else(|| self.state(&planned.job), |stream| Arc::clone(&stream.state))
            })
            .collect();
        self.shared.telemetry.replace(states.iter().chain(clips).cloned().collect());
        for (planned, state) in planned.into_iter().zip(states) {
            match kept.iter().position(|stream| stream.job.name == planned.job.name) {
                Some(index) => {
                    let mut stream = kept.swap_remove(index);
                    self.change(&mut stream, planned);
                    self.streams.push(stream);
                }
                None => self.start(planned.job, state, planned.paused),
            }
        }
    }

    fn state(&self, job: &Job) -> Arc<StreamState> {
        stream::state(job, &self.model, self.shared.shown, self.shared.clock)
    }

    /// Tells a camera what changes while it runs.
    fn change(&self, stream: &mut LiveStream, Planned { job, fate, paused }: Planned) {
        let changed = match fate {
            Fate::Changed => stream.tell(Command::Settings {
                job: Arc::clone(&job),
                model: Arc::clone(&self.model),
                engine: Arc::clone(&self.engine),
            }),
            _ => Ok(()),
        };
        let told = changed.and_then(|()| match paused {
            paused if paused == stream.paused => Ok(()),
            true => stream.tell(Command::Pause),
            false => stream.tell(Command::Resume),
        });
        match told {
            Ok(()) => (stream.job, stream.paused) = (job, paused),
            Err(error) => tracing::error!("{error}; it keeps its settings"),
        }
    }

    /// Frees engines that no stream waits for any more.
    pub fn tidy(&mut self) {
        self.retired.retain(|engine| Arc::strong_count(engine) > 1);
    }

    /// Returns whether streams still use an engine that was replaced.
    pub fn is_changing(&self) -> bool {
        !self.retired.is_empty()
    }
}

/// Stops cameras, and waits until their files are closed. All are told before the first is waited for.
fn stop(streams: Vec<LiveStream>) {
    streams.iter().for_each(|stream| stream.stop.request());
    for thread in streams.into_iter().filter_map(|stream| stream.thread) {
        let _ = thread.join();
    }
}
