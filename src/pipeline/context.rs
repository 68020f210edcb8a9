//! The context of a stream: its job, and what it shares with other streams.

use std::sync::Arc;

use crate::config::inputs::Job;
use crate::events::event_bus::EventBus;
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::labels::stride::Stride;
use crate::pipeline::observer::Observer;
use crate::report::interval_table::IntervalTable;
use crate::report::journal::{Header, ModelName};
use crate::shutdown::Shutdown;
use crate::system::printable;
use crate::system::utc;
use crate::telemetry::StreamState;

/// Everything that a stream gets from its caller.
pub struct StreamContext<'a> {
    pub job: &'a Job,
    pub model: &'a Model,
    pub engine: &'a Engine,
    pub state: &'a Arc<StreamState>,
    pub shutdown: &'a Shutdown,
    /// The event bus, if there are event receivers.
    pub event_bus: Option<&'a EventBus>,
    /// The run's table of intervals, if it has one.
    pub table: Option<&'a IntervalTable>,
    pub observer: &'a dyn Observer,
    /// Whether to open a window.
    pub display: bool,
}

/// Returns the header of the stream's journal.
pub(super) fn header(context: &StreamContext) -> Header {
    let StreamContext { job, model, engine, .. } = context;
    let label_config = &job.label_config;
    Header {
        input: printable::path(&job.input),
        started: utc::exact(utc::now()),
        model: ModelName { name: model.name.clone(), sha256: model.sha256.clone(), labels: model.labels.clone() },
        action: label_config.action.clone(),
        window: label_config.window.unwrap_or(model.window),
        threshold: label_config.threshold.unwrap_or(model.threshold),
        hysteresis: label_config.hysteresis,
        stride: match label_config.stride {
            Stride::Every(stride) => stride.into(),
            Stride::Auto => "auto".into(),
        },
        device: engine.device().to_string(),
        opened: None,
        opened_ms: None,
    }
}
