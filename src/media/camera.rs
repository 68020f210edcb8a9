//! A camera's address, which is shown without its credentials.

use std::fmt;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::error::{Error, Result};
use crate::net::credentials::Credentials;
use crate::rtsp::address;

/// The transport of RTSP.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Deserialize,
    serde::Serialize,
    schemars::JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// No packet is lost
    #[default]
    Tcp,
    /// Slightly less delay; lost packets damage frames
    Udp,
}

/// Where the video comes from.
#[derive(Clone, PartialEq)]
pub(super) enum Address {
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

/// A live input: a camera or the test picture.
#[derive(Clone, PartialEq)]
pub struct Camera {
    pub(super) address: Address,
    pub(super) credentials: Option<Credentials>,
    pub(super) transport: Transport,
    /// How long RTSP waits for late packets.
    pub(super) latency: Duration,
}

impl Camera {
    /// Returns whether `input` is the address of a live input rather than a file.
    pub fn is_live(input: &str) -> bool {
        input.contains("://") || input.starts_with("/dev/video")
    }

    /// Parses an address and removes credentials from it. `credentials` takes precedence over them.
    ///
    /// # Errors
    /// Usage if it is invalid. The message contains no credentials.
    pub fn parse(
        input: &str,
        credentials: Option<Credentials>,
        transport: Transport,
        latency: Duration,
    ) -> Result<Self> {
        if input.starts_with('/') {
            return Ok(Self { address: Address::Usb(input.into()), credentials: None, transport, latency });
        }
        let mut url = Url::parse(input).map_err(|cause| {
            Error::usage("the camera's address is invalid")
                .because(cause)
                .remedy("write it like rtsp://HOST/PATH; put a password with special characters into --password-file")
        })?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let in_address = (!url.username().is_empty() || url.password().is_some()).then(|| Credentials {
            user: decoded(url.username()),
            password: decoded(url.password().unwrap_or_default()),
        });
        // Fails only for addresses without a host, which have no credentials either.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let address = match url.scheme() {
            "rtsp" | "rtsps" if url.has_host() => Address::Rtsp(url),
            "http" | "https" => Address::Http(url),
            "test" => test_picture(&url)?,
            other => {
                return Err(Error::usage(format!("the camera's address has the unsupported scheme {other}://"))
                    .remedy("use rtsp://, rtsps://, http://, https://, test:// or /dev/videoN"));
            }
        };
        Ok(Self { address, credentials: credentials.or(in_address), transport, latency })
    }

    /// Returns whether it logs in.
    pub fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// Logs in with these credentials.
    pub fn set_credentials(&mut self, credentials: Credentials) {
        self.credentials = Some(credentials);
    }

    /// Returns whether it is called over RTSP.
    pub fn is_rtsp(&self) -> bool {
        matches!(self.address, Address::Rtsp(_))
    }

    /// Returns whether it is called over HTTP.
    pub fn is_http(&self) -> bool {
        matches!(self.address, Address::Http(_))
    }

    /// Returns the host and the TCP port that it is called at; `None` for a device or the test picture.
    pub fn endpoint(&self) -> Option<(&str, u16)> {
        let (Address::Rtsp(url) | Address::Http(url)) = &self.address else { return None };
        Some((url.host_str()?, address::port(url)?))
    }

    /// Returns whether it is a device of this machine.
    pub fn is_device(&self) -> bool {
        matches!(self.address, Address::Usb(_))
    }

    /// Returns whether the address is that of a playlist, as of HLS or DASH.
    pub(super) fn is_playlist(&self) -> bool {
        let Address::Http(url) = &self.address else { return false };
        let path = url.path().to_ascii_lowercase();
        [".m3u8", ".m3u", ".mpd"].iter().any(|ending| path.ends_with(ending))
    }

    /// Returns a name for files: host and path, in characters that every file system allows.
    pub fn stem(&self) -> String {
        let name = match &self.address {
            Address::Rtsp(url) | Address::Http(url) => {
                let port = url.port().map(|port| format!("-{port}")).unwrap_or_default();
                format!("{}{port}{}", url.host_str().unwrap_or_default(), url.path())
            }
            Address::Usb(device) => device.trim_start_matches("/dev/").into(),
            Address::Test { .. } => "test".into(),
        };
        let safe: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
        safe.trim_matches('-').to_string()
    }
}

/// Shows the address without credentials. The query is replaced, since it may contain some.
impl fmt::Display for Camera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Rtsp(url) | Address::Http(url) => {
                let mut shown = url.clone();
                shown.set_fragment(None);
                shown.set_query(url.query().map(|_| "..."));
                write!(f, "{shown}")
            }
            Address::Usb(device) => f.write_str(device),
            Address::Test { width, height, rate } => write!(f, "test://?size={width}x{height}&rate={rate}"),
        }
    }
}

impl fmt::Debug for Camera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Camera({self})")
    }
}

/// Parses `test://` or `test://?size=640x480&rate=25`.
fn test_picture(url: &Url) -> Result<Address> {
    let (mut width, mut height, mut rate) = (640, 480, 25);
    for (key, value) in url.query_pairs() {
        let side = |text: &str| text.parse::<i32>().ok().filter(|side| (16..=8192).contains(side));
        let parsed = match key.as_ref() {
            "size" => value.split_once('x').and_then(|(w, h)| Some((side(w)?, side(h)?))).map(|(w, h)| {
                (width, height) = (w, h);
            }),
            "rate" => value.parse().ok().filter(|rate| (1..=240).contains(rate)).map(|value| rate = value),
            _ => None,
        };
        parsed.ok_or_else(|| {
            Error::usage(format!("test picture: {key}={value} is invalid"))
                .remedy("write it like test://?size=640x480&rate=25")
        })?;
    }
    Ok(Address::Test { width, height, rate })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(input: &str) -> Camera {
        Camera::parse(input, None, Transport::Tcp, Duration::from_millis(150)).unwrap()
    }

    #[test]
    fn credentials_are_removed_and_never_shown() {
        let camera = camera("rtsp://ann:p%40ss@cam.example:8554/live/1?token=geheim");
        assert!(camera.credentials == Some(Credentials { user: "ann".into(), password: "p@ss".into() }));
        assert_eq!(camera.to_string(), "rtsp://cam.example:8554/live/1?...");
        assert_eq!(camera.stem(), "cam.example-8554-live-1");
        let debug = format!("{camera:?}");
        assert!(!debug.contains("ann") && !debug.contains("p@ss") && !debug.contains("geheim"), "{debug}");
    }

    #[test]
    fn separate_credentials_override_those_in_the_address() {
        let credentials = Credentials { user: "bob".into(), password: "x".into() };
        let given =
            Camera::parse("rtsp://ann:y@cam/1", Some(credentials.clone()), Transport::Udp, Duration::ZERO).unwrap();
        assert!(given.credentials == Some(credentials));
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
    fn invalid_addresses_are_refused_without_showing_credentials() {
        for address in ["rtsp://ann:secret@", "ftp://ann:secret@host/x", "test://?size=axb"] {
            let error = Camera::parse(address, None, Transport::Tcp, Duration::ZERO).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
