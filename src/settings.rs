//! What the user wrote: the same settings from flags and from a pipeline file, each left open where it is not written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::inference::device::DeviceSelection;
use crate::inference::rounding::ComputePrecision;
use crate::labels::stride::Stride;
use crate::media::camera::Transport;
use crate::media::recorder::Container;

/// Settings as they are written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default)]
    pub input: Vec<PathBuf>,
    pub action: Option<String>,
    pub window: Option<usize>,
    pub threshold: Option<f64>,
    pub hysteresis: Option<f64>,
    pub output: Option<PathBuf>,
    pub timeline: Option<PathBuf>,
    pub plot: Option<PathBuf>,
    pub subtitles: Option<PathBuf>,
    pub output_dir: Option<PathBuf>,
    pub format: Option<Container>,
    pub only: Option<Vec<Kind>>,
    pub model: Option<PathBuf>,
    pub device: Option<DeviceSelection>,
    pub batch: Option<usize>,
    pub rounding: Option<ComputePrecision>,
    #[serde(default, deserialize_with = "stride")]
    pub stride: Option<Stride>,
    pub jobs: Option<usize>,
    pub force: Option<bool>,
    pub quiet: Option<bool>,
    /// Of a stream; else it is named after its input.
    pub name: Option<String>,
    pub transport: Option<Transport>,
    /// In milliseconds.
    pub latency: Option<u64>,
    /// Of a picture.
    pub max_pixels: Option<usize>,
    pub allow_playlists: Option<bool>,
    pub user_env: Option<String>,
    pub password_env: Option<String>,
    pub password_file: Option<PathBuf>,
    pub display: Option<bool>,
    #[serde(default, deserialize_with = "span")]
    pub segment: Option<Duration>,
    pub keep: Option<Keep>,
    pub only_active: Option<bool>,
    #[serde(default, deserialize_with = "span")]
    pub status_interval: Option<Duration>,
    /// `-` is stdout.
    pub events: Option<PathBuf>,
    pub mqtt: Option<String>,
    pub mqtt_user_env: Option<String>,
    pub mqtt_password_env: Option<String>,
    pub mqtt_password_file: Option<PathBuf>,
    #[serde(default)]
    pub webhook: Vec<String>,
    pub web: Option<String>,
    pub web_token: Option<String>,
    pub web_token_file: Option<PathBuf>,
    /// The pipeline file that they were read from.
    #[serde(skip)]
    pub origin: Option<PathBuf>,
    /// Inputs with settings of their own, `[[stream]]` in a pipeline file.
    #[serde(default)]
    pub stream: Vec<Settings>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Video,
    Timeline,
    Plot,
    Subtitles,
}

