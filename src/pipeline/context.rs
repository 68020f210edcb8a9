//! The context of a stream: its job, and what it shares with other streams.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::config::inputs::Job;
use crate::events::event_bus::EventBus;
use crate::history::IndexWriter;
use crate::inference::model::Model;
use crate::learning::LearningClient;
use crate::pipeline::observer::Observer;
use crate::pipeline::outcome::EngineInfo;
use crate::pipeline::overview::OverviewClip;
use crate::report::interval_table::IntervalTable;
use crate::report::journal::{ClipFile, Header, ModelName};
use crate::shutdown::Shutdown;
use crate::system::clock::SharedClock;
use crate::system::utc;
use crate::telemetry::{LabelSettings, StreamState};

/// Everything that a stream gets from its caller.
pub struct StreamContext<'a> {
    pub job: &'a Job,
    pub model: &'a Model,
    /// What runs the model at the start.
    pub engine: &'a EngineInfo,
    pub state: &'a Arc<StreamState>,
    pub shutdown: &'a Shutdown,
    /// The event bus, if there are event receivers.
    pub event_bus: Option<&'a EventBus>,
    /// The run's table of intervals, if it has one.
    pub table: Option<&'a IntervalTable>,
    /// The thumbnails of a clip, if the run has an overview.
    pub overview: Option<&'a OverviewClip<'a>>,
    /// What writes the index, if the run keeps one.
    pub index: Option<&'a IndexWriter>,
    /// What keeps frames for learning, if the run keeps any.
    pub learning: Option<&'a LearningClient>,
    pub observer: &'a dyn Observer,
    pub clock: &'a SharedClock,
    /// Whether to open a window.
    pub display: bool,
    /// Threads that encode the labelled video of a clip.
    pub encoders: usize,
}

impl<'a> StreamContext<'a> {
    /// Returns the context of a stream without what belongs to a whole run.
    pub fn alone(
        job: &'a Job,
        model: &'a Model,
        engine: &'a EngineInfo,
        state: &'a Arc<StreamState>,
        clock: &'a SharedClock,
        shutdown: &'a Shutdown,
    ) -> Self {
        Self {
            job,
            model,
            engine,
            state,
            shutdown,
            event_bus: None,
            table: None,
            overview: None,
            index: None,
            learning: None,
            observer: &(),
            clock,
            display: false,
            encoders: 1,
        }
    }
}

/// Returns the header of the stream's journal.
pub(super) fn header(context: &StreamContext) -> Header {
    header_of(context.job, context.model, context.engine.device.clone(), context.clock.utc())
}

/// Returns the header of a journal of `job` that began at `started`.
pub(super) fn header_of(job: &Job, model: &Model, device: String, started: OffsetDateTime) -> Header {
    let (label_config, rule) = (&job.label_config, job.label_config.rule(model));
    let file = job.live.is_none().then(|| std::fs::metadata(&job.input).ok()).flatten();
    let file = file.map(|file| {
        let modified = file.modified().ok().map(|time| utc::exact(utc::of(time)));
        Box::new(ClipFile { bytes: file.len(), modified })
    });
    Header {
        input: job.shown(),
        file,
        started: utc::exact(started),
        model: ModelName { name: model.name.clone(), sha256: model.sha256.clone(), labels: model.labels.clone() },
        action: label_config.action.clone(),
        window: rule.window,
        window_align: rule.align,
        threshold: rule.threshold,
        hysteresis: rule.hysteresis,
        stride: serde_json::json!(label_config.stride),
        device,
        opened: None,
        opened_ms: None,
        stream: job.live.is_some().then(|| job.name.clone()),
        clock_back_ms: None,
    }
}

/// Returns the settings of a job's labels, as a page shows them.
pub fn label_settings(job: &Job, model: &Model) -> LabelSettings {
    LabelSettings { threshold: job.label_config.rule(model).threshold, action: job.label_config.action.clone() }
}
