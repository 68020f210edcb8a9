//! The address of a clip on a web server.

use std::fmt;
use std::path::Path;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::error::{Error, Result};
use crate::media::files::has_video_extension;

/// Most bytes of a file name that is made of an address, without its extension.
const NAME: usize = 150;

/// An address, which is shown without its query: that may be a signature.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipAddress(Url);

impl ClipAddress {
    /// Returns the address if it is one of the web, with or without a clip.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        matches!(url.scheme(), "http" | "https").then_some(Self(url))
    }

    /// Returns whether it ends like the name of a video.
    pub fn is_clip(&self) -> bool {
        has_video_extension(Path::new(self.0.path()))
    }

    /// Rejects an address with a user or password.
    ///
    /// # Errors
    /// Usage.
    pub fn check(&self) -> Result<()> {
        if self.0.username().is_empty() && self.0.password().is_none() {
            return Ok(());
        }
        Err(Error::usage(format!("{self}: an address with a user or password is not sent to a cluster"))
            .remedy("leave them out, and put them into the workers' --camera-credentials"))
    }

    pub fn url(&self) -> &Url {
        &self.0
    }

    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Returns whether it is within another one: on the same server, below its path. One with an encoded slash is not: some servers decode
    /// it before they look where it leads.
    pub fn is_within(&self, other: &Self) -> bool {
        let path = self.0.path().to_ascii_lowercase();
        if path.contains("%2f") || path.contains("%5c") {
            return false;
        }
        let folder = other.0.path().trim_end_matches('/');
        let below = self.0.path().strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.0.origin() == other.0.origin() && below
    }

    /// Returns a name for a copy: that of the address, of which no part is a folder.
    pub fn file_name(&self) -> String {
        let last = self.0.path().rsplit('/').next().unwrap_or_default();
        let decoded = percent_decode_str(last).decode_utf8_lossy();
        let name: String = decoded.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
        let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, ""));
        let ends = stem.char_indices().map(|(at, c)| at + c.len_utf8());
        let end = ends.take_while(|end| *end <= NAME).last().unwrap_or_default();
        format!("{}.{extension}", &stem[..end])
    }
}

impl fmt::Display for ClipAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        url.set_query(None);
        url.set_fragment(None);
        // Fails only for addresses without a host, which have no user either.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        f.write_str(url.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> ClipAddress {
        ClipAddress::parse(text).unwrap()
    }

    #[test]
    fn a_clip_is_told_from_a_camera_by_its_name() {
        assert!(address("https://host/a/K%C3%BCche%201.MP4?token=secret#t=3").is_clip());
        assert!(
            ["http://host/stream.mjpg", "http://host/", "http://host/live?file=a.mp4"]
                .iter()
                .all(|text| !address(text).is_clip())
        );
        assert!(["rtsp://host/a.mp4", "/clips/a.mp4", "a.mp4"].iter().all(|text| ClipAddress::parse(text).is_none()));
    }

    #[test]
    fn no_secret_is_shown_and_no_password_sent() {
        assert_eq!(address("http://me:secret@host:81/a.mp4?token=secret#x").to_string(), "http://host:81/a.mp4");
        assert!(address("http://me@host/a.mp4").check().unwrap_err().to_string().contains("--camera-credentials"));
        assert!(address("http://host/a.mp4?token=secret").check().is_ok());
    }

    #[test]
    fn a_copy_has_a_name_without_folders() {
        for (text, name) in [
            ("http://host/a/K%C3%BCche%201.MP4?b=c.mkv", "Küche 1.MP4"),
            ("http://host/..%2F..%2Fetc%00.mp4", ".._.._etc_.mp4"),
            ("http://host/.mp4", ".mp4"),
        ] {
            assert_eq!(address(text).file_name(), name);
        }
        let long = address(&format!("http://host/{}.mp4", "ü".repeat(400))).file_name();
        assert_eq!((long.len(), long.ends_with("ü.mp4")), (NAME + 4, true));
    }

    #[test]
    fn a_worker_may_be_limited_to_a_part_of_a_server() {
        let clips = address("https://host/clips");
        for (text, expected) in [
            ("https://host/clips/a.mp4", true),
            ("https://host:443/clips/b/../a.mp4", true),
            ("https://host/clips/../a.mp4", false),
            ("https://host/clips/%2e%2e/a.mp4", false),
            ("https://host/clips/..%2Fa.mp4", false),
            ("https://host/clips/..%5ca.mp4", false),
            ("https://host/clips2/a.mp4", false),
            ("http://host/clips/a.mp4", false),
            ("https://host:8443/clips/a.mp4", false),
            ("https://host.evil.net/clips/a.mp4", false),
        ] {
            assert_eq!(address(text).is_within(&clips), expected, "{text}");
        }
        assert!(address("https://any/a.mp4").is_within(&address("https://any/")));
    }
}
