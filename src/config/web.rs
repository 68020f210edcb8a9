//! Where the page is served, and who is let in.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::bounded;
use crate::config::options::RunOptions;
use crate::error::{Error, Result};

/// In characters. What is shorter is guessed too soon.
const SHORTEST_TOKEN: usize = 8;
/// In bytes.
const LONGEST_TOKEN: usize = 4096;

/// Where the page is served, and who is let in.
#[derive(Clone, Debug, PartialEq)]
pub struct WebConfig {
    pub address: SocketAddr,
    pub token: Option<Token>,
}

impl WebConfig {
    /// Reads what the options say of the page; `None` where it is not asked for.
    ///
    /// # Errors
    /// Usage, where the address cannot be understood, the token not be read, or one is needed.
    pub fn resolve(options: &RunOptions) -> Result<Option<Self>> {
        let token = match (&options.web_token, &options.web_token_file) {
            (Some(_), Some(_)) => {
                return Err(Error::usage("--web-token and --web-token-file both name the token").remedy("give one"));
            }
            (Some(token), None) => Some(Token::new(token)?),
            (None, Some(path)) => Some(Token::read(path)?),
            (None, None) => None,
        };
        let Some(written) = &options.web else {
            return match token {
                None => Ok(None),
                Some(_) => Err(Error::usage("a token is given, but no page is served")
                    .remedy("add an address for it, like --web 127.0.0.1:8080")),
            };
        };
        let address = address(written)?;
        if token.is_none() && !address.ip().is_loopback() {
            return Err(Error::usage(format!("web {address}: everybody on the network could watch"))
                .remedy("name a secret with --web-token-file FILE, or stay on this machine with 127.0.0.1"));
        }
        Ok(Some(Self { address, token }))
    }
}

/// `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`.
fn address(written: &str) -> Result<SocketAddr> {
    let local = written.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    match local {
        Some(port) => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        None => written.parse().map_err(|_| {
            Error::usage(format!("web {written:?}: is no address with a port")).remedy("write it like 127.0.0.1:8080")
        }),
    }
}

/// The secret that lets people in, as its digest: it is compared and never shown.
#[derive(Clone, PartialEq)]
pub struct Token([u8; 32]);

impl Token {
    fn new(secret: &str) -> Result<Self> {
        if secret.chars().count() < SHORTEST_TOKEN || secret.chars().any(|c| c.is_control()) {
            return Err(Error::usage(format!(
                "the web token is shorter than {SHORTEST_TOKEN} characters, or not one line"
            ))
            .remedy("make one with: openssl rand -hex 16"));
        }
        Ok(Self(digest(secret)))
    }

    fn read(path: &Path) -> Result<Self> {
        let text = bounded::text(path, LONGEST_TOKEN).map_err(|cause| {
            Error::usage(format!("{}: the web token cannot be read", path.display()))
                .because(cause)
                .remedy("check the file and its permissions")
        })?;
        Self::new(text.trim_end_matches(['\n', '\r']))
    }

    /// Whether `secret` is it, in a time that tells nothing of it.
    pub fn is(&self, secret: &str) -> bool {
        digest(secret).ct_eq(&self.0).into()
    }

    /// What a browser keeps in its place, from which it cannot be found.
    pub fn cookie(&self) -> String {
        Sha256::digest([b"livelabel cookie ".as_slice(), &self.0].concat())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Whether a browser's cookie is that of this token.
    pub fn is_cookie(&self, value: &str) -> bool {
        value.as_bytes().ct_eq(self.cookie().as_bytes()).into()
    }
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(web: &str, token: Option<&str>) -> RunOptions {
        RunOptions { web: Some(web.into()), web_token: token.map(Into::into), ..Default::default() }
    }

    #[test]
    fn off_loopback_a_token_is_needed() {
        for written in ["127.0.0.1:8080", "[::1]:0", "localhost:80", "127.9.9.9:1"] {
            assert!(WebConfig::resolve(&options(written, None)).unwrap().is_some(), "{written}");
        }
        for written in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:80"] {
            let error = WebConfig::resolve(&options(written, None)).unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().contains("--web-token-file"), "{error}");
            assert!(WebConfig::resolve(&options(written, Some("a-long-secret"))).unwrap().is_some());
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for written in ["", "8080", "127.0.0.1", "localhost:99999", "http://127.0.0.1:80"] {
            assert_eq!(WebConfig::resolve(&options(written, None)).unwrap_err().exit_code(), 2, "{written}");
        }
        let short = WebConfig::resolve(&options("127.0.0.1:0", Some("geheim"))).unwrap_err().to_string();
        assert!(short.contains("openssl") && !short.contains("geheim"), "{short}");
        let alone = RunOptions { web_token: Some("a-long-secret".into()), ..Default::default() };
        assert!(WebConfig::resolve(&alone).is_err());
        assert_eq!(WebConfig::resolve(&RunOptions::default()).unwrap(), None);
    }

    #[test]
    fn a_token_is_known_by_itself_and_by_its_cookie_only() {
        let token = Token::new("a-long-secret").unwrap();
        assert!(token.is("a-long-secret") && !token.is("a-long-secreT") && !token.is(""));
        assert!(token.is_cookie(&token.cookie()) && !token.is_cookie("a-long-secret") && !token.is_cookie(""));
        assert!(!format!("{token:?}{}", token.cookie()).contains("secret"));
    }
}
