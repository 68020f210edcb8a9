//! One input from its first frame to its closed files.
//!
//! Two threads: `prepare` takes frames from the decoder and asks the engine; `present`, the caller's own, waits for
//! the answers in order, decides, draws and writes. Between them is one bounded channel.

mod activity;
mod broadcast;
mod keeping;
pub mod live;
mod outputs;
mod pace;
pub(crate) mod painter;
mod prepare;
mod present;
mod recording;
mod retention;
mod segments;
mod space;
mod throttle;
mod viewing;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::bounded;

use crate::board::{Post, Progress};
use crate::error::{Error, Result};
use crate::events::announcer::Announcer;
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::inference::preprocess::Preprocessor;
use crate::jobs::{Job, Labelling};
use crate::labels::stride::Stride;
use crate::media::source::Source;
use crate::report::journal::Balance;
use outputs::Writers;
pub use outputs::check_absent;
use pace::Pace;
use prepare::{End, Preparer};
use present::{Closed, Presenter};

/// Frames that may wait besides, where not all are analysed.
const BETWEEN: usize = 16;

/// The user's wish to stop, seen by every thread.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<AtomicBool>);

impl Shutdown {
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// How a stream ended, with what it found. The files are closed either way.
pub struct Outcome {
    pub balance: Balance,
    pub files: Closed,
    /// End of the last labelled frame, in nanoseconds.
    pub position: u64,
    /// GStreamer's decoder of the clip.
    pub decoder: Option<String>,
    /// Set where the user stopped the run before the clip's end.
    pub interrupted: bool,
    /// Set where something went wrong on the way; what came before it is in the files.
    pub error: Option<Error>,
}

impl Outcome {
    /// Frames labelled in a second of real time.
    pub fn frames_per_second(&self) -> f64 {
        (self.balance.analysed + self.balance.held) as f64 / self.files.wall.as_secs_f64().max(1e-9)
    }
}

/// What a stream needs from outside.
pub struct Context<'a> {
    pub job: &'a Job,
    pub labelling: &'a Labelling,
    pub model: &'a Model,
    pub engine: &'a Engine,
    pub post: &'a Arc<Post>,
    /// That of the post.
    pub progress: &'a Progress,
    pub shutdown: &'a Shutdown,
    /// Who is told of events, if anybody is.
    pub announcer: Option<&'a Announcer>,
    /// Whether the pictures are shown in a window.
    pub display: bool,
}

/// Analyses one input. Blocks until its files are closed.
///
/// # Errors
/// Where nothing could be started: the input cannot be opened or an output not be created. What goes wrong later is in
/// the [`Outcome`].
pub fn run(context: &Context) -> Result<Outcome> {
    let Context { job, labelling, model, engine, progress, shutdown, .. } = context;
    let source = Source::open(&job.input, job.limits, &|| shutdown.requested())?;
    let facts = source.facts().clone();
    let faults = source.faults();
    progress.duration.set(facts.duration.unwrap_or(0));
    let began = Instant::now();
    context.post.begin(began);
    let pace = Pace::new(labelling.stride);
    progress.status_mut().size = Some((facts.layout.width, facts.layout.height));
    let writers = Writers::create(context, &facts)?;
    let mut presenter = Presenter::new(context, writers, &pace);
    let preparer = Preparer {
        source,
        client: engine.client()?,
        preprocessor: Preprocessor::new(&model.input),
        pace: &pace,
        progress,
        shutdown,
    };
    // Frames that wait for their answers: a batch for each worker, and one that is being filled; and those between two
    // that are analysed, so that work on them goes on meanwhile.
    let between = if labelling.stride == Stride::Every(1) { 0 } else { BETWEEN };
    let (sender, pending) = bounded((engine.workers() + 1) * engine.batch() + between);
    let (presented, end) = std::thread::scope(|scope| {
        let prepare = std::thread::Builder::new()
            .name("prepare".into())
            .spawn_scoped(scope, move || preparer.run(sender))
            .map_err(|cause| Error::unavailable("a thread cannot be started").because(cause));
        // With the receiver gone the other thread ends too, so this order cannot hang.
        let presented = presenter.run(pending);
        let end = match prepare {
            Ok(thread) => thread.join().unwrap_or_else(|_| End::Failed(Error::internal("a thread panicked"))),
            Err(error) => End::Failed(error),
        };
        (presented, end)
    });
    let interrupted = shutdown.requested() && matches!(end, End::Stopped);
    let mut error = match (presented, end) {
        (Err(error), _) | (Ok(()), End::Failed(error)) => Some(error),
        (Ok(()), End::Complete) => faults.verdict(&job.input),
        (Ok(()), End::Stopped) => None,
    };
    let complete = error.is_none() && !interrupted;
    let balance = Balance::from(progress.ledger.close());
    let mut files = presenter.finish(&balance, began, complete);
    error = error.or(std::mem::replace(&mut files.result, Ok(())).err());
    Ok(Outcome { balance, files, position: progress.position.get(), decoder: facts.decoder, interrupted, error })
}
