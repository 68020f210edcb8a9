//! The trainer's arguments and help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::cli::args::LogFormat;
use crate::inference::device::DeviceSelection;
use crate::train::augment::Recipe;
use crate::train::export::Precision;
use crate::train::options::FitOptions;

/// Trains models for livelabel.
///
/// Give it a folder for each activity with pictures or clips of it; out comes a model file that `livelabel run --model`
/// takes.
#[derive(Debug, Parser)]
#[command(name = "livelabel-train", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// How messages are written to stderr
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a model
    Fit(Box<FitArgs>),
    /// Try batch sizes 32 to 128, dropout 0.1 to 0.5 and 10 to 50 epochs; print them, the best first
    Sweep {
        #[command(flatten)]
        options: Box<FitOptions>,
        /// Write the table to this file too
        #[arg(long, value_name = "FILE.csv")]
        csv: Option<PathBuf>,
    },
    /// Write a sheet of what the network gets to see: pictures, and views of them
    Preview {
        /// Class folders of pictures, or a .tsv table
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// How pictures are varied
        #[arg(long, value_enum, default_value = "keras")]
        augment: Recipe,
        #[arg(long, default_value_t = 42, value_name = "N")]
        seed: u64,
        /// The file to write
        #[arg(long, value_name = "FILE.png")]
        output: PathBuf,
    },
    /// Tell how good a model is on labelled pictures, or what runs found on the pictures they kept
    Evaluate(EvaluateArgs),
    /// Join several folders of labelled pictures or clips to one table for --data, and count what is in it
    ///
    /// Pictures that look alike get one group, so that copies never stand on both sides of a split.
    Data {
        /// Folders with class folders or a table
        #[arg(required = true, value_name = "FOLDER")]
        folders: Vec<PathBuf>,
        /// The table to write
        #[arg(long, value_name = "TABLE.tsv")]
        output: PathBuf,
    },
    /// Write a run's model file
    Export {
        #[arg(long, value_name = "RUN")]
        run: PathBuf,
        /// The file to write
        #[arg(long, value_name = "OUT.onnx")]
        model: PathBuf,
        #[arg(long, value_enum, default_value = "fp32")]
        precision: Precision,
    },
}

#[derive(Debug, Args)]
pub struct FitArgs {
    #[command(flatten)]
    pub options: FitOptions,
    /// Go on with a run that was interrupted
    #[arg(long, value_name = "RUN")]
    pub resume: Option<PathBuf>,
    /// Start anew where a run is there already
    #[arg(long, conflicts_with = "resume")]
    pub force: bool,
    /// No progress and no report
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Model file; several, where each is looked at on what another run kept
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "run")]
    pub model: Vec<PathBuf>,
    /// Class folders of pictures, or a .tsv table
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Class folders of clips, or a .tsv table: frame by frame, with and without averaging
    #[arg(long, value_name = "DIR", conflicts_with = "data")]
    pub clips: Option<PathBuf>,
    /// Runs whose validation pictures are taken together
    #[arg(long, value_name = "RUN", num_args = 1.., conflicts_with_all = ["model", "data", "clips"])]
    pub run: Vec<PathBuf>,
    /// What happens in the clips, as a table with path, label, start and end in seconds: tells how many events are found
    #[arg(long, value_name = "TABLE.tsv", requires = "clips")]
    pub events: Option<PathBuf>,
    /// Only groups whose names begin so, or so; with ! in front, only the others
    #[arg(long, value_name = "[!]START[,START]")]
    pub groups: Option<String>,
    /// Only files that have this in their path
    #[arg(long, value_name = "PART")]
    pub files: Option<String>,
    /// How the report is cut: lines of how groups begin, a tab, what paths have in them, a tab, a name [default: by source]
    #[arg(long, value_name = "FILE")]
    pub slices: Option<PathBuf>,
    /// Only the groups that this run kept to check on: one run for each model
    #[arg(long, value_name = "RUN", num_args = 1.., requires = "model")]
    pub kept_by: Vec<PathBuf>,
    /// Groups that the first of these runs has not at all, too
    #[arg(long, requires = "kept_by")]
    pub unknown: bool,
    /// Write figures and predictions to this file too
    #[arg(long, value_name = "FILE.json")]
    pub json: Option<PathBuf>,
    /// What runs the network: auto, cpu, cuda, cuda:N, openvino
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: DeviceSelection,
}

/// Options as they are when none is given.
#[derive(Debug, Parser)]
pub struct Defaults {
    #[command(flatten)]
    pub options: FitOptions,
}
