//! One clip on an engine that it shares with others, without what belongs to a whole run: page, table, overview, events.

use std::sync::Arc;

use crate::config::inputs::Job;
use crate::error::Result;
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::pipeline::analyzer::check_action;
use crate::pipeline::context::StreamContext;
use crate::pipeline::outcome::{EngineInfo, Outcome};
use crate::pipeline::stream;
use crate::shutdown::Shutdown;
use crate::system::clock::SharedClock;
use crate::system::memory;
use crate::telemetry::StreamState;

/// Labels a clip. Blocks until its files are complete. `state` shows how far it is.
///
/// # Errors
/// Those of the clip and its outputs, before the first frame or after it.
pub fn label(
    job: &Job,
    model: &Model,
    engine: &Arc<Engine>,
    state: &Arc<StreamState>,
    clock: &SharedClock,
    shutdown: &Shutdown,
) -> Result<Outcome> {
    check_action(&job.label_config, model)?;
    let info = EngineInfo::of(engine);
    let context = StreamContext::alone(job, model, &info, state, clock, shutdown);
    state.start();
    let outcome = stream::end(state, stream::run(&context, Arc::clone(engine), None));
    memory::give_back();
    outcome
}
