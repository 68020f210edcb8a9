//! Options as the user wrote them, in flags and in a pipeline file.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

use crate::config::bounded;
use crate::config::options::{RunOptions, StreamOptions};
use crate::error::{Error, Result};

/// Maximum size of a pipeline file, in bytes. Five hundred cameras with every key need a tenth of it.
const MAX_FILE: usize = 4 << 20;

/// Options of a run, each unset unless the user wrote it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    pub run: RunOptions,
    /// For every stream that does not override them.
    pub streams: StreamOptions,
    /// The pipeline file that was read.
    pub origin: Option<PathBuf>,
}

impl Settings {
    /// Reads a pipeline file, or a shipped one by its name.
    ///
    /// # Errors
    /// Returns a usage error that names the key and the line.
    pub fn read(pipeline: &str) -> Result<Self> {
        let path = Path::new(pipeline);
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = bounded::text(path, MAX_FILE).map_err(|cause| {
                Error::usage(format!("pipeline {pipeline}: cannot be read")).because(cause).remedy("check the path")
            })?;
            return Ok(Self { origin: Some(path.to_path_buf()), ..Self::parse(&text, pipeline)? });
        }
        let shipped = SHIPPED.iter().find(|(name, _)| *name == pipeline).ok_or_else(|| {
            let names: Vec<_> = SHIPPED.iter().map(|(name, _)| *name).collect();
            Error::usage(format!("there is no pipeline {pipeline:?}"))
                .remedy(format!("use one of {}, or a .toml file", names.join(", ")))
        })?;
        Self::parse(shipped.1, pipeline)
    }

    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let location = |start: usize| format!("pipeline {origin}, line {}", text[..start].matches('\n').count() + 1);
        let invalid = |cause: toml::de::Error| {
            Error::usage(format!("{}: {}", location(cause.span().map_or(0, |span| span.start)), cause.message()))
                .remedy("see `livelabel run --help` for the keys: flags with _ instead of -")
        };
        let table = DeTable::parse(text).map_err(invalid)?;
        if let Some(unknown) = UnknownKey::first(table.get_ref()) {
            return Err(unknown.error(&location(unknown.start)));
        }
        Self::from_table(table).map_err(invalid)
    }

    fn from_table(table: Spanned<DeTable>) -> Result<Self, toml::de::Error> {
        let span = table.span();
        let (streams, run): (DeTable, DeTable) =
            table.into_inner().into_iter().partition(|(key, _)| StreamOptions::KEYS.contains(&key.get_ref().as_ref()));
        Ok(Self {
            run: RunOptions::deserialize(Deserializer::from(Spanned::new(span.clone(), run)))?,
            streams: StreamOptions::deserialize(Deserializer::from(Spanned::new(span, streams)))?,
            origin: None,
        })
    }

    /// Returns the files that these settings were read from or name, except inputs, outputs and the model.
    pub fn files(&self) -> Vec<PathBuf> {
        let run = &self.run;
        let run = [
            &self.origin,
            &run.web_token_file,
            &run.web_admin_token_file,
            &run.web_cert,
            &run.web_key,
            &run.mqtt_password_file,
        ];
        let streams = std::iter::once(&self.streams).chain(&self.run.stream).map(|stream| &stream.password_file);
        run.into_iter().chain(streams).flatten().cloned().collect()
    }

    /// Returns these settings, with those of `file` where they are unset.
    #[must_use]
    pub fn over(self, file: Settings) -> Settings {
        Settings {
            run: self.run.over(file.run),
            streams: self.streams.over(file.streams),
            origin: self.origin.or(file.origin),
        }
    }
}

/// A key that no option has, or not at its place. It is reported before values are read: a misspelt key explains more than
/// a wrong value.
struct UnknownKey {
    key: String,
    /// Where it is in the text.
    start: usize,
    in_stream: bool,
}

impl UnknownKey {
    /// The least similarity, from 0 to 1, at which a known key is suggested.
    const SIMILAR: f64 = 0.8;

    /// Returns the first one in the text.
    fn first(table: &DeTable) -> Option<Self> {
        let of = |table: &DeTable, in_stream: bool| {
            let known =
                |key: &str| StreamOptions::KEYS.contains(&key) || (!in_stream && RunOptions::KEYS.contains(&key));
            let unknown = table.keys().filter(|key| !known(key.get_ref()));
            let made = unknown.map(|key| Self { key: key.get_ref().to_string(), start: key.span().start, in_stream });
            made.min_by_key(|unknown| unknown.start)
        };
        let streams = table.get("stream").and_then(|streams| streams.get_ref().as_array());
        let streams = streams.into_iter().flatten().filter_map(|stream| stream.get_ref().as_table());
        let all = streams.filter_map(|stream| of(stream, true)).chain(of(table, false));
        all.min_by_key(|unknown| unknown.start)
    }

    fn error(&self, location: &str) -> Error {
        let Self { key, in_stream, .. } = self;
        if *in_stream && RunOptions::KEYS.contains(&key.as_str()) {
            return Error::usage(format!("{location}: {key} is in a [[stream]], but applies to the whole run"))
                .remedy("move it above the first [[stream]]");
        }
        let error = Error::usage(format!("{location}: there is no key {key:?}"));
        let run: &[&str] = if *in_stream { &[] } else { RunOptions::KEYS };
        let known = StreamOptions::KEYS.iter().chain(run);
        let similarity = |known: &&str| strsim::jaro_winkler(&key.replace('-', "_"), known);
        match known.max_by(|a, b| similarity(a).total_cmp(&similarity(b))) {
            Some(nearest) if similarity(nearest) >= Self::SIMILAR => error.remedy(format!("write {nearest}")),
            _ => error.remedy("see `livelabel run --help` for the keys: flags with _ instead of -"),
        }
    }
}

