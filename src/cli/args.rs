//! Arguments and help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::frames::Layout as FolderLayout;
use crate::config::options::{RunOptions, StreamOptions, parse_span};
use crate::config::settings::Settings;
use crate::inference::compute_precision::ComputePrecision;
use crate::inference::device::DeviceSelection;
use crate::inference::session::SessionOptions;
use crate::media::limits::parse_pixels;
use crate::onnx::graph::Precision;
use crate::onnx::import::{Layout, Softmax};

/// Labels what people do in video.
///
/// Every frame goes through a ResNet50, the last 128 predictions are averaged so that the label does not flicker, and
/// the label is drawn on the picture and written down with its times.
#[derive(Debug, Parser)]
#[command(name = "livelabel", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// How messages are written to stderr
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Analyse clips (labelled video, timeline, plot, subtitles) or watch cameras
    Run(Box<RunArgs>),
    /// Show a finished run in the browser: its video with the timeline under it
    View(ViewArgs),
    /// Take single pictures out of videos, to train with
    Frames(FramesArgs),
    /// Look at, build or check a model file
    #[command(subcommand)]
    Model(ModelCommand),
    /// Measure what this machine makes of a clip, or of the network
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Describe pipeline files
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show what can run the network here, and what `auto` would take
    Devices {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the JSON Schema of a pipeline file, for editors
    Schema,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    streams: StreamOptions,
    #[command(flatten)]
    run: RunOptions,
    /// Take options from a .toml file or a shipped pipeline (file, timeline, rtsp, webcam, window, web, many); flags win
    #[arg(long, value_name = "NAME|FILE")]
    pub pipeline: Option<String>,
}

impl RunArgs {
    pub fn settings(self) -> Settings {
        Settings { run: self.run, streams: self.streams, origin: None }
    }
}

#[derive(Debug, Args)]
pub struct ViewArgs {
    /// What `run` wrote: CLIP.timeline.json
    #[arg(value_name = "TIMELINE")]
    pub timeline: PathBuf,
    /// The labelled video, or the clip itself [default: the one beside the timeline, else the clip]
    #[arg(long, value_name = "FILE")]
    pub video: Option<PathBuf>,
    /// Pixels of a picture at most [default: 35389440, which is 8192x4320]
    #[arg(long, value_name = "N", value_parser = parse_pixels)]
    pub max_pixels: Option<usize>,
    /// Where the page is served
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    web: String,
    /// Let in who knows this token; needed where other machines can reach the address
    #[arg(long, value_name = "TOKEN")]
    web_token: Option<String>,
    /// File that holds the token, which unlike the flag is not seen in the list of processes
    #[arg(long, value_name = "FILE")]
    web_token_file: Option<PathBuf>,
}

impl ViewArgs {
    /// Where the page is served, and who is let in.
    pub fn options(&self) -> RunOptions {
        RunOptions {
            web: Some(self.web.clone()),
            web_token: self.web_token.clone(),
            web_token_file: self.web_token_file.clone(),
            ..RunOptions::default()
        }
    }
}

#[derive(Debug, Args)]
pub struct FramesArgs {
    /// Videos, or folders of them; the output folder comes last
    #[arg(required = true, value_name = "VIDEOS")]
    pub videos: Vec<PathBuf>,
    /// Folder for the pictures
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
    /// Time between pictures, like 1s, 500ms, 2m; `frame` takes every frame
    #[arg(long, default_value = "1s", value_name = "TIME")]
    pub every: crate::cli::frames::Every,
    /// One folder for all, or one for each video
    #[arg(long, value_enum, default_value = "flat")]
    pub layout: FolderLayout,
    /// No progress and no summary
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Each stage of a clip's way alone, all of them together, and how near that comes to the limit
    Clip {
        clip: PathBuf,
        #[command(flatten)]
        network: NetworkArgs,
        /// Pictures that are run at once [default: 4; cuda: 64]
        #[arg(long, value_name = "N")]
        batch: Option<usize>,
    },
    /// The network alone: latency and pictures a second in batches of several sizes
    Network {
        #[command(flatten)]
        network: NetworkArgs,
        /// Sizes of the batches
        #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "1,8,32,64")]
        batches: Vec<usize>,
        /// Time for each measurement
        #[arg(long, value_name = "TIME", value_parser = parse_span, default_value = "3s")]
        time: Duration,
    },
}

