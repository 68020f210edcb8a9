//! A clip to label: what submitters send and workers take. It refers to the clip; the clip itself is never in a message.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cluster::clip_address::ClipAddress;
use crate::cluster::names::{self, CLIP};
use crate::config::options::StreamOptions;
use crate::error::{Error, Result};
use crate::system::printable;

/// The version of the messages that this program sends and understands.
pub const VERSION: u32 = 1;
/// Most bytes of a message.
pub const MAX_MESSAGE: i32 = 64 << 10;
/// The options of a clip that a job can have. The others say where something is, which is the worker's, or are of cameras.
pub const OPTIONS: [&str; 10] = [
    "action",
    "window",
    "window_align",
    "threshold",
    "hysteresis",
    "overlay",
    "only",
    "format",
    "stride",
    "max_pixels",
];
/// Bytes of the clip's name in an identifier, and of the hash.
const NAME: usize = 40;
const HASH: usize = 8;

names::token_type!(
    /// Identifies a clip with its settings: submitting it again gives the same job.
    JobId,
    "this is not the identifier of a job"
);

impl JobId {
    fn of(input: &str, settings: &StreamOptions) -> Self {
        let text = serde_json::to_string(&(input, settings)).unwrap_or_default();
        let hash: String = Sha256::digest(text).iter().take(HASH).map(|byte| format!("{byte:02x}")).collect();
        let name = ClipAddress::parse(input).map_or_else(|| input.into(), |address| address.file_name());
        let stem = Path::new(&name).file_stem().unwrap_or_default().to_string_lossy();
        Self(format!("{}-{hash}", names::token(&stem, NAME)))
    }
}

/// A clip to label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipJob {
    pub version: u32,
    pub id: JobId,
    /// The clip's path, the same on each worker; bytes that are no text are written like `\xFF`. Or its address on a web server.
    pub input: String,
    /// Keys and values of a pipeline file.
    pub settings: StreamOptions,
    /// Whether results that are there already are replaced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

/// Where a clip is.
#[derive(Clone, Debug, PartialEq)]
pub enum ClipPlace {
    File(PathBuf),
    Web(ClipAddress),
}

/// Why a message cannot be done by this program.
#[derive(Debug)]
pub enum Unusable {
    /// It is of a newer version, or has settings that this one does not know.
    Newer(String),
    /// It is no job.
    Garbage(String),
}

impl ClipJob {
    /// Returns the job of a clip. `settings` has no inputs.
    ///
    /// # Errors
    /// Usage, if the path is not absolute.
    pub fn new(input: &Path, settings: StreamOptions) -> Result<Self> {
        if !input.is_absolute() {
            return Err(Error::usage(format!("{}: is not an absolute path", printable::path(input))));
        }
        Ok(Self::of(printable::path(input), settings))
    }

    /// Returns the job of a clip on a web server. `settings` has no inputs.
    ///
    /// # Errors
    /// Usage, if the address has a user or password.
    pub fn on_web(address: &ClipAddress, settings: StreamOptions) -> Result<Self> {
        address.check()?;
        Ok(Self::of(address.url().to_string(), settings))
    }

    fn of(input: String, settings: StreamOptions) -> Self {
        Self { version: VERSION, id: JobId::of(&input, &settings), input, settings, again: false }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Says why it is of no use to this program.
    pub fn read(bytes: &[u8]) -> std::result::Result<Self, Unusable> {
        let job: Self = read_version(bytes, VERSION, "job")?;
        if let Some(key) = refused_option(&job.settings) {
            return Err(Unusable::Garbage(format!("it has {key}, which a job cannot have")));
        }
        if let ClipPlace::Web(address) = job.place() {
            if address.check().is_err() {
                return Err(Unusable::Garbage("its address has a user or password".into()));
            }
            if !address.is_clip() {
                return Err(Unusable::Garbage("its address is not that of a clip".into()));
            }
        }
        // A worker must not write below another name.
        if job.id != JobId::of(&job.input, &job.settings) {
            return Err(Unusable::Garbage("it has the identifier of another job".into()));
        }
        Ok(job)
    }

    /// Returns where the clip is.
    pub fn place(&self) -> ClipPlace {
        match ClipAddress::parse(&self.input) {
            Some(address) => ClipPlace::Web(address),
            None => ClipPlace::File(printable::parse_path(&self.input)),
        }
    }

    /// Returns the clip's path or address as it is shown.
    pub fn shown(&self) -> String {
        match self.place() {
            ClipPlace::Web(address) => address.to_string(),
            ClipPlace::File(_) => self.input.clone(),
        }
    }

    pub fn subject(&self) -> String {
        format!("{CLIP}{}", self.id)
    }
}

/// Reads a message that has a `version`, of which this program knows those up to `known`.
///
/// # Errors
/// Says why it is of no use to this program. `what` it should be.
pub fn read_version<T: DeserializeOwned>(bytes: &[u8], known: u32, what: &str) -> std::result::Result<T, Unusable> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let garbage = |cause: serde_json::Error| Unusable::Garbage(format!("it is no {what} ({cause})"));
    let Versioned { version } = serde_json::from_slice(bytes).map_err(garbage)?;
    if version > known {
        return Err(Unusable::Newer(format!("it is of version {version}, and this program knows {known}")));
    }
    serde_json::from_slice(bytes).map_err(|cause| match cause.is_data() {
        // A key, or a value of one, that was added later.
        true => Unusable::Newer(cause.to_string()),
        false => garbage(cause),
    })
}

