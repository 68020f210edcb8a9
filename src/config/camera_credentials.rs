//! Who a worker is to its cameras: user and password by the camera's host, so that no other host gets them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::config::bounded;
use crate::config::credentials::password;
use crate::error::{Error, Result};
use crate::net::credentials::Credentials;

/// Maximum size of the file, in bytes.
const MAX_FILE: usize = 1 << 20;

/// An entry of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    hosts: Vec<String>,
    user: String,
    password: Option<String>,
    password_file: Option<PathBuf>,
}

/// The credentials of a file.
#[derive(Clone, Default)]
pub struct CameraCredentials {
    entries: Vec<(Vec<String>, Credentials)>,
    /// What was read.
    pub files: Vec<PathBuf>,
}

impl CameraCredentials {
    /// Reads a TOML file of tables, each with `hosts`, `user`, and `password` or `password_file`.
    ///
    /// # Errors
    /// Usage, if it cannot be read. The message has no password.
    pub fn read(path: &Path) -> Result<Self> {
        let cannot = || Error::usage(format!("{}: the cameras' credentials cannot be read", path.display()));
        let text = bounded::text(path, MAX_FILE).map_err(|cause| cannot().because(cause).remedy("check the path"))?;
        let entries: BTreeMap<String, Entry> = toml::from_str(&text).map_err(|cause| {
            let line = cause.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            cannot()
                // The message could show a password.
                .because(format!("line {line}"))
                .remedy("write tables like [name] with hosts = [\"10.0.0.*\"], user = \"…\" and password_file = \"…\"")
        })?;
        let mut files = vec![path.to_path_buf()];
        let read = |(name, entry): (String, Entry)| {
            let password = match (entry.password, entry.password_file) {
                (Some(password), None) => password,
                (None, Some(file)) => {
                    let password = password(&file)?;
                    files.push(file);
                    password
                }
                _ => return Err(cannot().remedy(format!("set either password or password_file of {name}"))),
            };
            Ok((entry.hosts, Credentials { user: entry.user, password }))
        };
        let entries = entries.into_iter().map(read).collect::<Result<_>>()?;
        Ok(Self { entries, files })
    }

    /// Returns the first credentials that are for a host.
    pub fn of(&self, host: &str) -> Option<&Credentials> {
        let (_, credentials) =
            self.entries.iter().find(|(hosts, _)| hosts.iter().any(|pattern| matches(pattern, host)))?;
        Some(credentials)
    }
}

/// Returns whether a host is that of a pattern, in which `*` stands for any text without a dot; `*` alone stands for any host. A pattern
/// that begins like an address is for addresses only: anybody can have a name that begins with `10.0.0.`.
fn matches(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.to_ascii_lowercase(), host.to_ascii_lowercase());
    if pattern == "*" {
        return true;
    }
    let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    if pattern.starts_with(|first: char| first.is_ascii_digit() || first == '[') && !is_address {
        return false;
    }
    let (patterns, parts): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), host.split('.').collect());
    patterns.len() == parts.len() && patterns.iter().zip(parts).all(|(pattern, part)| matches_part(pattern, part))
}

/// Returns whether a text is that of a pattern, in which `*` stands for any text.
fn matches_part(pattern: &str, text: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(begin) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_for_its_hosts_only() {
        for (pattern, host, expected) in [
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.70", false),
            ("10.0.0.*", "10.0.0.70", true),
            ("cam-*.Example.org", "CAM-3.example.org", true),
            ("cam-*.example.org", "cam-3.example.org.evil.net", false),
            ("cam-*.example.org", "cam-evil.net.example.org", false),
            ("10.0.0.*", "10.0.0.evil", false),
            ("10.0.0.*", "10.0.0.evil.net", false),
            ("*.0.0.7", "10.0.0.7", true),
            ("*a*b", "xaxxb", true),
            ("*a*b", "xbxxa", false),
            ("a*a", "a", false),
            ("*", "any.host", true),
        ] {
            assert_eq!(matches(pattern, host), expected, "{pattern} {host}");
        }
    }

    #[test]
    fn an_unreadable_file_is_told_by_its_line_without_its_passwords() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cameras.toml");
        let error = |text: &str| {
            std::fs::write(&file, text).unwrap();
            CameraCredentials::read(&file).err().map(|error| error.to_string()).unwrap_or_default()
        };
        let unknown = error("[door]\nhosts = [\"a\"]\nuser = \"u\"\npasword = \"secret\"\n");
        assert!(unknown.contains("line 4") && !unknown.contains("secret"), "{unknown}");
        let both = error("[door]\nhosts = [\"a\"]\nuser = \"u\"\npassword = \"secret\"\npassword_file = \"x\"\n");
        assert!(both.contains("either password or password_file of door") && !both.contains("secret"), "{both}");
        std::fs::write(folder.path().join("p"), "from a file\n").unwrap();
        let path = folder.path().join("p");
        let good = format!("[door]\nhosts = [\"a\"]\nuser = \"u\"\npassword_file = {path:?}\n");
        assert_eq!(error(&good), "");
        assert_eq!(CameraCredentials::read(&file).unwrap().of("A").unwrap().password, "from a file");
    }
}
