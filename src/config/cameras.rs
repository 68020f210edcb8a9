//! What a run shall do with a live input: its camera, its name, and what is kept of it.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::credentials::CredentialSource;
use crate::config::options::{Keep, StreamOptions};
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::media::camera::Camera;
use crate::media::recorder::Container;

const DEFAULT_LATENCY: u64 = 150;
/// Beyond this nothing is live any more.
const LONGEST_LATENCY: u64 = 10_000;
/// In bytes: file systems take 255, and a number, a time and an ending follow.
const LONGEST_STEM: usize = 120;

/// A live input with what is kept of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    pub camera: Camera,
    pub record: Record,
}

/// What is written of a live stream. The timeline always is.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub folder: PathBuf,
    /// What the files' names begin with.
    pub stem: String,
    pub container: Container,
    /// One video for the whole run.
    pub file: Option<PathBuf>,
    /// Videos of this length each.
    pub segment: Option<Duration>,
    pub keep: Option<Keep>,
    /// Record only while a label is shown, and a few seconds around.
    pub only_active: bool,
}

impl Live {
    /// Reads the options of one live input.
    ///
    /// # Errors
    /// Usage, where they contradict each other, or credentials cannot be read.
    pub fn resolve(options: &StreamOptions, input: &str) -> Result<Self> {
        let reports = [("timeline", &options.timeline), ("plot", &options.plot), ("subtitles", &options.subtitles)];
        if let Some((name, _)) = reports.into_iter().find(|(_, path)| path.is_some()) {
            return Err(Error::usage(format!("--{name} is made of recorded clips, and {} never ends", "a camera"))
                .remedy("its timeline is kept without being asked for; --segment records clips to analyse later"));
        }
        if options.only.is_some() {
            return Err(Error::usage("--only chooses among a recorded clip's files")
                .remedy("a camera's video is written with --output or --segment only"));
        }
        if options.output.is_some() && options.segment.is_some() {
            return Err(Error::usage("--output names one file and --segment asks for many")
                .remedy("give one of them; --output-dir says where segments go"));
        }
        if options.only_active == Some(true) {
            if options.output.is_none() && options.segment.is_none() {
                return Err(Error::usage("--only-active chooses what is recorded, but nothing is")
                    .remedy("add --segment 10m, or --output FILE.mkv"));
            }
            if options.action.is_none() && options.threshold.is_none_or(|threshold| threshold <= 0.0) {
                return Err(Error::usage(
                    "--only-active records while a label is shown, and without a bound one always is",
                )
                .remedy("name a label with --action, or a bound with --threshold"));
            }
        }
        let latency = options.latency.unwrap_or(DEFAULT_LATENCY);
        if latency > LONGEST_LATENCY {
            return Err(Error::usage(format!("latency {latency} is out of range"))
                .remedy(format!("give milliseconds up to {LONGEST_LATENCY}")));
        }
        let camera = Camera::parse(
            input,
            login(options)?,
            options.transport.unwrap_or_default(),
            Duration::from_millis(latency),
        )?;
        let container = match &options.output {
            Some(path) => Container::of(path).ok_or_else(|| {
                Error::usage(format!("output {}: cannot tell the format", path.display()))
                    .remedy("end its name in .avi or .mkv")
            })?,
            // A Matroska file that is cut off by a kill can be played to its last second.
            None => options.format.unwrap_or(Container::Matroska),
        };
        let record = Record {
            folder: options.output_dir.clone().unwrap_or_default(),
            stem: options.name.as_deref().map_or_else(|| camera.stem(), stem),
            container,
            file: options.output.clone(),
            segment: options.segment,
            keep: options.keep,
            only_active: options.only_active.unwrap_or(false),
        };
        if options.name.as_ref().is_some_and(|name| name.trim().is_empty()) {
            return Err(Error::usage("a stream's name is empty").remedy("give it one, like --name door"));
        }
        Ok(Self { camera, record })
    }
}

/// What the files of a stream of that name begin with: the name, as far as it can be part of a file's name.
fn stem(name: &str) -> String {
    let safe: String = name.chars().map(|c| if c == '/' || c.is_control() { '-' } else { c }).collect();
    let safe = safe.trim_start_matches('.');
    let ends = safe.char_indices().map(|(start, c)| start + c.len_utf8());
    let safe = &safe[..ends.take_while(|&end| end <= LONGEST_STEM).last().unwrap_or(0)];
    if safe.is_empty() { "stream".into() } else { safe.into() }
}

/// User and password from where the options say that they are.
fn login(options: &StreamOptions) -> Result<Option<Credentials>> {
    let places = CredentialSource {
        prefix: "",
        user_env: options.user_env.as_deref(),
        password_env: options.password_env.as_deref(),
        password_file: options.password_file.as_ref(),
    };
    match places.read()? {
        (None, None) => Ok(None),
        (Some(user), password) => Ok(Some(Credentials { user, password: password.unwrap_or_default() })),
        (None, Some(_)) => {
            Err(Error::usage("a password is given, but no user").remedy("name the user's variable with --user-env"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_parts_of_file_names() {
        for (name, expected) in [
            ("door", "door"),
            ("Küche / \"Herd\" 🍳", "Küche - \"Herd\" 🍳"),
            ("../../etc/passwd", "-..-etc-passwd"),
            ("a\nb\u{1b}[0m", "a-b-[0m"),
            ("...", "stream"),
        ] {
            assert_eq!(stem(name), expected);
        }
        let long = stem(&"🍳".repeat(100));
        assert!(long.len() <= LONGEST_STEM && long.chars().all(|c| c == '🍳'), "{long}");
    }
}
