//! Changes the model in use while the run goes on.

use std::sync::Arc;

use crate::config::Config;
use crate::error::Result;
use crate::inference::model::Model;
use crate::learning::models::Models;
use crate::pipeline::live_streams::LiveStreams;
use crate::pipeline::{model_in_use, reload};
use crate::shutdown::Shutdown;
use crate::telemetry::StreamState;

/// Makes the model with this name, or the one that the run names, the model in use. Each camera changes between two frames.
/// Returns what was changed.
///
/// # Errors
/// Returns why nothing was changed.
pub fn switch(
    config: &Config,
    models: &Models,
    name: Option<&str>,
    shutdown: &Shutdown,
    live: &mut LiveStreams,
    clips: &[Arc<StreamState>],
) -> Result<String> {
    if live.streams.is_empty() {
        return model_in_use::choose(models, name);
    }
    let model = Arc::new(Model::read(&models.path(name)?)?);
    if model.sha256 == live.model.sha256 {
        models.set_in_use(name)?;
        return Ok(format!("{} is in use", model.name));
    }
    let (plan, engine) = reload::with_model(config, &model, shutdown, live)?;
    // Written before any camera changes: from here on nothing can fail.
    models.set_in_use(name)?;
    let answer = format!("model {}, {} changed", model.name, plan.len());
    live.apply(plan, Some((model, engine)), clips);
    Ok(answer)
}
