//! Every option of a run, declared once: its flag, its key in a pipeline file, its help, and its place in the JSON Schema.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::inference::compute_precision::ComputePrecision;
use crate::inference::device::DeviceSelection;
use crate::labels::stride::Stride;
use crate::media::camera::Transport;
use crate::media::limits::parse_pixels;
use crate::media::recorder::Container;

/// Declares options that may be left open, and how a flag wins over a file.
macro_rules! options {
    ($(#[$about:meta])* pub struct $name:ident { $($(#[$attribute:meta])* pub $field:ident: $kind:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, clap::Args, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$attribute])* pub $field: $kind,)* }

        impl $name {
            /// The keys of a pipeline file.
            pub const KEYS: &'static [&'static str] = &[$(stringify!($field)),*];

            /// These options, with `under`'s where they leave something open.
            #[must_use]
            pub fn over(self, under: Self) -> Self {
                Self { $($field: Overlay::over(self.$field, under.$field),)* }
            }
        }
    };
}

/// A value that may be left open.
trait Overlay {
    fn over(self, under: Self) -> Self;
}

impl<T> Overlay for Option<T> {
    fn over(self, under: Self) -> Self {
        self.or(under)
    }
}

impl<T> Overlay for Vec<T> {
    fn over(self, under: Self) -> Self {
        if self.is_empty() { under } else { self }
    }
}

options! {
/// What may differ from stream to stream: the keys of a `[[stream]]`, and of a pipeline file for all of them.
pub struct StreamOptions {
    /// Clips, or cameras: rtsp://, http(s):// (MJPEG, HLS), /dev/videoN, test://; several at once with one network
    #[arg(value_name = "INPUT")]
    #[serde(default)]
    pub input: Vec<PathBuf>,
    /// The label to look for; without it every label is shown
    #[arg(long, value_name = "LABEL")]
    pub action: Option<String>,
    /// Number of predictions to average [default: the model's, 128]
    #[arg(long, value_name = "N")]
    pub window: Option<usize>,
    /// Confidence below which "computing..." is shown [default: the model's, 0.0]
    #[arg(long, value_name = "SHARE")]
    pub threshold: Option<f64>,
    /// How far another label must lead, or confidence fall below the threshold, before the label changes [default: 0]
    #[arg(long, value_name = "SHARE")]
    pub hysteresis: Option<f64>,
    /// Labelled video, .avi or .mkv (both MJPG); with several inputs a folder
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Times and confidences as JSON; with several inputs a folder
    #[arg(long, value_name = "FILE")]
    pub timeline: Option<PathBuf>,
    /// Confidence over time, .png or .svg; with several inputs a folder
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Intervals as WebVTT; with several inputs a folder
    #[arg(long, value_name = "FILE")]
    pub subtitles: Option<PathBuf>,
    /// Folder for files that are not named [default: the current one]
    #[arg(long, value_name = "FOLDER")]
    pub output_dir: Option<PathBuf>,
    /// Kind of video where its file is not named [default: avi]
    #[arg(long, value_name = "KIND", value_enum)]
    pub format: Option<Container>,
    /// Write only these kinds of file, and those that are named
    #[arg(long, value_name = "KIND", value_enum, value_delimiter = ',')]
    pub only: Option<Vec<Kind>>,
    /// Analyse every N-th frame, or as few as measured safe with `auto` [default: 1; cameras: auto, by the
    /// load]
    #[arg(long, value_name = "N|auto")]
    #[serde(default, deserialize_with = "stride")]
    #[schemars(with = "Option<StrideSchema>")]
    pub stride: Option<Stride>,
    /// Camera: name its stream and its files [default: after its address]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Camera: how RTSP travels [default: tcp]
    #[arg(long, value_name = "KIND", value_enum)]
    pub transport: Option<Transport>,
    /// Camera: how long RTSP waits for late packets, in milliseconds [default: 150]
    #[arg(long, value_name = "MS")]
    pub latency: Option<u64>,
    /// Pixels of a picture at most [default: 35389440, which is 8192x4320]
    #[arg(long, value_name = "N", value_parser = parse_pixels)]
    pub max_pixels: Option<usize>,
    /// Follow a clip that is an HLS or DASH playlist to the files and web servers that it names, a camera's to other hosts
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub allow_playlists: Option<bool>,
    /// Camera: environment variable that holds the user's name
    #[arg(long, value_name = "VARIABLE")]
    pub user_env: Option<String>,
    /// Camera: environment variable that holds the password
    #[arg(long, value_name = "VARIABLE")]
    pub password_env: Option<String>,
    /// Camera: file that holds the password
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Camera: record the labelled video in files of this length, like 10m
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    #[serde(default, deserialize_with = "span")]
    #[schemars(with = "Option<String>")]
    pub segment: Option<Duration>,
    /// Camera: delete the oldest of its own files beyond this age or size, like 7d or 50G
    #[arg(long, value_name = "AGE|SIZE")]
    #[schemars(with = "Option<String>")]
    pub keep: Option<Keep>,
    /// Camera: record only while a label is shown, and five seconds before and after
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub only_active: Option<bool>,
}
}

