//! Requests to the page.

use crate::fuzz::files::Scratch;
use crate::web::in_memory::InMemoryServer;

/// A token that no input contains by chance.
const TOKEN: &str = "a3f1c9e07b5d2846f00d";

thread_local!(static SERVERS: [InMemoryServer; 2] = Scratch::with(|scratch| {
    scratch.index();
    [None, Some(TOKEN)].map(|token| InMemoryServer::new(scratch.path(), token))
}));

/// The requests of one connection, to a page without a token and to one with a token.
pub fn http(bytes: &[u8]) {
    SERVERS.with(|[open, locked]| {
        if let Some(status) = status(&open.answer(bytes)) {
            assert!(status < 500 || status == 503, "{status}");
        }
        let text = String::from_utf8_lossy(bytes);
        if let Some(status) = status(&locked.answer(bytes)).filter(|_| !text.contains(TOKEN)) {
            assert!(status >= 400, "{status} without the token");
        }
    });
}

/// Returns the status of the first response; `None` if there is none.
fn status(answer: &[u8]) -> Option<u16> {
    if answer.is_empty() {
        return None;
    }
    let text = answer.strip_prefix(b"HTTP/1.").expect("a response begins with its version");
    let digits = text.get(2..5).and_then(|digits| std::str::from_utf8(digits).ok()).expect("a status");
    let status = digits.parse().expect("a status");
    let head = text.windows(4).position(|end| end == b"\r\n\r\n").map(|end| text[..end].to_ascii_lowercase());
    let head = String::from_utf8_lossy(&head.unwrap_or_default()).into_owned();
    // What is no request is refused before there is a response of ours.
    let is_ours = head.contains("\r\ncontent-security-policy:");
    assert!(is_ours || [400, 408, 414, 431].contains(&status), "{status} without a policy: {head}");
    Some(status)
}
