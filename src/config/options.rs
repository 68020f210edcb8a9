//! The options of a run. Each is declared once: flag, key in a pipeline file, help text and JSON Schema.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::shard::Shard;
use crate::inference::device::DeviceSelection;
use crate::inference::inference_precision::InferencePrecision;
use crate::labels::overlay::OverlayStyle;
use crate::labels::stride::Stride;
use crate::labels::window::{SmoothingWindow, WindowAlign};
use crate::media::camera::Transport;
use crate::media::limits::parse_pixels;
use crate::media::recorder::Container;

/// Declares a struct of optional options, and how a flag overrides a pipeline file.
macro_rules! options {
    ($(#[$about:meta])* pub struct $name:ident { $($(#[$attribute:meta])* pub $field:ident: $kind:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, clap::Args, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$attribute])* #[serde(skip_serializing_if = "Overlay::is_unset")] pub $field: $kind,)* }

        impl $name {
            /// The keys of a pipeline file.
            pub const KEYS: &'static [&'static str] = &[$(stringify!($field)),*];

            /// Returns these options, with those of `fallback` where they are unset.
            #[must_use]
            pub fn over(self, fallback: Self) -> Self {
            Self { $($field: Overlay::over(self.$field, fallback.$field),)* }
            }

            /// Returns the keys of the options in which these differ from `other`.
            pub fn differences(&self, other: &Self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.$field != other.$field { names.push(stringify!($field)); })*
                names
            }
        }
    };
}

/// A value that may be unset.
trait Overlay {
    fn over(self, fallback: Self) -> Self;
    fn is_unset(&self) -> bool;
}

impl<T> Overlay for Option<T> {
    fn over(self, fallback: Self) -> Self {
        self.or(fallback)
    }

    fn is_unset(&self) -> bool {
        self.is_none()
    }
}

impl<T> Overlay for Vec<T> {
    fn over(self, fallback: Self) -> Self {
        if self.is_empty() { fallback } else { self }
    }

    fn is_unset(&self) -> bool {
        self.is_empty()
    }
}

