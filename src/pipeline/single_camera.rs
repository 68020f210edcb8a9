//! One camera on an engine that it shares with others, without what belongs to a whole run: page, table, learning.

use std::sync::Arc;

use crate::config::inputs::Job;
use crate::error::{Error, Result};
use crate::events::event_bus::EventBus;
use crate::history::IndexWriter;
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::pipeline::analyzer::check_action;
use crate::pipeline::context::StreamContext;
use crate::pipeline::outcome::{EngineInfo, Outcome};
use crate::pipeline::standby::Standby;
use crate::pipeline::stream;
use crate::shutdown::Shutdown;
use crate::system::clock::SharedClock;
use crate::telemetry::StreamState;

/// A camera and what it is labelled with.
pub struct SingleCamera<'a> {
    pub job: &'a Job,
    pub model: &'a Model,
    pub engine: &'a Arc<Engine>,
    pub state: &'a Arc<StreamState>,
    pub event_bus: &'a EventBus,
    /// What it waits for before its first frame; released from the start if it does not.
    pub standby: &'a Standby,
    pub clock: &'a SharedClock,
    pub shutdown: &'a Shutdown,
}

impl SingleCamera<'_> {
    /// Labels the camera until it is stopped. Blocks until its files are complete.
    ///
    /// # Errors
    /// Those of its files and of the engine. A camera that is lost is connected again.
    pub fn label(&self) -> Result<Outcome> {
        stream::end(self.state, self.try_label())
    }

    fn try_label(&self) -> Result<Outcome> {
        let Self { job, model, engine, state, event_bus, standby, clock, shutdown } = *self;
        check_action(&job.label_config, model)?;
        let no_camera = || Error::usage(format!("{}: is no camera", job.name));
        let live = job.live.as_ref().ok_or_else(no_camera)?;
        state.start();
        let mut camera = stream::connect(job, live, state, clock);
        // Another program may still write the camera's files.
        standby.wait(&mut *camera.source, state, clock, shutdown)?;
        let index = IndexWriter::start(vec![live.recording.folder.clone()], clock)?;
        let info = EngineInfo::of(engine);
        let context = StreamContext {
            event_bus: Some(event_bus),
            index: Some(&index),
            ..StreamContext::alone(job, model, &info, state, clock, shutdown)
        };
        stream::run_camera(&context, live, Arc::clone(engine), camera)
    }
}
