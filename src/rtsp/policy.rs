//! Filters a camera's responses before they reach the client.

use std::net::IpAddr;

use url::Url;

use crate::rtsp::address::{REDIRECTS, redirected};
use crate::rtsp::connection_guard::{CloseReason, ConnectionGuard};
use crate::rtsp::message::{Field, MessageHeader};

const CHALLENGE: &str = "WWW-Authenticate";

/// Returns the address with the scheme `rtsp`, as the client uses it: the relay terminates TLS.
pub fn as_rtsp(address: &Url) -> Url {
    let mut plain = address.clone();
    // Never fails for an address with a host.
    let _ = plain.set_scheme("rtsp");
    plain
}

/// Filters the responses of one camera, and keeps state between them.
pub(crate) struct Policy {
    address: Url,
    redirects: usize,
    /// Whether the camera has ever offered Digest authentication.
    digest: bool,
}

impl Policy {
    pub fn new(address: Url) -> Self {
        Self { address, redirects: 0, digest: false }
    }

    pub fn encrypted(&self) -> bool {
        self.address.scheme() == "rtsps"
    }

    /// Rewrites a response from `peer` for the client.
    ///
    /// # Errors
    /// The reason to close the connection, for a redirect to another server.
    pub fn apply(
        &mut self,
        head: &mut MessageHeader,
        peer: IpAddr,
        guard: &ConnectionGuard,
    ) -> Result<(), CloseReason> {
        match head.status() {
            Some(300..400) => self.redirect(head)?,
            Some(200) => add_source(head, peer),
            // GStreamer reads challenges from responses with any other status.
            Some(_) => self.challenge(head, guard),
            None => {}
        }
        Ok(())
    }

    fn redirect(&mut self, head: &mut MessageHeader) -> Result<(), CloseReason> {
        let Some(location) = head.first_mut("Location") else { return Ok(()) };
        let to = std::str::from_utf8(&location.value).ok().and_then(|to| redirected(&self.address, to));
        let to = to.filter(|_| self.redirects < REDIRECTS).ok_or(CloseReason::Redirected)?;
        self.redirects += 1;
        location.value = as_rtsp(&to).as_str().into();
        Ok(())
    }

    /// Removes other schemes if Digest is offered, or ever was: a camera that withdraws Digest gets no credentials.
    fn challenge(&mut self, head: &mut MessageHeader, guard: &ConnectionGuard) {
        let offered = |scheme| head.all(CHALLENGE).any(|field| offers(field, scheme));
        self.digest |= offered("digest ");
        if self.digest {
            head.retain(|field| !field.is(CHALLENGE) || offers(field, "digest "));
        } else if offered("basic ") && !self.encrypted() {
            guard.set_plain_password();
        }
    }
}

/// Returns whether a challenge in the field has the scheme.
fn offers(field: &Field, scheme: &str) -> bool {
    field.text().split(',').any(|part| part.trim_start().starts_with(scheme))
}

/// Adds the source address of a UDP transport if the camera omits it. Otherwise RTCP reports would go to the relay.
fn add_source(head: &mut MessageHeader, peer: IpAddr) {
    let Some(transport) = head.first_mut("Transport") else { return };
    let text = transport.text();
    let by_udp = text.contains("port=") && !text.contains("interleaved=") && !text.contains("multicast");
    if by_udp && !text.contains("source=") {
        transport.value.extend_from_slice(format!(";source={peer}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the response that the client gets.
    fn filtered(policy: &mut Policy, guard: &ConnectionGuard, response: &str) -> Result<String, CloseReason> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let text = format!("{}\r\n\r\n", response.replace('\n', "\r\n"));
            let mut from = text.as_bytes();
            let mut head = MessageHeader::read(&mut from).await.unwrap();
            policy.apply(&mut head, "192.0.2.7".parse().unwrap(), guard)?;
            let message = String::from_utf8(head.with_body(&mut from).await.unwrap()).unwrap();
            Ok(message.replace("\r\n", "\n").trim_end().to_string())
        })
    }

    fn policy(address: &str) -> Policy {
        Policy::new(Url::parse(address).unwrap())
    }

    #[test]
    fn rtcp_reports_go_to_the_camera() {
        let mut policy = policy("rtsp://cam/live");
        for (sent, received) in [
            (
                "RTP/AVP;unicast;client_port=1-2;server_port=3-4",
                "RTP/AVP;unicast;client_port=1-2;server_port=3-4;source=192.0.2.7",
            ),
            ("RTP/AVP;unicast;server_port=3-4;source=192.0.2.9", "RTP/AVP;unicast;server_port=3-4;source=192.0.2.9"),
            ("RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP/TCP;unicast;interleaved=0-1"),
        ] {
            let response = format!("RTSP/1.0 200 OK\nTransport: {sent}");
            let expected = format!("RTSP/1.0 200 OK\nTransport: {received}");
            assert_eq!(filtered(&mut policy, &ConnectionGuard::default(), &response), Ok(expected));
        }
    }

    #[test]
    fn redirects_lead_to_the_relay_only() {
        let mut policy = policy("rtsps://cam/live");
        let guard = ConnectionGuard::default();
        let moved = |to: &str| format!("RTSP/1.0 301 Moved\nLocation: {to}");
        assert_eq!(filtered(&mut policy, &guard, &moved("rtsps://cam/other")), Ok(moved("rtsp://cam/other")));
        assert_eq!(filtered(&mut policy, &guard, &moved("rtsps://other/live")), Err(CloseReason::Redirected));
        for _ in 1..REDIRECTS {
            filtered(&mut policy, &guard, &moved("/live")).unwrap();
        }
        assert_eq!(filtered(&mut policy, &guard, &moved("/live")), Err(CloseReason::Redirected));
    }

    #[test]
    fn plain_text_is_the_last_resort_and_reported_only_without_tls() {
        let challenge = |with: &str| format!("RTSP/1.0 401 Unauthorized\n{with}").trim_end().to_string();
        let (basic, digest) =
            ("WWW-Authenticate: Basic realm=\"x\"", "WWW-Authenticate: Digest realm=\"x\", nonce=\"1\"");
        for (address, reported) in [("rtsp://cam/live", true), ("rtsps://cam/live", false)] {
            let (mut policy, guard) = (policy(address), ConnectionGuard::default());
            assert_eq!(filtered(&mut policy, &guard, &challenge(basic)), Ok(challenge(basic)));
            assert_eq!(guard.plain_password(), reported);
            let both = challenge(&format!("{basic}\n{digest}"));
            assert_eq!(filtered(&mut policy, &guard, &both), Ok(challenge(digest)));
            // Basic is removed from now on.
            assert_eq!(filtered(&mut policy, &guard, &challenge(basic)), Ok(challenge("")));
        }
    }
}