options! {
/// What holds for the whole run.
pub struct RunOptions {
    /// Model file [default: models/drinking-cooking.int8.onnx]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// What runs the network: auto, cpu, cuda, cuda:N, openvino [default: auto]
    #[arg(long, value_name = "DEVICE")]
    #[schemars(with = "Option<String>")]
    pub device: Option<DeviceSelection>,
    /// Pictures that are run at once, at most [default: 4; cuda: 64]
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Precision of floating-point computation [default: auto]
    #[arg(long, value_name = "KIND", value_enum)]
    pub inference_precision: Option<ComputePrecision>,
    /// Inputs that are worked on at once [default: the number of cores]
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Show the labelled picture in a window: q quits, space pauses, s saves a picture
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub display: Option<bool>,
    /// Camera: time between status lines where there is no terminal [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    #[serde(default, deserialize_with = "span")]
    #[schemars(with = "Option<String>")]
    pub status_interval: Option<Duration>,
    /// Append the start and end of intervals, and the loss of cameras, to a file as JSON Lines; - is stdout
    #[arg(long, value_name = "FILE|-")]
    pub events: Option<PathBuf>,
    /// Publish states and events to a broker: mqtt://HOST, or mqtts:// for TLS; USER:PASSWORD@ before and :PORT/PREFIX behind it
    #[arg(long, value_name = "URL")]
    pub mqtt: Option<String>,
    /// Environment variable that holds the user's name for the broker
    #[arg(long, value_name = "VARIABLE")]
    pub mqtt_user_env: Option<String>,
    /// Environment variable that holds the password for the broker
    #[arg(long, value_name = "VARIABLE")]
    pub mqtt_password_env: Option<String>,
    /// File that holds the password for the broker
    #[arg(long, value_name = "FILE")]
    pub mqtt_password_file: Option<PathBuf>,
    /// Post each event as JSON to a web server; may be given several times
    #[arg(long, value_name = "URL")]
    #[serde(default)]
    pub webhook: Vec<String>,
    /// Serve a page with the live pictures, a timeline and metrics, like 127.0.0.1:8080 (docs/web.md)
    #[arg(long, value_name = "ADDRESS")]
    pub web: Option<String>,
    /// Page: let in who knows this token; needed where other machines can reach the address
    #[arg(long, value_name = "TOKEN")]
    pub web_token: Option<String>,
    /// Page: file that holds the token, which unlike the flag is not seen in the list of processes
    #[arg(long, value_name = "FILE")]
    pub web_token_file: Option<PathBuf>,
    /// Write over files that exist
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub force: Option<bool>,
    /// No progress and no summary
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub quiet: Option<bool>,
    /// Streams with options of their own
    #[arg(skip)]
    #[serde(default)]
    pub stream: Vec<StreamOptions>,
}
}

/// A length of time like `10m`.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|cause| format!("{cause}; write it like 30s, 10m or 7d"))?;
    if span < Duration::from_secs(1) { Err("a second is the least".into()) } else { Ok(span) }
}

fn span<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_span(&text).map(Some).map_err(serde::de::Error::custom)
}

/// How much of its own files a recording keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Keep {
    Age(Duration),
    Bytes(u64),
}

impl std::str::FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // What humantime takes for a month or a minute is never a size.
        if text.ends_with(['G', 'M', 'T', 'B', 'K']) {
            let size: bytesize::ByteSize = text.parse().map_err(|cause: String| cause)?;
            return if size.as_u64() > 0 { Ok(Keep::Bytes(size.as_u64())) } else { Err("0 keeps nothing".into()) };
        }
        parse_span(text).map(Keep::Age).map_err(|_| format!("{text:?} is neither an age like 7d nor a size like 50G"))
    }
}

impl TryFrom<String> for Keep {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// A stride is a number or "auto".
fn stride<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Stride>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(i64),
        Word(String),
    }
    let text = match Written::deserialize(deserializer)? {
        Written::Number(number) => number.to_string(),
        Written::Word(word) => word,
    };
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// The kinds of file a run can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Video,
    Timeline,
    Plot,
    Subtitles,
}

/// A stride as the schema has it.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum StrideSchema {
    Number(u64),
    Word(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_and_a_size_are_told_apart() {
        assert_eq!("7d".parse(), Ok(Keep::Age(Duration::from_secs(7 * 86_400))));
        assert_eq!("50G".parse(), Ok(Keep::Bytes(50_000_000_000)));
        assert_eq!("30m".parse(), Ok(Keep::Age(Duration::from_secs(1_800))));
        for nonsense in ["", "7", "0G", "-1d", "much"] {
            assert!(nonsense.parse::<Keep>().is_err(), "{nonsense}");
        }
    }
}
