//! A live input's address: what is shown of it, and what is kept to itself.

use std::fmt;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::credentials::Credentials;
use crate::error::{Error, Result};

/// How the network brings RTSP's pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Nothing is lost on the way
    #[default]
    Tcp,
    /// A little sooner; lost packets damage pictures
    Udp,
}

/// Where the pictures come from.
#[derive(Clone, PartialEq)]
pub(super) enum Place {
    Rtsp(Url),
    Http(Url),
    /// A device such as `/dev/video0`.
    Usb(String),
    /// GStreamer's moving test picture.
    Test {
        width: i32,
        height: i32,
        rate: i32,
    },
}

/// A camera, or what takes its place.
#[derive(Clone, PartialEq)]
pub struct Camera {
    pub(super) place: Place,
    pub(super) login: Option<Credentials>,
    pub(super) transport: Transport,
    /// How long packets may wait for those that are late.
    pub(super) latency: Duration,
}

impl Camera {
    /// Whether `input` is written like a live input and not like a file.
    pub fn is_live(input: &str) -> bool {
        input.contains("://") || input.starts_with("/dev/video")
    }

    /// Reads an address. A user and a password in it are taken out; `login` goes before them.
    ///
    /// # Errors
    /// Usage, where it cannot be understood. The message holds no credentials.
    pub fn parse(input: &str, login: Option<Credentials>, transport: Transport, latency: Duration) -> Result<Self> {
        if input.starts_with('/') {
            return Ok(Self { place: Place::Usb(input.into()), login: None, transport, latency });
        }
        let mut url = Url::parse(input).map_err(|cause| {
            Error::usage("the camera's address cannot be understood")
                .because(cause)
                .remedy("write it like rtsp://HOST/PATH; a password with special characters goes to --password-file")
        })?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let written = (!url.username().is_empty() || url.password().is_some()).then(|| Credentials {
            user: decoded(url.username()),
            password: decoded(url.password().unwrap_or_default()),
        });
        // Fails only for addresses that have no host, which have no credentials either.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let place = match url.scheme() {
            "rtsp" | "rtsps" if url.has_host() => Place::Rtsp(url),
            "http" | "https" => Place::Http(url),
            "test" => test_picture(&url)?,
            other => {
                return Err(Error::usage(format!("live inputs of the kind {other}:// cannot be read"))
                    .remedy("give rtsp://, http://, https://, test:// or /dev/videoN"));
            }
        };
        Ok(Self { place, login: login.or(written), transport, latency })
    }

    /// Whether its address says that a playlist of segments is there, as HLS has it.
    pub(super) fn is_playlist(&self) -> bool {
        let Place::Http(url) = &self.place else { return false };
        let path = url.path().to_ascii_lowercase();
        [".m3u8", ".m3u", ".mpd"].iter().any(|ending| path.ends_with(ending))
    }

    /// A name for files: host and path, in letters that every file system takes.
    pub fn stem(&self) -> String {
        let told = match &self.place {
            Place::Rtsp(url) | Place::Http(url) => {
                let port = url.port().map(|port| format!("-{port}")).unwrap_or_default();
                format!("{}{port}{}", url.host_str().unwrap_or_default(), url.path())
            }
            Place::Usb(device) => device.trim_start_matches("/dev/").into(),
            Place::Test { .. } => "test".into(),
        };
        let safe: String =
            told.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
        safe.trim_matches('-').to_string()
    }
}

/// Without credentials; what stands behind a `?` may hold some too.
impl fmt::Display for Camera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Rtsp(url) | Place::Http(url) => {
                let mut shown = url.clone();
                shown.set_fragment(None);
                shown.set_query(url.query().map(|_| "..."));
                write!(f, "{shown}")
            }
            Place::Usb(device) => f.write_str(device),
            Place::Test { width, height, rate } => write!(f, "test://?size={width}x{height}&rate={rate}"),
        }
    }
}

impl fmt::Debug for Camera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Camera({self})")
    }
}

/// `test://`, or `test://?size=640x480&rate=25`.
fn test_picture(url: &Url) -> Result<Place> {
    let (mut width, mut height, mut rate) = (640, 480, 25);
    for (key, value) in url.query_pairs() {
        let side = |text: &str| text.parse::<i32>().ok().filter(|side| (16..=8192).contains(side));
        let understood = match key.as_ref() {
            "size" => value.split_once('x').and_then(|(w, h)| Some((side(w)?, side(h)?))).map(|(w, h)| {
                (width, height) = (w, h);
            }),
            "rate" => value.parse().ok().filter(|rate| (1..=240).contains(rate)).map(|told| rate = told),
            _ => None,
        };
        understood.ok_or_else(|| {
            Error::usage(format!("test picture: {key}={value} cannot be understood"))
                .remedy("write it like test://?size=640x480&rate=25")
        })?;
    }
    Ok(Place::Test { width, height, rate })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(input: &str) -> Camera {
        Camera::parse(input, None, Transport::Tcp, Duration::from_millis(150)).unwrap()
    }

    #[test]
    fn credentials_are_taken_out_and_never_shown() {
        let camera = camera("rtsp://ann:p%40ss@cam.example:8554/live/1?token=geheim");
        assert!(camera.login == Some(Credentials { user: "ann".into(), password: "p@ss".into() }));
        assert_eq!(camera.to_string(), "rtsp://cam.example:8554/live/1?...");
        assert_eq!(camera.stem(), "cam.example-8554-live-1");
        let debug = format!("{camera:?}");
        assert!(!debug.contains("ann") && !debug.contains("p@ss") && !debug.contains("geheim"), "{debug}");
    }

    #[test]
    fn a_given_login_goes_before_the_written_one() {
        let login = Credentials { user: "bob".into(), password: "x".into() };
        let given = Camera::parse("rtsp://ann:y@cam/1", Some(login.clone()), Transport::Udp, Duration::ZERO).unwrap();
        assert!(given.login == Some(login));
    }

    #[test]
    fn devices_and_test_pictures() {
        assert_eq!(
            (camera("/dev/video0").stem(), camera("/dev/video0").to_string()),
            ("video0".into(), "/dev/video0".into())
        );
        assert_eq!(camera("test://?size=320x240&rate=10").to_string(), "test://?size=320x240&rate=10");
        assert_eq!(camera("test://").stem(), "test");
    }

    #[test]
    fn nonsense_is_refused_without_repeating_it() {
        for address in ["rtsp://ann:secret@", "ftp://ann:secret@host/x", "test://?size=axb"] {
            let error = Camera::parse(address, None, Transport::Tcp, Duration::ZERO).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