options! {
/// Options of one stream: keys of a `[[stream]]`, or of a pipeline file for all streams.
#[derive(Serialize)]
pub struct StreamOptions {
    /// Clips and folders of clips, - for a list on stdin, or cameras: rtsp://, http(s):// (MJPEG, HLS), /dev/videoN, test://
    #[arg(value_name = "INPUT")]
    #[serde(default, deserialize_with = "list")]
    #[schemars(with = "ListSchema<String>")]
    pub input: Vec<PathBuf>,
    /// Label to look for; no other label is shown [default: all labels]
    #[arg(long, value_name = "LABEL")]
    pub action: Option<String>,
    /// What smoothing averages: a number of predictions, or a time like 1.2s [default: the model's, 1.2s]
    #[arg(long, value_name = "N|TIME")]
    #[schemars(with = "Option<NumberOrText>")]
    pub window: Option<SmoothingWindow>,
    /// Where the window lies: half before and half after the frame, for clips only, or all before it
    /// [default: centred; cameras: trailing]
    #[arg(long, value_name = "KIND", value_enum)]
    pub window_align: Option<WindowAlign>,
    /// Confidence, 0 to 1, below which no label is shown [default: the model's, 0.0]
    #[arg(long, value_name = "CONFIDENCE")]
    pub threshold: Option<f64>,
    /// How much more confident another label must be to replace the shown one; the shown label also stays until it is
    /// this far below the threshold [default: the model's, 0.15]
    #[arg(long, value_name = "CONFIDENCE")]
    pub hysteresis: Option<f64>,
    /// How the label is drawn on the picture [default: plate]
    #[arg(long, value_name = "STYLE", value_enum)]
    pub overlay: Option<OverlayStyle>,
    /// File for the labelled video, .avi or .mkv (both MJPG); with several inputs a folder
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// File for times and confidences, .json; with several inputs a folder
    #[arg(long, value_name = "FILE")]
    pub timeline: Option<PathBuf>,
    /// File for a plot of confidence over time, .png or .svg; with several inputs a folder
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// File for the intervals as WebVTT subtitles, .vtt; with several inputs a folder
    #[arg(long, value_name = "FILE")]
    pub subtitles: Option<PathBuf>,
    /// Folder for output files that no other flag names [default: the current folder]
    #[arg(long, value_name = "FOLDER")]
    pub output_dir: Option<PathBuf>,
    /// Container of videos that --output does not name: avi or mkv; mkv or mp4 for a camera's own video
    /// [default: avi; cameras: mkv]
    #[arg(long, value_name = "KIND", value_enum)]
    pub format: Option<Container>,
    /// Write only these kinds of file, and files named by a flag [default: all]
    #[arg(long, value_name = "KIND", value_enum, value_delimiter = ',')]
    #[serde(default, deserialize_with = "optional_list")]
    #[schemars(with = "Option<ListSchema<FileKind>>")]
    pub only: Option<Vec<FileKind>>,
    /// Analyse every N-th frame; `auto`: those that the labels depend on, and on a camera fewer if the machine is too slow
    /// [default: auto; clips with --window 1: 1]
    #[arg(long, value_name = "N|auto")]
    #[schemars(with = "Option<NumberOrText>")]
    pub stride: Option<Stride>,
    /// Camera: name of its stream and its files [default: from its address]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Camera: do not connect until it is resumed on the page, or by a reload
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub paused: Option<bool>,
    /// Camera: RTSP transport [default: tcp]
    #[arg(long, value_name = "KIND", value_enum)]
    pub transport: Option<Transport>,
    /// Camera: time to wait for late RTSP packets, in milliseconds [default: 150]
    #[arg(long, value_name = "MS")]
    pub latency: Option<u64>,
    /// Maximum pixels of a frame [default: 35389440, which is 8192x4320]
    #[arg(long, value_name = "N", value_parser = parse_pixels)]
    pub max_pixels: Option<usize>,
    /// Let an HLS or DASH playlist refer to other places: a clip's to files and web servers, a camera's to other hosts
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub allow_playlists: Option<bool>,
    /// Camera: environment variable with the user name
    #[arg(long, value_name = "VARIABLE")]
    pub user_env: Option<String>,
    /// Camera: environment variable with the password
    #[arg(long, value_name = "VARIABLE")]
    pub password_env: Option<String>,
    /// Camera: file with the password
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Camera: record in segments of about this length, like 10m
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    #[serde(default, deserialize_with = "span", serialize_with = "span_text")]
    #[schemars(with = "Option<String>")]
    pub segment: Option<Duration>,
    /// Camera: what the segments show [default: original]
    #[arg(long, value_name = "VIDEO", value_enum)]
    pub segment_video: Option<SegmentVideo>,
    /// Camera: record its sound too, in its own video over RTSP; people in it may have to consent
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub segment_audio: Option<bool>,
    /// Camera: delete its oldest files beyond this age or total size, like 7d or 50G [default: keep all]
    #[arg(long, value_name = "AGE|SIZE")]
    #[schemars(with = "Option<String>")]
    pub keep: Option<Keep>,
    /// Camera: as --keep, for segments in which a label other than `other` was shown, and the minute around it
    #[arg(long, value_name = "AGE|SIZE")]
    #[schemars(with = "Option<String>")]
    pub keep_intervals: Option<Keep>,
    /// Camera: record only while a label is shown, plus five seconds before and after
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub only_active: Option<bool>,
    /// Camera: without a recording, keep small pictures of each interval's start, peak and end [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub interval_pictures: Option<bool>,
}
}

