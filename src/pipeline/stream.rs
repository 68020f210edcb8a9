//! One stream, from its first frame to its closed files. A clip and a camera differ in their source and their stride.
//!
//! Two threads: `prepare` takes frames from the source and sends tensors to the engine; `present`, the caller's own, waits for
//! the predictions in order, labels, and passes the frames to the sinks. Between them is one bounded channel.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::bounded;

use crate::config::inputs::Job;
use crate::error::{Error, Result};
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::inference::preprocess::Preprocessor;
use crate::labels::decision::Decider;
use crate::labels::labeler::Labeler;
use crate::labels::smoothing::Smoothing;
use crate::labels::stride::Stride;
use crate::media::decode_errors::DecodeErrors;
use crate::pipeline::context::StreamContext;
use crate::pipeline::outcome::{EngineInfo, Outcome};
use crate::pipeline::prepare::{End, Preparer};
use crate::pipeline::present::Presenter;
use crate::pipeline::sinks::{self, set::Sinks};
use crate::pipeline::source::{CameraSource, ClipSource, FrameSource};
use crate::pipeline::stride;
use crate::printable;
use crate::report::summary::Gaps;
use crate::telemetry::{StreamInfo, StreamState};

/// Frames of a camera that wait for their answers. Few, as each is a frame's delay.
const PENDING_LIVE: usize = 4;
/// Frames of a clip that may wait besides, where not all are analysed.
const PENDING_HELD: usize = 16;

/// A source with the sinks of its stream.
struct Stream<'a> {
    source: Box<dyn FrameSource>,
    sinks: Sinks<'a>,
    began: Instant,
    /// What goes wrong while a clip is decoded.
    decode_errors: Option<Arc<DecodeErrors>>,
    decoder: Option<String>,
}

/// Analyses one input. Blocks until its files are closed.
///
/// # Errors
/// Where nothing could be started: the input cannot be opened or an output not be created. What goes wrong later is in
/// the [`Outcome`].
pub fn run(context: &StreamContext) -> Result<Outcome> {
    let StreamContext { job, model, engine, shutdown, .. } = context;
    let progress = &context.state.progress;
    let Stream { source, sinks, began, decode_errors, decoder } = open(context)?;
    let live = job.live.is_some();
    let option = job.label_config.stride;
    let stride = stride::select(option, live.then(|| engine.live()));
    let preparer = Preparer {
        source,
        client: engine.client(live),
        preprocessor: Preprocessor::new(&model.input),
        stride: stride.as_ref(),
        sparse: live,
        began,
        progress,
        shutdown,
    };
    let mut presenter = Presenter {
        sinks,
        labeler: labeler(context),
        labels: &model.labels,
        stride: stride.as_ref(),
        live,
        began,
        progress,
        position: None,
        lost: None,
        intervals: 0,
        gaps: Gaps::default(),
        long_gaps: 0,
    };
    let (sender, messages) = bounded(if live { PENDING_LIVE } else { pending(engine, option) });
    let (presented, end) = std::thread::scope(|scope| {
        let prepare = std::thread::Builder::new()
            .name("prepare".into())
            .spawn_scoped(scope, move || preparer.run(sender))
            .map_err(|cause| Error::unavailable("a thread cannot be started").because(cause));
        // With the receiver gone the other thread ends too, so this order cannot hang.
        let presented = presenter.run(messages);
        let end = match prepare {
            Ok(thread) => thread.join().unwrap_or_else(|_| End::Failed(Error::internal("a thread panicked"))),
            Err(error) => End::Failed(error),
        };
        (presented, end)
    });
    let interrupted = !live && shutdown.requested() && matches!(end, End::Stopped);
    let error = match (presented, end) {
        (Err(error), _) | (Ok(()), End::Failed(error)) => Some(error),
        (Ok(()), End::Complete) => {
            let errors = decode_errors.and_then(|decode_errors| decode_errors.verdict(&job.input));
            errors.or_else(|| (progress.counters.counts().decoded == 0).then(|| no_frames(&job.input)))
        }
        (Ok(()), End::Stopped) => None,
    };
    let status = progress.status();
    let mut outcome = Outcome {
        frames: progress.counters.close().into(),
        complete: error.is_none() && !interrupted,
        interrupted,
        error,
        position: progress.position.get(),
        stride: stride.measured(),
        reconnects: status.reconnects,
        stalls: status.stalls,
        decoder,
        ..Outcome::new(began, EngineInfo::of(engine))
    };
    presenter.finish(&mut outcome);
    Ok(outcome)
}

fn open<'a>(context: &StreamContext<'a>) -> Result<Stream<'a>> {
    let StreamContext { job, state, shutdown, .. } = context;
    let counters = &state.progress.counters;
    if let Some(live) = &job.live {
        let began = Instant::now();
        state.begin(began);
        let sinks = sinks::camera(context, live, began)?;
        let source = Box::new(CameraSource::new(&job.name, &live.camera, job.limits, counters, began));
        return Ok(Stream { source, sinks, began, decode_errors: None, decoder: None });
    }
    let source = ClipSource::open(&job.input, job.limits, counters, &|| shutdown.requested())?;
    let began = Instant::now();
    state.begin(began);
    let format = source.format().clone();
    state.progress.duration.set(format.duration.unwrap_or(0));
    state.progress.status_mut().size = Some((format.layout.width, format.layout.height));
    let sinks = sinks::clip(context, &format)?;
    let decode_errors = Some(source.decode_errors());
    Ok(Stream { source: Box::new(source), sinks, began, decode_errors, decoder: format.decoder })
}

/// The state of a job's stream before it starts. With `shown`, viewers may ask for its pictures.
pub fn state(job: &Job, model: &Model, shown: bool) -> Arc<StreamState> {
    let info = StreamInfo {
        name: job.name.clone(),
        input: printable::path(&job.input),
        live: job.live.is_some(),
        labels: model.labels.clone(),
        threshold: job.label_config.threshold.unwrap_or(model.threshold),
        action: job.label_config.action.clone(),
    };
    Arc::new(StreamState::new(info, shown))
}

fn labeler(context: &StreamContext) -> Labeler {
    let StreamContext { job, model, .. } = context;
    let options = &job.label_config;
    let action = options.action.as_ref().and_then(|action| model.labels.iter().position(|label| label == action));
    let threshold = options.threshold.unwrap_or(model.threshold);
    let smoothing = Smoothing::new(options.window.unwrap_or(model.window), model.labels.len());
    Labeler::new(smoothing, Decider::new(action, threshold, options.hysteresis))
}

fn no_frames(input: &std::path::Path) -> Error {
    Error::failed(format!("{}: not one frame could be decoded", printable::path(input)))
        .remedy("copy or record the clip again")
}

/// Frames of a clip that wait for their answers: a batch for each worker, and one that is being filled; and those between
/// two that are analysed, so that work on them goes on meanwhile.
fn pending(engine: &Engine, stride: Stride) -> usize {
    let held = if stride == Stride::Every(1) { 0 } else { PENDING_HELD };
    (engine.workers() + 1) * engine.batch() + held
}
