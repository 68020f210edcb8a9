//! Arguments and help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::frames::Layout as FolderLayout;
use crate::inference::device::DeviceSelection;
use crate::inference::rounding::ComputePrecision;
use crate::inference::session::SessionOptions;
use crate::labels::stride::Stride;
use crate::media::camera::Transport;
use crate::media::limits::parse_pixels;
use crate::media::recorder::Container;
use crate::onnx::graph::Precision;
use crate::onnx::import::{Layout, Softmax};
use crate::settings::{Keep, Kind, Settings, parse_span};

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
    /// Show what can run the network here, and what `auto` would take
    Devices {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Clips, or cameras: rtsp://, http(s):// (MJPEG, HLS), /dev/videoN, test://; several at once with one network
    #[arg(value_name = "INPUT")]
    input: Vec<PathBuf>,
    /// The label to look for; without it every label is shown
    #[arg(long, value_name = "LABEL")]
    action: Option<String>,
    /// Number of predictions to average [default: the model's, 128]
    #[arg(long, value_name = "N")]
    window: Option<usize>,
    /// Confidence below which "computing..." is shown [default: the model's, 0.0]
    #[arg(long, value_name = "SHARE")]
    threshold: Option<f64>,
    /// How far another label must lead, or confidence fall below the threshold, before the label changes [default: 0]
    #[arg(long, value_name = "SHARE")]
    hysteresis: Option<f64>,
    /// Labelled video, .avi or .mkv (both MJPG); with several inputs a folder
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Times and confidences as JSON; with several inputs a folder
    #[arg(long, value_name = "FILE")]
    timeline: Option<PathBuf>,
    /// Confidence over time, .png or .svg; with several inputs a folder
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Intervals as WebVTT; with several inputs a folder
    #[arg(long, value_name = "FILE")]
    subtitles: Option<PathBuf>,
    /// Folder for files that are not named [default: the current one]
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
    /// Kind of video where its file is not named [default: avi]
    #[arg(long, value_name = "KIND", value_enum)]
    format: Option<Container>,
    /// Write only these kinds of file, and those that are named
    #[arg(long, value_name = "KIND", value_enum, value_delimiter = ',')]
    only: Option<Vec<Kind>>,
    /// Model file [default: models/drinking-cooking.int8.onnx]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// What runs the network: auto, cpu, cuda, cuda:N, openvino [default: auto]
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceSelection>,
    /// Pictures that are run at once, at most [default: 4; cuda: 64]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// How floating point numbers may be rounded on the way [default: auto]
    #[arg(long, value_name = "KIND", value_enum)]
    rounding: Option<ComputePrecision>,
    /// Analyse every N-th frame, or as few as measured safe with `auto` [default: 1; cameras: auto, by the
    /// load]
    #[arg(long, value_name = "N|auto")]
    stride: Option<Stride>,
    /// Inputs that are worked on at once [default: the number of cores]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Camera: name its stream and its files [default: after its address]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Camera: how RTSP travels [default: tcp]
    #[arg(long, value_name = "KIND", value_enum)]
    transport: Option<Transport>,
    /// Camera: how long RTSP waits for late packets, in milliseconds [default: 150]
    #[arg(long, value_name = "MS")]
    latency: Option<u64>,
    /// Pixels of a picture at most [default: 35389440, which is 8192x4320]
    #[arg(long, value_name = "N", value_parser = parse_pixels)]
    max_pixels: Option<usize>,
    /// Follow a clip that is an HLS or DASH playlist to the files and web servers that it names, a camera's to other hosts
    #[arg(long)]
    allow_playlists: bool,
    /// Camera: environment variable that holds the user's name
    #[arg(long, value_name = "VARIABLE")]
    user_env: Option<String>,
    /// Camera: environment variable that holds the password
    #[arg(long, value_name = "VARIABLE")]
    password_env: Option<String>,
    /// Camera: file that holds the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Show the labelled picture in a window: q quits, space pauses, s saves a picture
    #[arg(long)]
    display: bool,
    /// Camera: record the labelled video in files of this length, like 10m
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    segment: Option<Duration>,
    /// Camera: delete the oldest of its own files beyond this age or size, like 7d or 50G
    #[arg(long, value_name = "AGE|SIZE")]
    keep: Option<Keep>,
    /// Camera: record only while a label is shown, and five seconds before and after
    #[arg(long)]
    only_active: bool,
    /// Camera: time between status lines where there is no terminal [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    status_interval: Option<Duration>,
    /// Append the start and end of intervals, and the loss of cameras, to a file as JSON Lines; - is stdout
    #[arg(long, value_name = "FILE|-")]
    events: Option<PathBuf>,
    /// Publish states and events to a broker: mqtt[s]://[USER:PASSWORD@]HOST[:PORT][/PREFIX]
    #[arg(long, value_name = "URL")]
    mqtt: Option<String>,
    /// Environment variable that holds the user's name for the broker
    #[arg(long, value_name = "VARIABLE")]
    mqtt_user_env: Option<String>,
    /// Environment variable that holds the password for the broker
    #[arg(long, value_name = "VARIABLE")]
    mqtt_password_env: Option<String>,
    /// File that holds the password for the broker
    #[arg(long, value_name = "FILE")]
    mqtt_password_file: Option<PathBuf>,
    /// Post each event as JSON to a web server; may be given several times
    #[arg(long, value_name = "URL")]
    webhook: Vec<String>,
    /// Serve a page with the live pictures, a timeline and metrics, like 127.0.0.1:8080 (docs/web.md)
    #[arg(long, value_name = "ADDRESS")]
    web: Option<String>,
    /// Page: let in who knows this token; needed where other machines can reach the address
    #[arg(long, value_name = "TOKEN")]
    web_token: Option<String>,
    /// Page: file that holds the token, which unlike the flag is not seen in the list of processes
    #[arg(long, value_name = "FILE")]
    web_token_file: Option<PathBuf>,
    /// Take settings from a .toml file or a shipped pipeline (file, timeline, rtsp, webcam, window, web, many); flags win
    #[arg(long, value_name = "NAME|FILE")]
    pub pipeline: Option<String>,
    /// Write over files that exist
    #[arg(long)]
    force: bool,
    /// No progress and no summary
    #[arg(long)]
    quiet: bool,
}

