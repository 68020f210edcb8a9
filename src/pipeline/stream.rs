//! The pipeline of one stream, from its first frame to its finalised files. A clip and a camera differ in their source,
//! their stride policy and their sinks.
//!
//! Two threads: `prepare` takes frames from the source and submits tensors to the engine; `present`, on the caller's
//! thread, waits for the predictions in order, labels, and passes the frames to the sinks. A bounded channel joins
//! them.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, bounded};

use crate::config::cameras::CameraConfig;
use crate::config::inputs::Job;
use crate::error::{Error, Result};
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::inference::preprocess::Preprocessor;
use crate::labels::sampling::STRICTNESS;
use crate::labels::stride::Stride;
use crate::media::decode_errors::DecodeErrors;
use crate::media::packets::PacketQueue;
use crate::pipeline::context::{StreamContext, label_settings};
use crate::pipeline::outcome::Outcome;
use crate::pipeline::prepare::{End, Preparer};
use crate::pipeline::present::Presenter;
use crate::pipeline::settings_change::Command;
use crate::pipeline::sinks::{self, set::Sinks};
use crate::pipeline::source::{self, CameraSource, ClipSource, FrameSource};
use crate::pipeline::stride;
use crate::system::clock::SharedClock;
use crate::system::printable;
use crate::telemetry::{StreamInfo, StreamState};

/// Frames of a camera that may wait for their predictions. Few, since each adds a frame's duration to the latency.
const PENDING_LIVE: usize = 4;
/// Additional frames of a clip that may wait if the stride is not 1.
const PENDING_HELD: usize = 16;

/// Frames a second that are assumed where the container does not state them, to plan the memory of adaptive sampling.
const UNKNOWN_RATE: f64 = 30.0;
/// Memory for frames that wait for a centred window or for adaptive sampling: 32 frames of 3840×2160, or a second of 1920×1080
/// at any usual rate. A window that needs more looks less far ahead.
const MAX_HELD_BYTES: usize = 384 << 20;

/// A stream's source and sinks.
pub(crate) struct Stream<'a> {
    pub source: Box<dyn FrameSource>,
    pub sinks: Sinks<'a>,
    pub began: Instant,
    /// Errors while decoding a clip.
    pub decode_errors: Option<Arc<DecodeErrors>>,
    pub decoder: Option<String>,
    /// Number of frames that may wait for their label.
    pub max_held: usize,
    /// Frames a second of a clip, as its container states it.
    pub frame_rate: f64,
}

/// Analyses one input on `engine`, and tells its state and the observer. Blocks until its files are finalised. What a camera
/// is to change while it runs comes as `commands`.
pub fn run_observed(context: &StreamContext, engine: Arc<Engine>, commands: Option<Receiver<Command>>) {
    let StreamContext { state, observer, overview, .. } = *context;
    state.start();
    observer.started(state);
    let result = run(context, engine, commands);
    let failure = result.as_ref().map_or_else(Some, |outcome| outcome.error.as_ref());
    state.end(failure.map(Error::to_string));
    if let Some(overview) = overview {
        overview.ended(result.as_ref());
    }
    observer.ended(state, result.as_ref());
}

/// Analyses one input. Blocks until its files are finalised.
///
/// # Errors
/// Returns an error if the stream cannot start: the input cannot be opened or an output cannot be created. Later errors
/// are in the [`Outcome`].
pub fn run(context: &StreamContext, engine: Arc<Engine>, commands: Option<Receiver<Command>>) -> Result<Outcome> {
    let stream = open(context)?;
    Ok(analyse(context, engine, commands, stream))
}

