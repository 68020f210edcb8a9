//! The page's address and token.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::bounded;
use crate::config::certificate::CertificateFiles;
use crate::config::options::RunOptions;
use crate::error::{Error, Result};

/// Minimum length of a token, in characters. A shorter one could be guessed.
const MIN_TOKEN: usize = 8;
/// Maximum length of a token, in bytes.
const MAX_TOKEN: usize = 4096;
/// What messages call the tokens.
const PAGE: &str = "web token";
const ADMIN: &str = "admin token";

/// The page's address, and the token that protects it.
#[derive(Clone, Debug, PartialEq)]
pub struct WebConfig {
    pub address: SocketAddr,
    pub token: Option<Token>,
    /// The token of who may change something; `None` if nobody may.
    pub admin_token: Option<Token>,
    /// The certificate and its key; `None` for HTTP without TLS.
    pub certificate: Option<CertificateFiles>,
    /// Whether the page ends with the inputs.
    pub exit: bool,
}

impl WebConfig {
    /// Resolves the options of the page; `None` if no page is served.
    ///
    /// # Errors
    /// Returns a usage error if the address is invalid, the token or the certificate cannot be read, or a required token is
    /// missing.
    pub fn resolve(options: &RunOptions) -> Result<Option<Self>> {
        let token = match (&options.web_token, &options.web_token_file) {
            (Some(_), Some(_)) => {
                return Err(
                    Error::usage("--web-token and --web-token-file both set the token").remedy("use only one of them")
                );
            }
            (Some(token), None) => Some(Token::new(token, PAGE)?),
            (None, Some(path)) => Some(Token::read(path, PAGE)?),
            (None, None) => None,
        };
        let admin_token = options.web_admin_token_file.as_ref().map(|path| Token::read(path, ADMIN)).transpose()?;
        let exit = options.web_exit.unwrap_or(false);
        let Some(text) = &options.web else {
            let useless = if token.is_some() {
                "a web token is set"
            } else if admin_token.is_some() {
                "an admin token is set"
            } else if options.web_cert.is_some() || options.web_key.is_some() {
                "a certificate is set"
            } else if exit {
                "web-exit is set"
            } else {
                return Ok(None);
            };
            return Err(Error::usage(format!("{useless}, but no page is served"))
                .remedy("add its address, like --web 127.0.0.1:8080"));
        };
        let address = address(text)?;
        if token.is_none() && !address.ip().is_loopback() {
            return Err(Error::usage(format!("web {address}: without a token, anyone on the network could watch"))
                .remedy("set a token with --web-token-file FILE, or listen on 127.0.0.1 only"));
        }
        if admin_token.is_some() && admin_token == token {
            return Err(Error::usage(
                "the admin token is the page's token, so whoever may watch could change everything",
            )
            .remedy("generate another one with: openssl rand -hex 16"));
        }
        let certificate = CertificateFiles::resolve(options)?;
        Ok(Some(Self { address, token, admin_token, certificate, exit }))
    }

    /// Returns the page's URL, at the `address` where it listens.
    pub fn url(&self, address: SocketAddr) -> String {
        format!("{}://{address}/", if self.certificate.is_some() { "https" } else { "http" })
    }
}

/// Parses `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`.
fn address(text: &str) -> Result<SocketAddr> {
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    match local {
        Some(port) => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        None => text.parse().map_err(|_| {
            Error::usage(format!("web {text:?}: is not an address with a port")).remedy("write it like 127.0.0.1:8080")
        }),
    }
}

/// Reads the admin token, to send it.
///
/// # Errors
/// Returns a usage error if the file cannot be read.
pub fn read_admin_token(path: &Path) -> Result<String> {
    secret(path, ADMIN)
}

fn secret(path: &Path, what: &str) -> Result<String> {
    let text = bounded::text(path, MAX_TOKEN).map_err(|cause| {
        Error::usage(format!("{}: the {what} cannot be read", path.display()))
            .because(cause)
            .remedy("check the file and its permissions")
    })?;
    Ok(text.trim_end_matches(['\n', '\r']).into())
}