impl RunArgs {
    pub fn settings(self) -> Settings {
        Settings {
            origin: None,
            input: self.input,
            action: self.action,
            window: self.window,
            threshold: self.threshold,
            hysteresis: self.hysteresis,
            output: self.output,
            timeline: self.timeline,
            plot: self.plot,
            subtitles: self.subtitles,
            output_dir: self.output_dir,
            format: self.format,
            only: self.only,
            model: self.model,
            device: self.device,
            batch: self.batch,
            rounding: self.rounding,
            stride: self.stride,
            jobs: self.jobs,
            force: self.force.then_some(true),
            quiet: self.quiet.then_some(true),
            name: self.name,
            transport: self.transport,
            latency: self.latency,
            max_pixels: self.max_pixels,
            allow_playlists: self.allow_playlists.then_some(true),
            user_env: self.user_env,
            password_env: self.password_env,
            password_file: self.password_file,
            display: self.display.then_some(true),
            segment: self.segment,
            keep: self.keep,
            only_active: self.only_active.then_some(true),
            status_interval: self.status_interval,
            events: self.events,
            mqtt: self.mqtt,
            mqtt_user_env: self.mqtt_user_env,
            mqtt_password_env: self.mqtt_password_env,
            mqtt_password_file: self.mqtt_password_file,
            webhook: self.webhook,
            web: self.web,
            web_token: self.web_token,
            web_token_file: self.web_token_file,
            stream: Vec::new(),
        }
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
    pub fn settings(&self) -> Settings {
        Settings {
            web: Some(self.web.clone()),
            web_token: self.web_token.clone(),
            web_token_file: self.web_token_file.clone(),
            ..Settings::default()
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
    pub every: crate::frames::Every,
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
    /// How floating point numbers may be rounded on the way
    #[arg(long, value_name = "KIND", value_enum, default_value = "auto")]
    pub rounding: ComputePrecision,
    /// Threads for the network [default: one a core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

impl NetworkArgs {
    /// What it asks of a session.
    pub fn demand(&self, batch: Option<usize>) -> SessionOptions {
        SessionOptions {
            choice: self.device,
            batch,
            rounding: self.rounding,
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
        /// How floating point numbers may be rounded on the way
        #[arg(long, value_name = "KIND", value_enum, default_value = "auto")]
        rounding: ComputePrecision,
        /// As JSON, with all logits
        #[arg(long)]
        json: bool,
    },
}
