//! Command-line arguments and their help.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::cluster_args::{ClusterCommand, SubmitArgs, WebArgs, WorkerArgs};
use crate::cli::frames::{Extraction, FolderLayout};
use crate::cli::page_args::PageArgs;
use crate::config::options::{RunOptions, StreamOptions, parse_span};
use crate::config::settings::Settings;
use crate::inference::device::DeviceSelection;
use crate::inference::inference_precision::InferencePrecision;
use crate::inference::session::SessionOptions;
use crate::labels::window::SmoothingWindow;
use crate::media::camera::Transport;
use crate::media::limits::parse_pixels;
use crate::onnx::graph::WeightPrecision;
use crate::onnx::import::{Softmax, TensorLayout};

/// Labels what people in video are doing.
///
/// A ResNet50 classifies each frame. Averaging the predictions of about a second keeps the label from flickering. The
/// label is drawn on the video and written down with its times.
#[derive(Debug, Parser)]
#[command(name = "livelabel", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Format of messages on stderr
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
    /// Analyse clips (labelled video, timeline, plot, subtitles) or cameras
    Run(Box<RunArgs>),
    /// Show a finished run, or the history of a folder, in the browser
    View(ViewArgs),
    /// List what cameras and clips showed: intervals, totals a day, gaps
    History(HistoryArgs),
    /// Keep the index that the history is read from
    #[command(subcommand)]
    Index(IndexCommand),
    /// Have a run read its pipeline file again, without a restart
    Reload(ReloadArgs),
    /// Label the clips and watch the cameras that others submit, on one of many machines (docs/cluster.md)
    Worker(Box<WorkerArgs>),
    /// Have workers label clips and watch cameras
    Submit(Box<SubmitArgs>),
    /// Show all cameras of a cluster on one page
    Web(Box<WebArgs>),
    /// Show what the workers do, move a camera, cancel what was submitted, drain a worker
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Extract pictures from videos and cameras, for training
    Frames(FramesArgs),
    /// Show, build, import or verify a model file
    #[command(subcommand)]
    Model(ModelCommand),
    /// Measure the speed of this machine, with a clip or with the model alone
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Describe the format of pipeline files
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a shell's completions: source <(livelabel completions bash)
    Completions {
        #[arg(value_enum, value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder
    #[command(hide = true)]
    Manual {
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
    /// List the devices that can run the model here, and which one `auto` selects
    Devices {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum IndexCommand {
    /// Make the index of a folder anew, from its journals, timelines and videos
    Rebuild {
        /// Output folder of a run
        #[arg(value_name = "FOLDER", default_value = ".")]
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Output folder of runs with cameras or clips
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub folder: PathBuf,
    /// Only this label; may be given several times
    #[arg(long, value_name = "LABEL")]
    pub label: Vec<String>,
    /// Only this stream; may be given several times
    #[arg(long, value_name = "NAME")]
    pub stream: Vec<String>,
    /// From this time on: yesterday, 2026-01-02, 2026-01-02T14:03, 3d (ago) or RFC 3339; without a zone it is local
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Up to this time, or to the end of this day
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only intervals of at least this duration, like 2s
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub min_duration: Option<Duration>,
    /// Form of the output; csv has the intervals only
    #[arg(long, value_enum, default_value = "table")]
    pub format: HistoryFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HistoryFormat {
    Table,
    Csv,
    Json,
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
    /// Read options from a .toml file or a shipped pipeline (file, original, timeline, rtsp, webcam, window, web, many); flags
    /// override them
    #[arg(long, value_name = "NAME|FILE")]
    pub pipeline: Option<String>,
    /// Check only: open each input, load the model, and print what would be written and what will be slow
    #[arg(long)]
    pub dry_run: bool,
}

impl RunArgs {
    pub fn settings(self) -> Settings {
        Settings { run: self.run, streams: self.streams, origin: None }
    }
}

#[derive(Debug, Args)]
pub struct ViewArgs {
    /// Timeline that `run` wrote, CLIP.timeline.json; or the output folder of runs, for their history
    #[arg(value_name = "TIMELINE|FOLDER")]
    pub timeline: PathBuf,
    /// Labelled video, or the clip itself [default: the labelled video beside the timeline, else the clip]
    #[arg(long, value_name = "FILE")]
    pub video: Option<PathBuf>,
    /// Maximum pixels of a frame [default: 35389440, which is 8192x4320]
    #[arg(long, value_name = "N", value_parser = parse_pixels)]
    pub max_pixels: Option<usize>,
    #[command(flatten)]
    pub page: PageArgs,
}

#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// Address of the run's page, like https://127.0.0.1:8080
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub web: String,
    /// File with the admin token, as the run has it
    #[arg(long, value_name = "FILE")]
    pub admin_token_file: PathBuf,
    /// Certificate to trust, a PEM file, if the system does not trust the page's
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct FramesArgs {
    /// Videos, folders with videos, or cameras: rtsp://, http(s)://, /dev/videoN, test://; the output folder comes last
    #[arg(required = true, value_name = "INPUTS")]
    pub inputs: Vec<PathBuf>,
    /// Output folder
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
    /// Time between pictures, like 1s, 500ms, 2m; `frame` extracts every frame
    #[arg(long, default_value = "1s", value_name = "TIME")]
    pub every: crate::cli::frames::Every,
    /// End each input after this many pictures [default: videos at their end, cameras at Ctrl-C]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// One folder for all pictures, or one for each input
    #[arg(long, value_enum, default_value = "flat")]
    pub layout: FolderLayout,
    /// Camera: RTSP transport [default: tcp]
    #[arg(long, value_name = "KIND", value_enum)]
    transport: Option<Transport>,
    /// Camera: environment variable with the user name
    #[arg(long, value_name = "VARIABLE")]
    user_env: Option<String>,
    /// Camera: environment variable with the password
    #[arg(long, value_name = "VARIABLE")]
    password_env: Option<String>,
    /// Camera: file with the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Print no progress and no summary
    #[arg(long)]
    pub quiet: bool,
}

impl FramesArgs {
    pub fn extraction(&self) -> Extraction<'_> {
        let camera = StreamOptions {
            transport: self.transport,
            user_env: self.user_env.clone(),
            password_env: self.password_env.clone(),
            password_file: self.password_file.clone(),
            ..StreamOptions::default()
        };
        let Self { out, every, count, layout, quiet, .. } = self;
        Extraction { out, every: *every, count: *count, layout: *layout, quiet: *quiet, camera }
    }
}

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Measure each stage alone and all stages together on a clip, and compare the speed with the possible maximum
    Clip {
        /// The clip
        clip: PathBuf,
        #[command(flatten)]
        options: BenchArgs,
        /// Frames in a batch [default: 4; cuda: 64]
        #[arg(long, value_name = "N")]
        batch: Option<usize>,
    },
    /// Compare the labels of adaptive sampling (--stride auto) and of fixed strides with those of analysing every frame
    Sampling {
        /// The clips
        #[arg(required = true)]
        clips: Vec<PathBuf>,
        #[command(flatten)]
        options: BenchArgs,
        /// Multiples of the expected error that a label must stand
        #[arg(long, value_name = "X,X", value_delimiter = ',', default_value = "0.5,1,2")]
        strictness: Vec<f64>,
        /// Longest steps, in frames, between frames that are analysed
        #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "32")]
        steps: Vec<NonZeroUsize>,
        /// Fixed strides
        #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "2,4,8")]
        strides: Vec<NonZeroUsize>,
    },
    /// Measure the model alone: latency and frames a second at several batch sizes
    Model {
        #[command(flatten)]
        options: BenchArgs,
        /// Batch sizes
        #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "1,8,32,64")]
        batches: Vec<usize>,
        /// Duration of each measurement
        #[arg(long, value_name = "TIME", value_parser = parse_span, default_value = "3s")]
        time: Duration,
    },
}

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Model file [default: models/drinking-cooking.int8.onnx]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Device that runs the model: auto, cpu, cuda, cuda:N, openvino
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: DeviceSelection,
    /// Precision of floating-point computation
    #[arg(long, value_name = "KIND", value_enum, default_value = "auto")]
    pub inference_precision: InferencePrecision,
    /// Threads that run the model [default: one for each core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl BenchArgs {
    /// Returns the options of a session.
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
    /// ONNX file: its input is a picture, its output a number for each label
    #[arg(value_name = "THEIR.onnx")]
    pub file: PathBuf,
    /// File with the labels in the model's order: one label a line, or a JSON list
    #[arg(long, value_name = "FILE")]
    pub labels: PathBuf,
    /// Mean to subtract from the channels, which are 0 to 255: one number, or one for each channel
    #[arg(
        long,
        value_name = "M[,M,M]",
        value_delimiter = ',',
        num_args = 1,
        default_value = "0",
        allow_hyphen_values = true
    )]
    pub mean: Vec<f32>,
    /// Factor applied after the mean is subtracted, like 0.00392157 (1/255): one number, or one for each channel
    #[arg(long, value_name = "S[,S,S]", value_delimiter = ',', num_args = 1, default_value = "1")]
    pub scale: Vec<f32>,
    /// Order of the channels, also of --mean and --scale
    #[arg(long, value_enum, default_value = "rgb", ignore_case = true)]
    pub channels: ChannelOrder,
    /// Height and width of the input in pixels [default: from the file]
    #[arg(long, value_name = "N")]
    pub size: Option<usize>,
    /// Position of the channels in the input [default: from its shape]
    #[arg(long, value_enum)]
    pub layout: Option<TensorLayout>,
    /// Output with a number for each label, if there are several outputs
    #[arg(long, value_name = "NAME")]
    pub output_name: Option<String>,
    /// Whether a softmax turns the output into probabilities
    #[arg(long, value_enum, default_value = "auto")]
    pub softmax: Softmax,
    /// What smoothing averages, a number of predictions or a time like 1.2s; stored in the file as its default
    #[arg(long, default_value = "1.2s", value_name = "N|TIME")]
    pub window: SmoothingWindow,
    /// Confidence, 0 to 1, below which no label is shown, stored in the file as its default
    #[arg(long, default_value_t = 0.0, value_name = "CONFIDENCE")]
    pub threshold: f64,
    /// How much more confident another label must be to replace the shown one; stored in the file as its default
    #[arg(long, default_value_t = 0.15, value_name = "CONFIDENCE")]
    pub hysteresis: f64,
    /// Pictures to classify, to try the model
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub pictures: Vec<PathBuf>,
    /// Output file
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// Overwrite an existing file
    #[arg(long)]
    pub force: bool,
}