/// Analyses a stream that is open.
pub(crate) fn analyse(
    context: &StreamContext,
    engine: Arc<Engine>,
    commands: Option<Receiver<Command>>,
    stream: Stream,
) -> Outcome {
    let StreamContext { job, model, shutdown, .. } = context;
    let progress = &context.state.progress;
    let Stream { source, sinks, began, decode_errors, decoder, max_held, frame_rate } = stream;
    let live = job.live.is_some();
    let option = job.label_config.stride;
    let stride = stride::select(option, live.then(|| engine.live()));
    let rule = job.label_config.rule(model);
    let sampled = option == Stride::Auto && !live;
    // The labeler holds up to half as many frames once more.
    let plan = sampled.then(|| rule.sampling_plan(frame_rate, max_held * 2 / 3, STRICTNESS));
    let labels = model.labels.len();
    let capacity = if live { PENDING_LIVE } else { pending(&engine, option) };
    let labeler = rule.labeler(labels, plan.map_or(max_held, |plan| plan.max_ahead()));
    let preparer = Preparer {
        source,
        client: engine.client(live),
        engine,
        preprocessor: Preprocessor::new(&model.input),
        stride: Arc::clone(&stride),
        stride_option: option,
        commands,
        sampler: plan.map(|plan| rule.sampler(labels, plan)),
        sparse: live,
        clock: context.clock,
        began,
        progress,
        shutdown,
    };
    let mut presenter = Presenter::new(context, sinks, labeler, stride, began);
    let (sender, messages) = bounded(capacity);
    let (presented, end) = std::thread::scope(|scope| {
        let prepare = std::thread::Builder::new()
            .name("prepare".into())
            .spawn_scoped(scope, move || preparer.run(sender))
            .map_err(|cause| Error::unavailable("a thread cannot be started").because(cause));
        // `run` drops the receiver, which ends the other thread, so the join cannot hang.
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
            let errors = decode_errors.and_then(|decode_errors| decode_errors.error(&job.input));
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
        reconnects: status.reconnects,
        stalls: status.stalls,
        decoder,
        ..Outcome::new(began)
    };
    presenter.finish(&mut outcome);
    outcome
}

/// Says that a stream has ended. An error while it ran is one of the result from then on.
///
/// # Errors
/// Those of the stream.
pub(crate) fn end(state: &StreamState, mut result: Result<Outcome>) -> Result<Outcome> {
    let error = result.as_mut().ok().and_then(|outcome| outcome.error.take());
    let result = error.map_or(result, Err);
    state.end(result.as_ref().err().map(Error::to_string));
    result
}

/// A camera that is connected, or connects, and has no outputs yet.
pub(crate) struct ConnectedCamera {
    pub source: Box<CameraSource>,
    /// Its own video, if it is recorded.
    packets: Option<Arc<PacketQueue>>,
    began: Instant,
}

/// Begins to connect a camera.
pub(crate) fn connect(job: &Job, live: &CameraConfig, state: &StreamState, clock: &SharedClock) -> ConnectedCamera {
    let (began, counters) = (clock.instant(), &state.progress.counters);
    state.begin(began);
    let packets = source::packets(&job.name, live);
    let queue = packets.clone();
    let source = CameraSource::new(&job.name, &live.camera, job.limits, counters, clock, began, queue);
    ConnectedCamera { source: Box::new(source), packets, began }
}

/// Analyses a camera that is connected. Blocks until its files are finalised.
///
/// # Errors
/// Those of [`run`].
pub(crate) fn run_camera(
    context: &StreamContext,
    live: &CameraConfig,
    engine: Arc<Engine>,
    camera: ConnectedCamera,
) -> Result<Outcome> {
    let stream = with_sinks(context, live, camera)?;
    Ok(analyse(context, engine, None, stream))
}

fn with_sinks<'a>(context: &StreamContext<'a>, live: &CameraConfig, camera: ConnectedCamera) -> Result<Stream<'a>> {
    let ConnectedCamera { source, packets, began } = camera;
    let sinks = sinks::camera(context, live, began, packets.as_ref())?;
    Ok(Stream { source, sinks, began, decode_errors: None, decoder: None, max_held: 0, frame_rate: 0.0 })
}

fn open<'a>(context: &StreamContext<'a>) -> Result<Stream<'a>> {
    let StreamContext { job, state, shutdown, clock, .. } = context;
    if let Some(live) = &job.live {
        return with_sinks(context, live, connect(job, live, state, clock));
    }
    let counters = &state.progress.counters;
    let source = ClipSource::open(&job.input, job.limits, counters, &|| shutdown.requested())?;
    let began = clock.instant();
    state.begin(began);
    let format = source.format().clone();
    state.progress.duration.set(format.duration.unwrap_or(0));
    state.progress.status_mut().size = Some((format.layout.width, format.layout.height));
    let sinks = sinks::clip(context, &format)?;
    let decode_errors = Some(source.decode_errors());
    let frame_rate = format.frame_rate.map_or(UNKNOWN_RATE, |(frames, seconds)| f64::from(frames) / f64::from(seconds));
    let max_held = (MAX_HELD_BYTES / format.layout.bytes().max(1)).max(1);
    Ok(Stream { source: Box::new(source), sinks, began, decode_errors, decoder: format.decoder, max_held, frame_rate })
}

/// The state of a job's stream before it starts. With `shown`, viewers may request its pictures.
pub fn state(job: &Job, model: &Model, shown: bool, clock: &SharedClock) -> Arc<StreamState> {
    let info = StreamInfo {
        name: job.name.clone(),
        input: job.shown(),
        live: job.live.is_some(),
        labels: model.labels.clone(),
    };
    Arc::new(StreamState::new(info, label_settings(job, model), shown, clock))
}

/// Returns the error for a clip without frames.
pub(crate) fn no_frames(input: &std::path::Path) -> Error {
    Error::failed(format!("{}: no frame could be decoded", printable::path(input)))
        .remedy("copy or record the clip again")
}

/// Returns how many frames of a clip may wait for their predictions: a batch for each worker and one that is being
/// filled, plus held frames if the stride is not 1.
fn pending(engine: &Engine, stride: Stride) -> usize {
    let held = if stride == Stride::Every(1) { 0 } else { PENDING_HELD };
    (engine.workers() + 1) * engine.batch() + held
}
