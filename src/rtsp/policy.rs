//! What of a camera's answers the player gets to see.

use std::net::IpAddr;

use url::Url;

use crate::address::{REDIRECTS, redirected};
use crate::intake::{Intake, Refusal};
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