/// Order of the colour channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChannelOrder {
    /// PyTorch, timm, most of Keras
    Rgb,
    /// OpenCV, Caffe, Keras' ResNet50 and VGG
    Bgr,
}

#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Print the metadata of a model file
    Show {
        /// Model file [default: models/drinking-cooking.int8.onnx]
        model: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Build a model file from ResNet50's weights and a head
    Build {
        /// Backbone: a folder with a TensorFlow.js model.json, or .safetensors under Keras' names
        #[arg(long, value_name = "PATH")]
        backbone: PathBuf,
        /// Head (.safetensors), or `imagenet` for the backbone's own 1000 classes
        #[arg(long, value_name = "FILE|imagenet")]
        head: PathBuf,
        /// File with the names of ImageNet's classes [default: labels.json beside the backbone]
        #[arg(long, value_name = "FILE")]
        labels: Option<PathBuf>,
        /// Precision of the weights
        #[arg(long, value_enum, default_value = "fp32")]
        precision: WeightPrecision,
        /// Output file
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        /// Overwrite an existing file
        #[arg(long)]
        force: bool,
    },
    /// Make a model file from an image classifier that was exported as ONNX
    Import(Box<ImportArgs>),
    /// Load a model, run it and check its output; with pictures, print their labels
    Verify {
        /// Model file [default: models/drinking-cooking.int8.onnx]
        model: Option<PathBuf>,
        /// Pictures to classify
        #[arg(long, value_name = "FILE", num_args = 1..)]
        pictures: Vec<PathBuf>,
        /// Device that runs the model: auto, cpu, cuda, cuda:N, openvino
        #[arg(long, default_value = "auto", value_name = "DEVICE")]
        device: DeviceSelection,
        /// Precision of floating-point computation
        #[arg(long, value_name = "KIND", value_enum, default_value = "auto")]
        inference_precision: InferencePrecision,
        /// Print JSON, with all logits
        #[arg(long)]
        json: bool,
    },
}