/// Pipelines that are built into the program.
const SHIPPED: [(&str, &str); 8] = [
    ("file", include_str!("../../pipelines/file.toml")),
    ("original", include_str!("../../pipelines/original.toml")),
    ("timeline", include_str!("../../pipelines/timeline.toml")),
    ("rtsp", include_str!("../../pipelines/rtsp.toml")),
    ("webcam", include_str!("../../pipelines/webcam.toml")),
    ("window", include_str!("../../pipelines/window.toml")),
    ("web", include_str!("../../pipelines/web.toml")),
    ("many", include_str!("../../pipelines/many.toml")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::FileKind;
    use crate::labels::stride::Stride;
    use crate::labels::window::SmoothingWindow;

    #[test]
    fn flags_override_the_file() {
        let file =
            Settings::parse("window = 64\naction = \"cooking\"\nstride = \"auto\"\nforce = true", "p.toml").unwrap();
        let streams = StreamOptions { window: Some(SmoothingWindow::Predictions(16)), ..Default::default() };
        let run = RunOptions { force: Some(false), ..Default::default() };
        let Settings { streams, run, .. } = Settings { streams, run, origin: None }.over(file);
        assert_eq!(
            (streams.window, streams.action.as_deref()),
            (Some(SmoothingWindow::Predictions(16)), Some("cooking"))
        );
        assert_eq!((streams.stride, run.force), (Some(Stride::Auto), Some(false)));
    }

    #[test]
    fn the_error_for_an_unknown_key_names_its_line() {
        let error = Settings::parse("window = 64\nwidnow = 3\n", "p.toml").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.contains("p.toml, line 2") && text.contains("widnow"), "{text}");
    }

    #[test]
    fn an_unknown_key_is_reported_before_a_wrong_type() {
        let error = |text: &str| Settings::parse(text, "p.toml").unwrap_err().to_string();
        let first = error("threshold = \"a\"\nwidnow = 3\n");
        assert_eq!(first, "pipeline p.toml, line 2: there is no key \"widnow\"; write window");
        let own = error("threshold = \"a\"\n[[stream]]\nname = 3\nacton = \"x\"\n");
        assert_eq!(own, "pipeline p.toml, line 4: there is no key \"acton\"; write action");
        let two = error("stream = [{ input = 3, zzz = 1 }]\nwidnow = 3");
        assert!(two.starts_with("pipeline p.toml, line 1: there is no key \"zzz\"; see `livelabel run"), "{two}");
        assert!(error("output-dir = 3").ends_with("there is no key \"output-dir\"; write output_dir"));
        let misplaced = error("[[stream]]\nname = 3\nmodel = 3");
        assert!(misplaced.contains("line 3: model is in a [[stream]]"), "{misplaced}");
    }

    #[test]
    fn the_error_for_a_wrong_type_names_the_line() {
        let text = Settings::parse("\n\nwindow = \"many\"\n", "p.toml").unwrap_err().to_string();
        assert!(text.contains("line 3"), "{text}");
    }

    #[test]
    fn a_single_value_is_a_list_of_one() {
        let text = "input = \"a.mp4\"\nonly = \"plot\"\nwebhook = [\"http://a/\", \"http://b/\"]";
        let Settings { streams, run, .. } = Settings::parse(text, "p.toml").unwrap();
        assert_eq!((streams.input, streams.only), (vec!["a.mp4".into()], Some(vec![FileKind::Plot])));
        assert_eq!(run.webhook, ["http://a/", "http://b/"]);
        let text = Settings::parse("window = 4\ninput = 3", "p.toml").unwrap_err().to_string();
        assert!(text.contains("line 2") && text.contains("a string or a list of strings"), "{text}");
        let text = Settings::parse("only = \"plots\"", "p.toml").unwrap_err().to_string();
        assert!(text.contains("line 1") && text.contains("plots"), "{text}");
    }

    #[test]
    fn a_stream_has_its_own_options() {
        let file =
            Settings::parse("window = 64\n[[stream]]\nname = \"door\"\ninput = [\"test://\"]\nwindow = 8", "p.toml");
        let Settings { streams, run, .. } = file.unwrap();
        let own = &run.stream[0];
        assert_eq!(
            (streams.window, own.window, own.name.as_deref()),
            (Some(SmoothingWindow::Predictions(64)), Some(SmoothingWindow::Predictions(8)), Some("door"))
        );
        let text = Settings::parse("[[stream]]\nnmae = \"door\"", "p.toml").unwrap_err().to_string();
        assert!(text.contains("line 2") && text.contains("nmae"), "{text}");
        let text = Settings::parse("[[stream]]\nmodel = \"m.onnx\"", "p.toml").unwrap_err().to_string();
        assert!(text.contains("line 2: model is in a [[stream]]"), "{text}");
    }

    #[test]
    fn every_shipped_pipeline_is_valid() {
        for (name, _) in SHIPPED {
            Settings::read(name).unwrap();
        }
    }
}
