//! Arguments of the commands for many machines.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand};

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
    /// Folder that clips may be in, with its folders; may be given several times [default: any]
    #[arg(long, value_name = "FOLDER")]
    pub inputs: Vec<PathBuf>,
    /// Name of this worker: letters, digits, - and _ [default: the machine's name and a random part]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Clips that it labels at the same time [default: the number of cores, or fewer if there is little memory]
    #[arg(long, value_name = "N")]
    pub capacity: Option<NonZeroUsize>,
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
}

#[derive(Debug, Args)]
pub struct SubmitArgs {
    #[command(flatten)]
    pub nats: NatsOptions,
    #[command(flatten)]
    pub streams: StreamOptions,
    /// Wait until all have ended; the exit code says whether one failed
    #[arg(long)]
    pub wait: bool,
    /// Label clips again that were labelled before
    #[arg(long)]
    pub again: bool,
}

#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Show the workers, and how many jobs wait, run and have ended
    Status {
        #[command(flatten)]
        nats: NatsOptions,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the jobs that have not ended, and those that failed
    List {
        #[command(flatten)]
        nats: NatsOptions,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Cancel jobs, also those that a worker has
    Cancel {
        #[command(flatten)]
        nats: NatsOptions,
        /// Identifiers of jobs, as `livelabel submit` prints them
        #[arg(value_name = "ID", required = true)]
        ids: Vec<JobId>,
    },
    /// Have a worker take no more jobs, and end after those that it has
    Drain {
        #[command(flatten)]
        nats: NatsOptions,
        #[arg(value_name = "WORKER")]
        worker: String,
    },
}