options! {
/// Options of the whole run.
pub struct RunOptions {
    /// Model file [default: models/drinking-cooking.int8.onnx]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Device that runs the model: auto, cpu, cuda, cuda:N, openvino [default: auto]
    #[arg(long, value_name = "DEVICE")]
    #[schemars(with = "Option<String>")]
    pub device: Option<DeviceSelection>,
    /// Maximum frames in a batch [default: 4; for sampled clips alone on up to 4 cores: 1; cuda: 64]
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Precision of floating-point computation [default: auto]
    #[arg(long, value_name = "KIND", value_enum)]
    pub inference_precision: Option<InferencePrecision>,
    /// Maximum number of clips analysed at the same time; cameras do not count [default: the number of cores]
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Show the labelled video in a window: q quits, space pauses, s saves a picture
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub display: Option<bool>,
    /// Keep an index of what cameras saw, for the page and `livelabel history` [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub index: Option<bool>,
    /// Keep frames to learn from in this folder: those that the model is unsure of, those around a change of the label, and a
    /// random sample; people correct them on the page (docs/learning.md)
    #[arg(long, value_name = "FOLDER")]
    pub learn: Option<PathBuf>,
    /// Most frames that are kept of one stream and day [default: 200]
    #[arg(long, value_name = "N")]
    pub learn_per_day: Option<usize>,
    /// Most bytes that the kept frames take, like 500M; then the oldest without an answer are deleted [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    #[serde(default, deserialize_with = "size")]
    #[schemars(with = "Option<String>")]
    pub learn_limit: Option<u64>,
    /// Camera: time between status lines when stderr is not a terminal, like 30s [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    #[serde(default, deserialize_with = "span")]
    #[schemars(with = "Option<String>")]
    pub status_interval: Option<Duration>,
    /// Append events to this file as JSON Lines; - is stdout
    #[arg(long, value_name = "FILE|-")]
    pub events: Option<PathBuf>,
    /// Publish states and events to this MQTT broker, like mqtt://HOST; the full form, with TLS, is
    /// mqtts://USER:PASSWORD@HOST:PORT/PREFIX
    #[arg(long, value_name = "URL")]
    pub mqtt: Option<String>,
    /// Environment variable with the user name for the broker
    #[arg(long, value_name = "VARIABLE")]
    pub mqtt_user_env: Option<String>,
    /// Environment variable with the password for the broker
    #[arg(long, value_name = "VARIABLE")]
    pub mqtt_password_env: Option<String>,
    /// File with the password for the broker
    #[arg(long, value_name = "FILE")]
    pub mqtt_password_file: Option<PathBuf>,
    /// Post each event as JSON to this URL; may be given several times
    #[arg(long, value_name = "URL")]
    #[serde(default, deserialize_with = "list")]
    #[schemars(with = "ListSchema<String>")]
    pub webhook: Vec<String>,
    /// Serve a page with live video, a timeline and metrics at this address, like 127.0.0.1:8080 (docs/web.md)
    #[arg(long, value_name = "ADDRESS")]
    pub web: Option<String>,
    /// Page: token that clients must present; required if other machines can reach the address
    #[arg(long, value_name = "TOKEN")]
    pub web_token: Option<String>,
    /// Page: file with the token, which keeps it out of the list of processes
    #[arg(long, value_name = "FILE")]
    pub web_token_file: Option<PathBuf>,
    /// Page: file with the token of who may change something, another one than the page's; without it nobody may
    #[arg(long, value_name = "FILE")]
    pub web_admin_token_file: Option<PathBuf>,
    /// Page: certificate for https, a PEM file with the certificates of its issuers after it; needs --web-key
    #[arg(long, value_name = "FILE")]
    pub web_cert: Option<PathBuf>,
    /// Page: private key of the certificate, a PEM file without a password
    #[arg(long, value_name = "FILE")]
    pub web_key: Option<PathBuf>,
    /// File for a table of all intervals of all inputs, .csv: a row an interval
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// File for a page about all clips, .html: ribbons, pictures, totals [default: overview.html in --output-dir, if there
    /// are several clips]
    #[arg(long, value_name = "FILE")]
    pub overview: Option<PathBuf>,
    /// Only this part of the inputs, like 3/16: the others belong to runs with 0/16 to 15/16, on any machine
    #[arg(long, value_name = "K/N")]
    pub shard: Option<Shard>,
    /// Skip the clips that an earlier run completed with the same model and settings, and do the rest
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub resume: Option<bool>,
    /// End the run when all inputs have ended, as without a page; otherwise the page then stays until Ctrl-C
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub web_exit: Option<bool>,
    /// Keep all rights of the user that runs this, instead of those that the run needs (docs/hardening.md)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub no_sandbox: Option<bool>,
    /// Overwrite existing files
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub force: Option<bool>,
    /// Print no progress and no summary
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub quiet: Option<bool>,
    /// Print counts, speed, device and codecs of each clip at the end
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub verbose: Option<bool>,
    /// Streams with their own options
    #[arg(skip)]
    #[serde(default)]
    pub stream: Vec<StreamOptions>,
}
}