/// The secret that gives access to the page. Only its digest is kept; it is compared and never shown.
#[derive(Clone, PartialEq)]
pub struct Token([u8; 32]);

impl Token {
    fn new(secret: &str, what: &str) -> Result<Self> {
        if secret.chars().count() < MIN_TOKEN || secret.chars().any(|c| c.is_control()) {
            return Err(Error::usage(format!(
                "the {what} is shorter than {MIN_TOKEN} characters, or has control characters"
            ))
            .remedy("generate one with: openssl rand -hex 16"));
        }
        Ok(Self(digest(secret)))
    }

    fn read(path: &Path, what: &str) -> Result<Self> {
        Self::new(&secret(path, what)?, what)
    }

    /// Returns whether `secret` is the token, in constant time.
    pub fn is(&self, secret: &str) -> bool {
        digest(secret).ct_eq(&self.0).into()
    }

    /// Returns the cookie that a browser keeps instead of the token. The token cannot be derived from it.
    pub fn cookie(&self) -> String {
        Sha256::digest([b"livelabel cookie ".as_slice(), &self.0].concat())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Returns whether `value` is the cookie of this token, in constant time.
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
    fn addresses_other_than_loopback_need_a_token() {
        for text in ["127.0.0.1:8080", "[::1]:0", "localhost:80", "127.9.9.9:1"] {
            assert!(WebConfig::resolve(&options(text, None)).unwrap().is_some(), "{text}");
        }
        for text in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:80"] {
            let error = WebConfig::resolve(&options(text, None)).unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().contains("--web-token-file"), "{error}");
            assert!(WebConfig::resolve(&options(text, Some("a-long-secret"))).unwrap().is_some());
        }
    }

    #[test]
    fn invalid_options_are_rejected() {
        for text in ["", "8080", "127.0.0.1", "localhost:99999", "http://127.0.0.1:80"] {
            assert_eq!(WebConfig::resolve(&options(text, None)).unwrap_err().exit_code(), 2, "{text}");
        }
        let short = WebConfig::resolve(&options("127.0.0.1:0", Some("geheim"))).unwrap_err().to_string();
        assert!(short.contains("openssl") && !short.contains("geheim"), "{short}");
        let alone = RunOptions { web_token: Some("a-long-secret".into()), ..Default::default() };
        assert!(WebConfig::resolve(&alone).is_err());
        let exit = RunOptions { web_exit: Some(true), ..Default::default() };
        assert!(WebConfig::resolve(&exit).unwrap_err().to_string().contains("web-exit is set, but no page"));
        assert_eq!(WebConfig::resolve(&RunOptions::default()).unwrap(), None);
    }

    #[test]
    fn the_admin_token_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin");
        let resolve = |text: &str, token: Option<&str>| {
            std::fs::write(&path, text).unwrap();
            WebConfig::resolve(&RunOptions {
                web_admin_token_file: Some(path.clone()),
                ..options("127.0.0.1:0", token)
            })
        };
        assert!(resolve("a-long-secret\n", Some("another-secret")).unwrap().unwrap().admin_token.is_some());
        assert!(resolve("a-long-secret\n", None).is_ok());
        let same = resolve("a-long-secret\n", Some("a-long-secret")).unwrap_err().to_string();
        assert!(same.contains("is the page's token") && !same.contains("a-long"), "{same}");
        assert!(resolve("short", None).unwrap_err().to_string().contains("the admin token is shorter"));
        let alone = RunOptions { web_admin_token_file: Some(path.clone()), ..Default::default() };
        std::fs::write(&path, "a-long-secret").unwrap();
        assert!(WebConfig::resolve(&alone).unwrap_err().to_string().contains("an admin token is set, but no page"));
    }

    #[test]
    fn only_the_token_and_its_cookie_match() {
        let token = Token::new("a-long-secret", PAGE).unwrap();
        assert!(token.is("a-long-secret") && !token.is("a-long-secreT") && !token.is(""));
        assert!(token.is_cookie(&token.cookie()) && !token.is_cookie("a-long-secret") && !token.is_cookie(""));
        assert!(!format!("{token:?}{}", token.cookie()).contains("secret"));
    }
}
