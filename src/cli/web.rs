//! `livelabel web`: one page for all cameras of a cluster.

use std::path::Path;
use std::sync::Arc;

use crate::cli::cluster_args::WebArgs;
use crate::cli::run::{self, Prepared};
use crate::cluster::cameras::camera;
use crate::cluster::connection::{Connection, block_on, retried, stopped};
use crate::cluster::page::mirror::Mirror;
use crate::cluster::presence::Peers;
use crate::config::nats::NatsConfig;
use crate::config::web::WebConfig;
use crate::error::Result;
use crate::history::Place;
use crate::media::{self, limits::Limits};
use crate::pipeline::permissions;
use crate::shutdown::Shutdown;
use crate::system::clock::SystemClock;
use crate::system::made_folders::MadeFolders;
use crate::telemetry::Telemetry;
use crate::web::{self, History, Listener, Server, Sources};

/// A page before its first thread.
pub struct Plan {
    nats: NatsConfig,
    web: WebConfig,
    _prepared: Option<Prepared>,
}

/// Checks the arguments, and gives up the rights that a page does not need. Call it before the first thread is started.
///
/// # Errors
/// Usage, if an argument is invalid; `Unavailable` if the sandbox cannot be made.
pub fn prepare(args: &WebArgs) -> Result<Plan> {
    let nats = NatsConfig::resolve(&args.nats)?;
    let web = args.page.resolve_or_default()?;
    let certificate: Vec<_> = args.page.certificate().cloned().collect();
    let rights = permissions::of_cluster_page(&nats, web.address.port(), &certificate, args.output_dir.as_deref());
    let prepared = if args.no_sandbox { None } else { Some(run::enter_sandbox((rights, MadeFolders::default()))?) };
    Ok(Plan { nats, web, _prepared: prepared })
}

/// Serves the page until the user stops it.
///
/// # Errors
/// Usage, if the address cannot be bound, or the NATS server refuses this user; a server that cannot be reached is waited for.
pub fn serve(args: &WebArgs, plan: &Plan, shutdown: &Shutdown) -> Result<()> {
    media::init()?;
    let output = args.output_dir.clone();
    let history = output.map(|output| History::of(Box::new(move || places(&output)), None, Limits::default()));
    let telemetry = Arc::new(Telemetry::new(Vec::new(), history.is_some(), &SystemClock::shared()));
    let peers = Arc::<Peers>::default();
    let known = Arc::clone(&peers);
    let workers: web::Workers = Arc::new(move || serde_json::json!(known.present()));
    let sources = Sources { telemetry: Arc::clone(&telemetry), history, teaching: None, workers: Some(workers) };
    let _server = Server::start(Listener::new(&plan.web)?, sources, web::install_metrics()?, None)?;
    block_on(async {
        tokio::select! {
            followed = follow(&plan.nats, &telemetry, &peers) => followed,
            () = stopped(shutdown) => Ok(()),
        }
    })
}

/// Shows the cluster, as soon as a server can be reached. Ends with an error only.
async fn follow(nats: &NatsConfig, telemetry: &Arc<Telemetry>, peers: &Arc<Peers>) -> Result<()> {
    let connection = retried(async || Connection::open(nats, "web").await).await?;
    tracing::info!("shows the cameras of {nats}");
    Mirror::new(&connection, telemetry, peers).run().await;
    Ok(())
}

/// Returns the indexes of the cameras whose files are in a folder of workers' results.
fn places(output: &Path) -> Vec<Place> {
    camera::folders(output).iter().map(|folder| Place::of_run(folder)).collect()
}
