//! `livelabel worker`: labels the clips of a cluster.

use std::sync::Arc;

use crate::cli::cluster_args::WorkerArgs;
use crate::cli::run::{self, Prepared};
use crate::cluster::clip::Labelling;
use crate::cluster::names;
use crate::cluster::part;
use crate::cluster::worker::Worker;
use crate::cluster::worker_state::WorkerState;
use crate::config::clips_at_once;
use crate::config::nats::NatsConfig;
use crate::error::{Error, Result};
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::inference::session::SessionOptions;
use crate::media;
use crate::pipeline::permissions::{self, WorkerFiles};
use crate::shutdown::Shutdown;
use crate::system::clock::SystemClock;
use crate::system::memory;

/// Bytes of the machine's name in that of a worker.
const HOST: usize = 40;

/// A worker before its first thread.
pub struct Plan {
    nats: NatsConfig,
    name: String,
    _prepared: Option<Prepared>,
}

/// Checks the arguments, and gives up the rights that a worker does not need. Call it before the first thread is started.
///
/// # Errors
/// Usage, if an argument is invalid; `Unavailable` if the sandbox cannot be made.
pub fn prepare(args: &WorkerArgs) -> Result<Plan> {
    let nats = NatsConfig::resolve(&args.nats)?;
    let name = args.name.clone().unwrap_or_else(default_name);
    if !names::is_token(&name) {
        return Err(Error::usage(format!("{name:?} cannot be the name of a worker"))
            .remedy("use up to 64 letters, digits, - and _"));
    }
    for folder in &args.inputs {
        if !folder.is_dir() {
            return Err(
                Error::usage(format!("{}: is no folder", folder.display())).remedy("name the folder of the clips")
            );
        }
    }
    let files =
        WorkerFiles { output: &args.output_dir, inputs: &args.inputs, model: args.model.as_deref(), nats: &nats };
    let prepared = if args.no_sandbox { None } else { Some(run::enter_sandbox(permissions::of_worker(&files))?) };
    Ok(Plan { nats, name, _prepared: prepared })
}

/// Works until it is stopped or drained.
///
/// # Errors
/// Those of the model and of the connection.
pub fn work(args: &WorkerArgs, plan: Plan, shutdown: &Shutdown) -> Result<()> {
    media::init()?;
    let model = Arc::new(Model::open(args.model.as_deref())?);
    // Frames with held frames between them arrive one by one.
    let options = SessionOptions {
        selection: args.device,
        singles: true,
        precision: args.inference_precision,
        ..SessionOptions::default()
    };
    let stopping = shutdown.clone();
    let engine = Arc::new(Engine::start(&model, options, Arc::new(move || stopping.requested()))?);
    let absolute = |path: &std::path::Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
    let real = |path: &std::path::PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
    let labelling = Labelling {
        model,
        engine,
        precision: args.inference_precision,
        clock: SystemClock::shared(),
        output: absolute(&args.output_dir),
        inputs: args.inputs.iter().map(real).collect(),
        secrets: [&args.nats.nats_user_env, &args.nats.nats_password_env].into_iter().flatten().cloned().collect(),
    };
    if let Err(cause) = part::check_writable(&labelling.output) {
        return Err(Error::usage(format!("{}: no results can be written there", labelling.output.display()))
            .because(cause)
            .remedy("choose a writable folder with --output-dir"));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let capacity = args.capacity.map_or_else(|| clips_at_once(cores, memory::available()), usize::from);
    let state = WorkerState::new(plan.name.clone(), capacity, labelling, shutdown);
    Worker::new(state).run(&plan.nats)
}

/// Returns the machine's name with a random part: several workers may run on one machine.
fn default_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{:04x}", names::token(host.trim(), HOST), fastrand::u16(..))
}