/// Returns an option that is set, and that a job cannot have.
pub fn refused_option(settings: &StreamOptions) -> Option<String> {
    option_outside(settings, &OPTIONS)
}

/// Returns an option that is set, and not among those that are `allowed`.
pub fn option_outside(settings: &StreamOptions, allowed: &[&str]) -> Option<String> {
    let set = serde_json::to_value(settings).unwrap_or_default();
    let mut keys = set.as_object().into_iter().flat_map(|keys| keys.keys());
    keys.find(|key| !allowed.contains(&key.as_str())).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::window::SmoothingWindow;

    fn job(settings: StreamOptions) -> ClipJob {
        ClipJob::new(Path::new("/clips/Küche 1.mp4"), settings).unwrap()
    }

    #[test]
    fn a_clip_with_the_same_settings_is_the_same_job() {
        let first = job(StreamOptions::default());
        assert_eq!(first, job(StreamOptions::default()));
        assert_eq!(first.id.as_str(), "K_che_1-0c8abc4defd51ff5");
        let window = Some(SmoothingWindow::Predictions(16));
        let other = job(StreamOptions { window, ..StreamOptions::default() });
        assert_ne!(first.id, other.id);
        assert_eq!(other.place(), ClipPlace::File("/clips/Küche 1.mp4".into()));
        assert!(ClipJob::new(Path::new("clip.mp4"), StreamOptions::default()).is_err());
    }

    #[test]
    fn a_message_is_read_back_and_what_is_newer_is_left() {
        let sent = job(StreamOptions { threshold: Some(0.5), ..StreamOptions::default() });
        let bytes = serde_json::to_vec(&sent).unwrap();
        assert_eq!(ClipJob::read(&bytes).unwrap(), sent);
        let text = String::from_utf8(bytes).unwrap();
        let newer = [
            text.replace("threshold", "threshold_of_later"),
            text.replace("0.5", "\"as before\""),
            text.replace("\"version\":1", "\"version\":2"),
        ];
        assert!(newer.iter().all(|text| matches!(ClipJob::read(text.as_bytes()), Err(Unusable::Newer(_)))));
        let moved = text.replace("/clips/", "/etc/");
        for garbage in ["", "{}", &text[..40], &moved] {
            assert!(matches!(ClipJob::read(garbage.as_bytes()), Err(Unusable::Garbage(_))), "{garbage}");
        }
    }

    #[test]
    fn a_message_has_no_option_that_reaches_beyond_its_clip() {
        for options in [
            StreamOptions { allow_playlists: Some(true), ..StreamOptions::default() },
            StreamOptions { output: Some("/etc/passwd.avi".into()), ..StreamOptions::default() },
            StreamOptions { input: vec!["/etc/passwd".into()], ..StreamOptions::default() },
        ] {
            let bytes = serde_json::to_vec(&job(options)).unwrap();
            assert!(matches!(ClipJob::read(&bytes), Err(Unusable::Garbage(why)) if why.contains("cannot have")));
        }
    }

    #[test]
    fn a_clip_on_a_web_server_is_shown_without_its_query() {
        let address = ClipAddress::parse("https://host/a/K%C3%BCche.mp4?signature=s").unwrap();
        let sent = ClipJob::on_web(&address, StreamOptions::default()).unwrap();
        assert_eq!(sent.id.as_str(), "K_che-0b484318e3f46a2d");
        assert_eq!(sent.shown(), "https://host/a/K%C3%BCche.mp4");
        let bytes = serde_json::to_vec(&sent).unwrap();
        assert_eq!(ClipJob::read(&bytes).unwrap().place(), ClipPlace::Web(address));
        let secret = String::from_utf8(bytes).unwrap().replace("//host", "//me:secret@host");
        assert!(matches!(ClipJob::read(secret.as_bytes()), Err(Unusable::Garbage(why)) if why.contains("password")));
        let other = ClipAddress::parse(&format!("https://host/a.{}", "x".repeat(300))).unwrap();
        let other = serde_json::to_vec(&ClipJob::on_web(&other, StreamOptions::default()).unwrap()).unwrap();
        assert!(matches!(ClipJob::read(&other), Err(Unusable::Garbage(why)) if why.contains("not that of a clip")));
    }

    #[test]
    fn an_identifier_is_a_name_without_a_path() {
        assert!(["../x", "a/b", "", "a.b"].iter().all(|text| text.parse::<JobId>().is_err()));
    }
}