impl Settings {
    /// Reads a pipeline file, or one of the shipped ones by its name.
    ///
    /// # Errors
    /// A usage error that names the key and the line.
    pub fn read(pipeline: &str) -> Result<Self> {
        let path = Path::new(pipeline);
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(path).map_err(|cause| {
                Error::usage(format!("pipeline {pipeline}: cannot be read")).because(cause).remedy("check the name")
            })?;
            return Ok(Self { origin: Some(path.to_path_buf()), ..Self::parse(&text, pipeline)? });
        }
        let shipped = SHIPPED.iter().find(|(name, _)| *name == pipeline).ok_or_else(|| {
            let names: Vec<_> = SHIPPED.iter().map(|(name, _)| *name).collect();
            Error::usage(format!("pipeline {pipeline:?} is not shipped"))
                .remedy(format!("name one of {}, or a .toml file", names.join(", ")))
        })?;
        Self::parse(shipped.1, pipeline)
    }

    fn parse(text: &str, origin: &str) -> Result<Self> {
        toml::from_str(text).map_err(|cause| {
            let line = cause.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            Error::usage(format!("pipeline {origin}, line {line}: {}", cause.message()))
                .remedy("see `livelabel run --help` for the keys: they are the flags' names with _ for -")
        })
    }

    /// The files that these settings are from or name, but for inputs, outputs and the model.
    pub fn files(&self) -> Vec<PathBuf> {
        let own = [&self.origin, &self.web_token_file, &self.mqtt_password_file, &self.password_file];
        let of_streams = self.stream.iter().filter_map(|stream| stream.password_file.as_ref());
        own.into_iter().flatten().chain(of_streams).cloned().collect()
    }

    /// These settings, with `file`'s where they leave something open.
    #[must_use]
    pub fn over(self, file: Settings) -> Settings {
        Settings {
            input: if self.input.is_empty() { file.input } else { self.input },
            action: self.action.or(file.action),
            window: self.window.or(file.window),
            threshold: self.threshold.or(file.threshold),
            hysteresis: self.hysteresis.or(file.hysteresis),
            output: self.output.or(file.output),
            timeline: self.timeline.or(file.timeline),
            plot: self.plot.or(file.plot),
            subtitles: self.subtitles.or(file.subtitles),
            output_dir: self.output_dir.or(file.output_dir),
            format: self.format.or(file.format),
            only: self.only.or(file.only),
            model: self.model.or(file.model),
            device: self.device.or(file.device),
            batch: self.batch.or(file.batch),
            rounding: self.rounding.or(file.rounding),
            stride: self.stride.or(file.stride),
            jobs: self.jobs.or(file.jobs),
            force: self.force.or(file.force),
            quiet: self.quiet.or(file.quiet),
            origin: self.origin.or(file.origin),
            name: self.name.or(file.name),
            transport: self.transport.or(file.transport),
            latency: self.latency.or(file.latency),
            max_pixels: self.max_pixels.or(file.max_pixels),
            allow_playlists: self.allow_playlists.or(file.allow_playlists),
            user_env: self.user_env.or(file.user_env),
            password_env: self.password_env.or(file.password_env),
            password_file: self.password_file.or(file.password_file),
            display: self.display.or(file.display),
            segment: self.segment.or(file.segment),
            keep: self.keep.or(file.keep),
            only_active: self.only_active.or(file.only_active),
            status_interval: self.status_interval.or(file.status_interval),
            events: self.events.or(file.events),
            mqtt: self.mqtt.or(file.mqtt),
            mqtt_user_env: self.mqtt_user_env.or(file.mqtt_user_env),
            mqtt_password_env: self.mqtt_password_env.or(file.mqtt_password_env),
            mqtt_password_file: self.mqtt_password_file.or(file.mqtt_password_file),
            webhook: if self.webhook.is_empty() { file.webhook } else { self.webhook },
            web: self.web.or(file.web),
            web_token: self.web_token.or(file.web_token),
            web_token_file: self.web_token_file.or(file.web_token_file),
            stream: if self.stream.is_empty() { file.stream } else { self.stream },
        }
    }
}

/// Pipelines that are part of the program.
const SHIPPED: [(&str, &str); 7] = [
    ("file", include_str!("../pipelines/file.toml")),
    ("timeline", include_str!("../pipelines/timeline.toml")),
    ("rtsp", include_str!("../pipelines/rtsp.toml")),
    ("webcam", include_str!("../pipelines/webcam.toml")),
    ("window", include_str!("../pipelines/window.toml")),
    ("web", include_str!("../pipelines/web.toml")),
    ("many", include_str!("../pipelines/many.toml")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file() {
        let file = Settings::parse("window = 64\naction = \"cooking\"\nstride = \"auto\"", "p.toml").unwrap();
        let settings = Settings { window: Some(16), ..Default::default() }.over(file);
        assert_eq!(settings.window, Some(16));
        assert_eq!(settings.action.as_deref(), Some("cooking"));
        assert_eq!(settings.stride, Some(Stride::Auto));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = Settings::parse("window = 64\nwidnow = 3\n", "p.toml").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.contains("p.toml, line 2") && text.contains("widnow"), "{text}");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_named_with_its_line() {
        let text = Settings::parse("\n\nwindow = \"many\"\n", "p.toml").unwrap_err().to_string();
        assert!(text.contains("line 3"), "{text}");
    }

    #[test]
    fn an_age_and_a_size_are_told_apart() {
        assert_eq!("7d".parse(), Ok(Keep::Age(Duration::from_secs(7 * 86_400))));
        assert_eq!("50G".parse(), Ok(Keep::Bytes(50_000_000_000)));
        assert_eq!("30m".parse(), Ok(Keep::Age(Duration::from_secs(1_800))));
        for nonsense in ["", "7", "0G", "-1d", "much"] {
            assert!(nonsense.parse::<Keep>().is_err(), "{nonsense}");
        }
    }

    #[test]
    fn a_stream_has_settings_of_its_own() {
        let file =
            Settings::parse("window = 64\n[[stream]]\nname = \"door\"\ninput = [\"test://\"]\nwindow = 8", "p.toml");
        let file = file.unwrap();
        assert_eq!(
            (file.window, file.stream[0].window, file.stream[0].name.as_deref()),
            (Some(64), Some(8), Some("door"))
        );
        let text = Settings::parse("[[stream]]\nnmae = \"door\"", "p.toml").unwrap_err().to_string();
        assert!(text.contains("line 2") && text.contains("nmae"), "{text}");
    }

    #[test]
    fn every_shipped_pipeline_can_be_read() {
        for (name, _) in SHIPPED {
            Settings::read(name).unwrap();
        }
    }
}
