//! `livelabel worker`: labels the clips of a cluster, and watches its cameras.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::cluster_args::WorkerArgs;
use crate::cli::run::{self, Prepared};
use crate::cluster::cameras::isolation::Isolation;
use crate::cluster::capacity;
use crate::cluster::clip::{AllowedClips, Labelling};
use crate::cluster::clip_address::ClipAddress;
use crate::cluster::names;
use crate::cluster::part;
use crate::cluster::worker::Worker;
use crate::cluster::worker_state::{Room, WorkerState};
use crate::config::camera_credentials::CameraCredentials;
use crate::config::clips_at_once;
use crate::config::nats::NatsConfig;
use crate::config::web::WebConfig;
use crate::error::{Error, Result};
use crate::inference::batches::Arrival;
use crate::inference::engine::Engine;
use crate::inference::model::Model;
use crate::inference::session::SessionOptions;
use crate::media;
use crate::pipeline::permissions::{self, WorkerFiles};
use crate::shutdown::Shutdown;
use crate::system::clock::SystemClock;
use crate::system::memory;
use crate::telemetry::Telemetry;
use crate::web::{self, Listener, Server, Sources};

/// Bytes of the machine's name in that of a worker.
const HOST: usize = 40;

/// A worker before its first thread.
pub struct Plan {
    nats: NatsConfig,
    name: String,
    allowed: AllowedClips,
    credentials: CameraCredentials,
    web: Option<WebConfig>,
    _prepared: Option<Prepared>,
}

/// Checks the arguments, and gives up the rights that a worker does not need. Call it before the first thread is started.
///
/// # Errors
/// Usage, if an argument is invalid; `Unavailable` if the sandbox cannot be made.
pub fn prepare(args: &WorkerArgs) -> Result<Plan> {
    let nats = NatsConfig::resolve(&args.nats)?;
    let own = args.own_process.as_ref();
    let name = own.map(|own| &own.worker).or(args.name.as_ref()).cloned().unwrap_or_else(default_name);
    if !names::is_token(&name) {
        return Err(Error::usage(format!("{name:?} cannot be the name of a worker"))
            .remedy("use up to 64 letters, digits, - and _"));
    }
    let allowed = allowed(&args.inputs)?;
    let credentials = args.camera_credentials.as_deref().map(CameraCredentials::read).transpose()?.unwrap_or_default();
    let web = if own.is_none() { args.page.resolve()? } else { None };
    let files = WorkerFiles {
        output: &args.output_dir,
        inputs: &allowed.folders,
        limited: allowed.is_limited(),
        model: args.model.as_deref(),
        nats: &nats,
        secrets: args.nats.nats_password_file.iter().chain(&credentials.files).cloned().collect(),
        page: web.as_ref().map(|web| web.address.port()),
        certificate: args.page.certificate().cloned().collect(),
    };
    let prepared = if args.no_sandbox { None } else { Some(run::enter_sandbox(permissions::of_worker(&files))?) };
    Ok(Plan { nats, name, allowed, credentials, web, _prepared: prepared })
}

/// Works until it is stopped or drained.
///
/// # Errors
/// Those of the model and of the connection.
pub fn work(args: &WorkerArgs, plan: Plan, shutdown: &Shutdown) -> Result<()> {
    media::init()?;
    let model = Arc::new(Model::open(args.model.as_deref())?);
    // Clips may be sampled or not, and cameras may come.
    let options = SessionOptions {
        selection: args.device,
        arrival: Arrival::Both,
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
        results: args.results,
        allowed: AllowedClips { folders: plan.allowed.folders.iter().map(real).collect(), ..plan.allowed.clone() },
        credentials: plan.credentials.clone(),
        secrets: [&args.nats.nats_user_env, &args.nats.nats_password_env].into_iter().flatten().cloned().collect(),
    };
    if let Err(cause) = part::check_writable(&labelling.output) {
        return Err(Error::usage(format!("{}: no results can be written there", labelling.output.display()))
            .because(cause)
            .remedy("choose a writable folder with --output-dir"));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (room, isolation) = match &args.own_process {
        Some(own) => (Room { clips: 0, cameras: 0 }, Isolation::Of(own.camera.clone())),
        None => {
            let clips = args.capacity.map_or_else(|| clips_at_once(cores, memory::available()), usize::from);
            let measured = || capacity::cameras(&labelling.engine, cores, memory::available());
            let room = Room { clips, cameras: args.cameras.map_or_else(measured, Ok)? };
            (room, Isolation::Starts(std::env::args_os().skip(1).collect()))
        }
    };
    let page = plan.web.as_ref().map(|_| Arc::new(Telemetry::new(Vec::new(), false, &labelling.clock)));
    // Dropped, and so stopped, at the end.
    let _server =
        plan.web.as_ref().zip(page.clone()).map(|(config, telemetry)| serve(config, telemetry)).transpose()?;
    let Plan { nats, name, credentials, .. } = &plan;
    let state = WorkerState::new(name.clone(), room, labelling, credentials.clone(), isolation, page, shutdown);
    Worker::new(state).run(nats)
}

/// Returns where clips may be.
fn allowed(inputs: &[PathBuf]) -> Result<AllowedClips> {
    let mut allowed = AllowedClips::default();
    for input in inputs {
        match input.to_str().and_then(ClipAddress::parse) {
            Some(address) => {
                address.check()?;
                allowed.addresses.push(address);
            }
            None if input.is_dir() => allowed.folders.push(input.clone()),
            None => {
                return Err(Error::usage(format!("{}: is no folder", input.display()))
                    .remedy("name the folder of the clips, or an address like https://HOST/CLIPS"));
            }
        }
    }
    Ok(allowed)
}

/// Serves the page of this worker's cameras.
fn serve(config: &WebConfig, telemetry: Arc<Telemetry>) -> Result<Server> {
    let listener = Listener::new(config)?;
    let sources = Sources { telemetry, history: None, teaching: None, workers: None };
    Server::start(listener, sources, web::install_metrics()?, None)
}

/// Returns the machine's name with a random part: several workers may run on one machine.
fn default_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{:04x}", names::token(host.trim(), HOST), fastrand::u16(..))
}
