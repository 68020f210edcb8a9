//! What of a camera's answers the player gets to see.

use std::net::IpAddr;

use url::Url;

use crate::rtsp::address::{REDIRECTS, redirected};
use crate::rtsp::intake::{Intake, Refusal};
use crate::rtsp::message::{Field, Head};

const CHALLENGE: &str = "WWW-Authenticate";

/// The address in the form in which the player uses it, also where TLS is ended before it.
pub fn plain(address: &Url) -> Url {
    let mut plain = address.clone();
    // Fails for no address that has a host.
    let _ = plain.set_scheme("rtsp");
    plain
}

/// What was seen of a camera's answers.
pub(super) struct Policy {
    address: Url,
    redirects: usize,
    /// Whether the camera has ever offered to take a password as a digest.
    digest: bool,
}

impl Policy {
    pub fn new(address: Url) -> Self {
        Self { address, redirects: 0, digest: false }
    }

    pub fn encrypted(&self) -> bool {
        self.address.scheme() == "rtsps"
    }

    /// Changes an answer that came from `peer` to what the player shall see.
    pub fn apply(&mut self, head: &mut Head, peer: IpAddr, intake: &Intake) -> Result<(), Refusal> {
        match head.status() {
            Some(300..400) => self.redirect(head)?,
            Some(200) => name_source(head, peer),
            // GStreamer looks for challenges in answers of any other kind.
            Some(_) => self.challenge(head, intake),
            None => {}
        }
        Ok(())
    }

    fn redirect(&mut self, head: &mut Head) -> Result<(), Refusal> {
        let Some(location) = head.first_mut("Location") else { return Ok(()) };
        let to = std::str::from_utf8(&location.value).ok().and_then(|to| redirected(&self.address, to));
        let to = to.filter(|_| self.redirects < REDIRECTS).ok_or(Refusal::Redirected)?;
        self.redirects += 1;
        location.value = plain(&to).as_str().into();
        Ok(())
    }

    /// Leaves no choice but the digest where there is one; a camera that takes its offer back gets nothing.
    fn challenge(&mut self, head: &mut Head, intake: &Intake) {
        let offered = |scheme| head.all(CHALLENGE).any(|field| offers(field, scheme));
        self.digest |= offered("digest ");
        if self.digest {
            head.keep(|field| !field.is(CHALLENGE) || offers(field, "digest "));
        } else if offered("basic ") && !self.encrypted() {
            intake.ask_plain_password();
        }
    }
}

/// Whether a challenge, or one of several in a field, is of the scheme.
fn offers(field: &Field, scheme: &str) -> bool {
    field.text().split(',').any(|part| part.trim_start().starts_with(scheme))
}

/// Says where pictures by UDP come from, where the camera does not: reports would go to whom the player is connected to.
fn name_source(head: &mut Head, peer: IpAddr) {
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

    /// What the player sees of an answer.
    fn seen(policy: &mut Policy, intake: &Intake, answer: &str) -> Result<String, Refusal> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let text = format!("{}\r\n\r\n", answer.replace('\n', "\r\n"));
            let mut from = text.as_bytes();
            let mut head = Head::read(&mut from).await.unwrap();
            policy.apply(&mut head, "192.0.2.7".parse().unwrap(), intake)?;
            let message = String::from_utf8(head.with_body(&mut from).await.unwrap()).unwrap();
            Ok(message.replace("\r\n", "\n").trim_end().to_string())
        })
    }

    fn policy(address: &str) -> Policy {
        Policy::new(Url::parse(address).unwrap())
    }

    #[test]
    fn reports_about_pictures_go_to_the_camera() {
        let mut policy = policy("rtsp://cam/live");
        for (told, shown) in [
            (
                "RTP/AVP;unicast;client_port=1-2;server_port=3-4",
                "RTP/AVP;unicast;client_port=1-2;server_port=3-4;source=192.0.2.7",
            ),
            ("RTP/AVP;unicast;server_port=3-4;source=192.0.2.9", "RTP/AVP;unicast;server_port=3-4;source=192.0.2.9"),
            ("RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP/TCP;unicast;interleaved=0-1"),
        ] {
            let answer = format!("RTSP/1.0 200 OK\nTransport: {told}");
            let expected = format!("RTSP/1.0 200 OK\nTransport: {shown}");
            assert_eq!(seen(&mut policy, &Intake::default(), &answer), Ok(expected));
        }
    }

    #[test]
    fn the_player_is_sent_to_the_relay_again_and_to_nobody_else() {
        let mut policy = policy("rtsps://cam/live");
        let intake = Intake::default();
        let moved = |to: &str| format!("RTSP/1.0 301 Moved\nLocation: {to}");
        assert_eq!(seen(&mut policy, &intake, &moved("rtsps://cam/other")), Ok(moved("rtsp://cam/other")));
        assert_eq!(seen(&mut policy, &intake, &moved("rtsps://other/live")), Err(Refusal::Redirected));
        for _ in 1..REDIRECTS {
            seen(&mut policy, &intake, &moved("/live")).unwrap();
        }
        assert_eq!(seen(&mut policy, &intake, &moved("/live")), Err(Refusal::Redirected));
    }

    #[test]
    fn plain_text_is_the_last_choice_and_only_without_tls_worth_a_word() {
        let challenge = |with: &str| format!("RTSP/1.0 401 Unauthorized\n{with}").trim_end().to_string();
        let (basic, digest) =
            ("WWW-Authenticate: Basic realm=\"x\"", "WWW-Authenticate: Digest realm=\"x\", nonce=\"1\"");
        for (address, said) in [("rtsp://cam/live", true), ("rtsps://cam/live", false)] {
            let (mut policy, intake) = (policy(address), Intake::default());
            assert_eq!(seen(&mut policy, &intake, &challenge(basic)), Ok(challenge(basic)));
            assert_eq!(intake.plain_password(), said);
            let both = challenge(&format!("{basic}\n{digest}"));
            assert_eq!(seen(&mut policy, &intake, &both), Ok(challenge(digest)));
            // It is not offered any more.
            assert_eq!(seen(&mut policy, &intake, &challenge(basic)), Ok(challenge("")));
        }
    }
}