/// Parses a duration like `10m`, of at least one second.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|cause| format!("{cause}; write it like 30s, 10m or 7d"))?;
    if span < Duration::from_secs(1) { Err("the minimum is one second".into()) } else { Ok(span) }
}

fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_span(&text).map(Some).map_err(serde::de::Error::custom)
}

fn span_text<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    span.map(|span| humantime::format_duration(span).to_string()).serialize(serializer)
}

/// Parses a size like `500M`, in bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let size: bytesize::ByteSize = text.parse().map_err(|cause: String| cause)?;
    if size.as_u64() > 0 { Ok(size.as_u64()) } else { Err("a size of 0 keeps nothing".into()) }
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_size(&text).map(Some).map_err(serde::de::Error::custom)
}

/// How many of its files a camera keeps: by age, or by total size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Keep {
    Age(Duration),
    Bytes(u64),
}

impl std::str::FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A trailing M means megabytes, not humantime's months.
        if text.ends_with(['G', 'M', 'T', 'B', 'K']) {
            return parse_size(text).map(Keep::Bytes);
        }
        parse_span(text).map(Keep::Age).map_err(|_| format!("{text:?} is neither an age like 7d nor a size like 50G"))
    }
}

impl From<Keep> for String {
    fn from(keep: Keep) -> Self {
        match keep {
            Keep::Age(age) => humantime::format_duration(age).to_string(),
            Keep::Bytes(bytes) => format!("{bytes}B"),
        }
    }
}

impl TryFrom<String> for Keep {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Deserialises a list, or a single value as a list of one.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct ListVisitor<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a string or a list of strings")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
            T::deserialize(text.into_deserializer()).map(|value| vec![value])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<Vec<T>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(values))
        }
    }

    deserializer.deserialize_any(ListVisitor(PhantomData))
}

fn optional_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
    list(deserializer).map(Some)
}

/// The kinds of file that a run over clips can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    Video,
    Timeline,
    Plot,
    Subtitles,
    /// Of all clips
    Overview,
}

/// What the segments of a camera's recording show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SegmentVideo {
    /// The camera's own video as it comes, with the labels in a .vtt file beside it
    #[default]
    Original,
    /// Every picture with its label drawn on it, as MJPG; takes 3 to 30 times the space
    Labelled,
    /// Both, each in files of its own
    Both,
}

/// A list in the JSON Schema.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum ListSchema<T> {
    One(T),
    Many(Vec<T>),
}

/// A stride or a window in the JSON Schema.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum NumberOrText {
    Number(u64),
    Text(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_parses_an_age_or_a_size() {
        assert_eq!("7d".parse(), Ok(Keep::Age(Duration::from_secs(7 * 86_400))));
        assert_eq!("50G".parse(), Ok(Keep::Bytes(50_000_000_000)));
        assert_eq!("30m".parse(), Ok(Keep::Age(Duration::from_secs(1_800))));
        for invalid in ["", "7", "0G", "-1d", "much"] {
            assert!(invalid.parse::<Keep>().is_err(), "{invalid}");
        }
    }
}