#[derive(Debug, Args)]
pub struct NetworkArgs {
    /// Model file [default: models/drinking-cooking.int8.onnx]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// What runs the network
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: DeviceSelection,
    /// Precision of floating-point computation
    #[arg(long, value_name = "KIND", value_enum, default_value = "auto")]
    pub inference_precision: ComputePrecision,
    /// Threads for the network [default: one a core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

impl NetworkArgs {
    /// The options of a session.
    pub fn session_options(&self, batch: Option<usize>) -> SessionOptions {
        SessionOptions {
            selection: self.device,
            batch,
            precision: self.inference_precision,
            threads: self.threads,
            ..SessionOptions::default()
        }
    }
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The ONNX file: pictures in, a number for each label out
    #[arg(value_name = "THEIR.onnx")]
    pub file: PathBuf,
    /// Names of its classes in their order: one a line, or a JSON list
    #[arg(long, value_name = "FILE")]
    pub labels: PathBuf,
    /// What is subtracted from each channel, of 0 to 255: one number, or one for each channel
    #[arg(
        long,
        value_name = "M[,M,M]",
        value_delimiter = ',',
        num_args = 1,
        default_value = "0",
        allow_hyphen_values = true
    )]
    pub mean: Vec<f32>,
    /// What is multiplied after that, like 0.00392157 for 0 to 1; one number, or one for each channel
    #[arg(long, value_name = "S[,S,S]", value_delimiter = ',', num_args = 1, default_value = "1")]
    pub scale: Vec<f32>,
    /// Order of the channels; mean and scale are in the same order
    #[arg(long, value_enum, default_value = "rgb", ignore_case = true)]
    pub channels: ChannelOrder,
    /// Height and width of its pictures [default: what the file says]
    #[arg(long, value_name = "N")]
    pub size: Option<usize>,
    /// Where the channels stand in its input [default: what its shape tells]
    #[arg(long, value_enum)]
    pub layout: Option<Layout>,
    /// Which output has a number for each label, where there are several
    #[arg(long, value_name = "NAME")]
    pub output_name: Option<String>,
    /// Whether its numbers are turned into probabilities
    #[arg(long, value_enum, default_value = "auto")]
    pub softmax: Softmax,
    /// Number of frames to average that the file shall ask for
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub window: usize,
    /// Confidence below which no label is shown that the file shall ask for
    #[arg(long, default_value_t = 0.0, value_name = "P")]
    pub threshold: f64,
    /// Pictures to try it on; what it sees is printed
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub pictures: Vec<PathBuf>,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Write over a file that exists
    #[arg(long)]
    pub force: bool,
}

/// Order of a picture's channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChannelOrder {
    /// PyTorch, timm, most of Keras
    Rgb,
    /// OpenCV, Caffe, Keras' ResNet50 and VGG
    Bgr,
}

#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Print what a model file says of itself
    Show {
        /// [default: models/drinking-cooking.int8.onnx]
        model: Option<PathBuf>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a model file from ResNet50's weights and a head
    Build {
        /// Backbone: a folder with a TensorFlow.js model.json, or .safetensors under Keras' names
        #[arg(long, value_name = "PATH")]
        backbone: PathBuf,
        /// Head (.safetensors), or `imagenet` for the backbone's own 1000 classes
        #[arg(long, value_name = "FILE|imagenet")]
        head: PathBuf,
        /// Names of ImageNet's classes [default: labels.json beside the backbone]
        #[arg(long, value_name = "FILE")]
        labels: Option<PathBuf>,
        #[arg(long, value_enum, default_value = "fp32")]
        precision: Precision,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        /// Write over a file that exists
        #[arg(long)]
        force: bool,
    },
    /// Make a model file from any image classifier that was exported as ONNX
    Import(Box<ImportArgs>),
    /// Load a model, run it and check its answers; with pictures, print what it sees in them
    Verify {
        /// [default: models/drinking-cooking.int8.onnx]
        model: Option<PathBuf>,
        /// Pictures to classify
        #[arg(long, value_name = "FILE", num_args = 1..)]
        pictures: Vec<PathBuf>,
        #[arg(long, default_value = "auto", value_name = "DEVICE")]
        device: DeviceSelection,
        /// Precision of floating-point computation
        #[arg(long, value_name = "KIND", value_enum, default_value = "auto")]
        inference_precision: ComputePrecision,
        /// As JSON, with all logits
        #[arg(long)]
        json: bool,
    },
}
