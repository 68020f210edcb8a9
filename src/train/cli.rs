//! The trainer's command line.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};

use crate::cli::args::LogFormat;
use crate::inference::device::DeviceSelection;
use crate::train::augment::AugmentationPreset;
use crate::train::export::ExportPrecision;
use crate::train::options::{DEFAULT_EVERY, FitOptions};

/// Trains models for livelabel.
///
/// Give it one folder of pictures or clips for each label. It writes a model file for `livelabel run --model`.
#[derive(Debug, Parser)]
#[command(
    name = "livelabel-train",
    bin_name = "livelabel-train",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Format of the log on stderr
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a model
    Fit(Box<FitArgs>),
    /// Train with batch sizes 32 to 128, dropout 0.1 to 0.5 and 10 to 50 epochs, and print the results, best first
    Sweep {
        #[command(flatten)]
        options: Box<FitOptions>,
        /// Also write the table to this file
        #[arg(long, value_name = "FILE.csv")]
        csv: Option<PathBuf>,
    },
    /// Write a sheet of pictures and their augmented views, as the network sees them
    Preview {
        /// Class folders of pictures, or a .tsv table
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Augmentation
        #[arg(long, value_enum, default_value = "keras")]
        augment: AugmentationPreset,
        #[arg(long, default_value_t = 42, value_name = "N")]
        seed: u64,
        /// The file to write
        #[arg(long, value_name = "FILE.png")]
        output: PathBuf,
    },
    /// Measure a model on labelled pictures or clips, or report the validation results of runs
    Evaluate(EvaluateArgs),
    /// Join several folders of labelled pictures or clips into one table for --data, and count its files
    ///
    /// Near-duplicate pictures get one group, so that a split never separates copies.
    Data {
        /// Folders with class folders or a table
        #[arg(required = true, value_name = "FOLDER")]
        folders: Vec<PathBuf>,
        /// The table to write
        #[arg(long, value_name = "TABLE.tsv")]
        output: PathBuf,
        /// Rules that divide classes into subclasses, as lines of class, subclass, group prefixes, and words of the note,
        /// tab-separated; the first that applies counts
        #[arg(long, value_name = "FILE.tsv")]
        subclasses: Option<PathBuf>,
    },
    /// Make a model that knows what people said of a camera's frames, and tell whether it is better
    ///
    /// Visits are held out in turn. The model is written if it is right on more of these frames for sure, and no label is
    /// worse.
    Adapt(Box<AdaptArgs>),
    /// Keep the features of pictures that a model learned from, so that adapt does not forget them
    ///
    /// The file has no pictures and no names. Labels and sources are balanced if there are more pictures than fit.
    Features {
        /// Model file [default: the shipped model]
        #[arg(long, value_name = "FILE.onnx")]
        model: Option<PathBuf>,
        /// Class folders of pictures or clips, or a .tsv table: those that the model learned from
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The file to write: NAME.features.safetensors beside NAME.onnx, where adapt looks for it
        #[arg(long, value_name = "FILE.safetensors")]
        output: PathBuf,
        /// Maximum size of the file
        #[arg(long, default_value = "8MB", value_name = "SIZE")]
        max_bytes: ByteSize,
        /// Interval between the frames used from clips, in milliseconds
        #[arg(long, default_value_t = DEFAULT_EVERY, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
        every: u64,
    },
    /// Write a run's model file
    Export {
        /// The run's folder, as fit printed it
        #[arg(long, value_name = "RUN")]
        run: PathBuf,
        /// The file to write
        #[arg(long, value_name = "OUT.onnx")]
        model: PathBuf,
        /// Precision of the weights
        #[arg(long, value_enum, default_value = "fp32")]
        precision: ExportPrecision,
    },
}

#[derive(Debug, Args)]
pub struct FitArgs {
    #[command(flatten)]
    pub options: FitOptions,
    /// Resume an interrupted run
    #[arg(long, value_name = "RUN")]
    pub resume: Option<PathBuf>,
    /// Overwrite an existing run and model
    #[arg(long, conflicts_with = "resume")]
    pub force: bool,
    /// Print no progress and no report
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct AdaptArgs {
    /// The model in use
    #[arg(long, value_name = "CURRENT.onnx")]
    pub model: PathBuf,
    /// Folder with the corrections.tsv of `livelabel run --learn`, or what fit --data takes. New labels widen the model
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The file to write; a model of that name is replaced
    #[arg(long, value_name = "NEW.onnx")]
    pub output: PathBuf,
    /// Kept features of what the model learned from [default: beside the model or among the installed models]
    #[arg(long, value_name = "FILE.safetensors")]
    pub features: Option<PathBuf>,
    /// Also write the report to this file
    #[arg(long, value_name = "FILE.json")]
    pub report: Option<PathBuf>,
    /// Write the model even if it is not shown to be better
    #[arg(long)]
    pub anyway: bool,
    /// Interval between the frames used from clips, in milliseconds
    #[arg(long, default_value_t = DEFAULT_EVERY, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    pub every: u64,
}

#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Model file; several with --held-out-by, one for each run
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "run")]
    pub model: Vec<PathBuf>,
    /// Class folders of pictures or clips, or a .tsv table: evaluated picture by picture, and on a frame of each clip
    /// every so often, as fit learns from them
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// With --data: interval between the frames used from clips, in milliseconds
    #[arg(long, default_value_t = DEFAULT_EVERY, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    pub every: u64,
    /// Class folders of clips, or a .tsv table: evaluated frame by frame, with and without smoothing
    #[arg(long, value_name = "DIR", conflicts_with = "data")]
    pub clips: Option<PathBuf>,
    /// Runs whose validation pictures are evaluated together
    #[arg(long, value_name = "RUN", num_args = 1.., conflicts_with_all = ["model", "data", "clips"])]
    pub run: Vec<PathBuf>,
    /// Table of the events in the clips, with path, label, start and end in seconds: reports how many are found
    #[arg(long, value_name = "TABLE.tsv", requires = "clips")]
    pub events: Option<PathBuf>,
    /// Only groups whose names start with one of these; with ! in front, only the others
    #[arg(long, value_name = "[!]START[,START]")]
    pub groups: Option<String>,
    /// Only files whose path contains this
    #[arg(long, value_name = "PART")]
    pub files: Option<String>,
    /// Slices of the report, as lines of group prefixes, part of the path, and name, tab-separated [default: by source]
    #[arg(long, value_name = "FILE")]
    pub slices: Option<PathBuf>,
    /// Only the validation groups of this run: one run for each model
    #[arg(long, value_name = "RUN", num_args = 1.., requires = "model")]
    pub held_out_by: Vec<PathBuf>,
    /// Evaluate the first model also on groups that its run does not contain
    #[arg(long, requires = "held_out_by")]
    pub unknown: bool,
    /// Also write metrics and predictions to this file
    #[arg(long, value_name = "FILE.json")]
    pub json: Option<PathBuf>,
    /// Device: auto, cpu, cuda, cuda:N, openvino
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: DeviceSelection,
}

/// The default options.
#[derive(Debug, Parser)]
pub struct Defaults {
    #[command(flatten)]
    pub options: FitOptions,
}
