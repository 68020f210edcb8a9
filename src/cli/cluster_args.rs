//! Arguments of the commands for many machines.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::page_args::PageArgs;
use crate::cluster::cameras::camera::CameraName;
use crate::cluster::cameras::isolation::CameraProcess;
use crate::cluster::clip::ResultsPlace;
use crate::cluster::job::JobId;
use crate::config::nats::NatsOptions;
use crate::config::options::StreamOptions;
use crate::inference::device::DeviceSelection;
use crate::inference::inference_precision::InferencePrecision;

#[derive(Debug, Args)]
pub struct WorkerArgs {
    #[command(flatten)]
    pub nats: NatsOptions,
    /// Folder for results, on storage that all workers share: a folder in it for each clip
    #[arg(long, value_name = "FOLDER")]
    pub output_dir: PathBuf,
    /// Where the files of clips go: to this folder, or to the object store of the NATS servers (livelabel cluster fetch copies them)
    #[arg(long, value_name = "PLACE", value_enum, default_value = "folder")]
    pub results: ResultsPlace,
    /// Folder or address that clips may be below, like /srv/clips or https://HOST/CLIPS; may be given several times [default: any]
    #[arg(long, value_name = "PLACE")]
    pub inputs: Vec<PathBuf>,
    /// Name of this worker: letters, digits, - and _ [default: the machine's name and a random part]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Clips that it labels at the same time [default: the number of cores, or fewer if there is little memory]
    #[arg(long, value_name = "N")]
    pub capacity: Option<NonZeroUsize>,
    /// Cameras that it watches at the same time; 0 for none [default: as many as its speed and memory are enough for]
    #[arg(long, value_name = "N")]
    pub cameras: Option<usize>,
    /// File with users and passwords by host, for cameras and for web servers with clips, TOML (docs/cluster.md)
    #[arg(long, value_name = "FILE")]
    pub camera_credentials: Option<PathBuf>,
    #[command(flatten)]
    pub page: PageArgs,
    /// Model file [default: models/drinking-cooking.int8.onnx]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Device that runs the model: auto, cpu, cuda, cuda:N, openvino
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceSelection,
    /// Precision of floating-point computation
    #[arg(long, value_name = "KIND", value_enum, default_value = "auto")]
    pub inference_precision: InferencePrecision,
    /// Keep all rights of the user that runs this, instead of those that a worker needs (docs/hardening.md)
    #[arg(long)]
    pub no_sandbox: bool,
    /// The camera that this process watches alone, and its name: a worker starts it so
    #[arg(long, value_name = "WORKER/CAMERA", hide = true)]
    pub own_process: Option<CameraProcess>,
}

#[derive(Debug, Args)]
pub struct WebArgs {
    #[command(flatten)]
    pub nats: NatsOptions,
    #[command(flatten)]
    pub page: PageArgs,
    /// The workers' folder for results, for the history of their cameras, if it can be reached from here
    #[arg(long, value_name = "FOLDER")]
    pub output_dir: Option<PathBuf>,
    /// Keep all rights of the user that runs this, instead of those that a page needs (docs/hardening.md)
    #[arg(long)]
    pub no_sandbox: bool,
}

#[derive(Debug, Args)]
pub struct SubmitArgs {
    #[command(flatten)]
    pub nats: NatsOptions,
    #[command(flatten)]
    pub streams: StreamOptions,
    /// Pipeline file whose clips and cameras are submitted too
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<String>,
    /// Wait until all clips have ended; the exit code says whether one failed
    #[arg(long)]
    pub wait: bool,
    /// Label clips again that were labelled before
    #[arg(long)]
    pub again: bool,
}

#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Show the workers with their cameras, and how many clips wait, run and have ended
    Status {
        #[command(flatten)]
        nats: NatsOptions,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the cameras, the clips that have not ended, and those that failed
    List {
        #[command(flatten)]
        nats: NatsOptions,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Have another worker watch a camera
    Move {
        #[command(flatten)]
        nats: NatsOptions,
        #[arg(value_name = "CAMERA")]
        camera: CameraName,
        #[arg(value_name = "WORKER")]
        worker: String,
    },
    /// Copy the results of clips from the object store, where workers with --results nats put them
    Fetch {
        #[command(flatten)]
        nats: NatsOptions,
        /// Folder for results: a folder in it for each clip
        #[arg(long, value_name = "FOLDER")]
        output_dir: PathBuf,
        /// Identifiers of clips, as `livelabel submit` prints them
        #[arg(value_name = "ID", required = true)]
        ids: Vec<JobId>,
    },
    /// Cancel clips and remove cameras, also those that a worker has
    Cancel {
        #[command(flatten)]
        nats: NatsOptions,
        /// Identifiers of clips and names of cameras, as `livelabel submit` prints them
        #[arg(value_name = "ID", required = true)]
        ids: Vec<JobId>,
    },
    /// Have a worker take no more jobs, hand its cameras over, and end after the clips that it has
    Drain {
        #[command(flatten)]
        nats: NatsOptions,
        #[arg(value_name = "WORKER")]
        worker: String,
    },
}
