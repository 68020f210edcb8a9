//! Checks redirects: they may lead to another path of the same server only, since the credentials are for that server.

use url::Url;

/// Redirects that are followed for one connection.
pub const REDIRECTS: usize = 4;

/// Returns the address in `location` without credentials, if it has the same scheme, host and port as `from`.
pub fn redirected(from: &Url, location: &str) -> Option<Url> {
    let mut to = from.join(location).ok()?;
    let host = |url: &Url| url.host_str().map(str::to_ascii_lowercase);
    let same =
        to.scheme() == from.scheme() && host(&to).is_some() && host(&to) == host(from) && port(&to) == port(from);
    if !same {
        return None;
    }
    to.set_username("").ok()?;
    to.set_password(None).ok()?;
    Some(to)
}

/// Returns the port of an address, or its scheme's default.
pub fn port(url: &Url) -> Option<u16> {
    url.port_or_known_default().or(match url.scheme() {
        "rtsp" => Some(554),
        "rtsps" => Some(322),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_to_the_same_server_only_are_followed() {
        for (from, location, to) in [
            ("rtsp://cam/live", "rtsp://CAM:554/other?x=1", Some("rtsp://CAM:554/other?x=1")),
            ("rtsp://cam/live", "/other", Some("rtsp://cam/other")),
            ("rtsp://cam/live", "rtsp://ann:word@cam/other", Some("rtsp://cam/other")),
            ("rtsp://cam/live", "rtsp://cam:555/live", None),
            ("rtsp://cam/live", "rtsps://cam:554/live", None),
            ("rtsps://cam/live", "rtsp://cam:322/live", None),
            ("rtsp://cam/live", "rtsp://cam.example/live", None),
            ("rtsp://cam/live", "//other/live", None),
            ("http://cam/live", "http://cam:80/other", Some("http://cam/other")),
            ("http://cam/live", "https://cam/live", None),
            ("http://cam/live", "file:///etc/passwd", None),
            ("http://cam/live", "http://cam@other/", None),
        ] {
            let found = redirected(&Url::parse(from).unwrap(), location);
            assert_eq!(found.as_ref().map(Url::as_str), to, "{from} to {location}");
        }
    }
}
