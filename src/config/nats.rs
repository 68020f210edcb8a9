//! How to reach the NATS servers of a cluster.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::config::credentials::CredentialSource;
use crate::error::{Error, Result};
use crate::net::credentials::Credentials;

const PORT: u16 = 4222;
/// Most copies that a JetStream server keeps of a stream.
const MAX_REPLICAS: usize = 5;

/// The options of every command that talks to a cluster.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "NATS")]
pub struct NatsOptions {
    /// NATS server with JetStream, like nats://HOST or tls://HOST:4222; several of one cluster with commas between
    #[arg(long, value_name = "URL", value_delimiter = ',', required = true)]
    pub nats: Vec<String>,
    /// File with the credentials of a NATS user (JWT and seed)
    #[arg(long, value_name = "FILE")]
    pub nats_creds: Option<PathBuf>,
    /// Environment variable with the user name for NATS
    #[arg(long, value_name = "VARIABLE")]
    pub nats_user_env: Option<String>,
    /// Environment variable with the password for NATS
    #[arg(long, value_name = "VARIABLE")]
    pub nats_password_env: Option<String>,
    /// File with the password for NATS
    #[arg(long, value_name = "FILE")]
    pub nats_password_file: Option<PathBuf>,
    /// File with the certificates that sign the NATS servers' [default: the system's]
    #[arg(long, value_name = "FILE")]
    pub nats_ca: Option<PathBuf>,
    /// Servers that keep each job and result, where the cluster has none yet [default: 1]
    #[arg(long, value_name = "N")]
    pub nats_replicas: Option<usize>,
}

/// NATS servers, and who connects to them.
#[derive(Clone, PartialEq)]
pub struct NatsConfig {
    /// `nats://HOST:PORT` or `tls://HOST:PORT`, without credentials.
    pub servers: Vec<String>,
    /// Whether the connection must be encrypted.
    pub encrypted: bool,
    pub access: NatsAccess,
    pub certificates: Option<PathBuf>,
    /// Servers that keep each stream; `None` for one, or as many as there are.
    pub replicas: Option<usize>,
}

/// Who connects.
#[derive(Clone, PartialEq)]
pub enum NatsAccess {
    Anyone,
    User(Credentials),
    File(PathBuf),
}

impl NatsConfig {
    /// Resolves the options.
    ///
    /// # Errors
    /// Returns a usage error if an address is invalid, or credentials cannot be read or contradict each other.
    pub fn resolve(options: &NatsOptions) -> Result<Self> {
        let source = CredentialSource {
            prefix: "nats-",
            user_env: options.nats_user_env.as_deref(),
            password_env: options.nats_password_env.as_deref(),
            password_file: options.nats_password_file.as_ref(),
        };
        let (mut user, mut password) = source.read()?;
        let mut servers = Vec::new();
        for address in &options.nats {
            let (server, named) = parse(address)?;
            servers.push(server);
            if let Some(named) = named {
                user.get_or_insert(named.user);
                password.get_or_insert(named.password);
            }
        }
        let encrypted = servers.iter().filter(|server| server.starts_with("tls:")).count();
        if encrypted > 0 && encrypted < servers.len() {
            return Err(Error::usage("some NATS servers are named with tls:// and some without")
                .remedy("write tls:// before each, so that no password is sent as plain text"));
        }
        let encrypted = encrypted > 0 || options.nats_ca.is_some();
        let access = match (user, password, &options.nats_creds) {
            (None, None, None) => NatsAccess::Anyone,
            (None, None, Some(file)) => NatsAccess::File(file.clone()),
            (Some(user), password, None) => {
                NatsAccess::User(Credentials { user, password: password.unwrap_or_default() })
            }
            (None, Some(_), None) => {
                return Err(Error::usage("a password for NATS is set, but no user")
                    .remedy("put the user into the address, or set --nats-user-env"));
            }
            (_, _, Some(_)) => {
                return Err(Error::usage("--nats-creds and a user or password both say who connects to NATS")
                    .remedy("use only one of them"));
            }
        };
        if let Some(replicas) = options.nats_replicas.filter(|replicas| !(1..=MAX_REPLICAS).contains(replicas)) {
            return Err(Error::usage(format!("nats_replicas {replicas} is out of range"))
                .remedy(format!("use a number from 1 to {MAX_REPLICAS}")));
        }
        Ok(Self { servers, encrypted, access, certificates: options.nats_ca.clone(), replicas: options.nats_replicas })
    }
}

/// Parses `nats://[user:password@]host[:port]`, or the same with `tls`. Returns the address without the user, and the user.
fn parse(address: &str) -> Result<(String, Option<Credentials>)> {
    let invalid = || Error::usage("the address of a NATS server is invalid").remedy("write it like nats://HOST:4222");
    let url = Url::parse(address).map_err(|cause| invalid().because(cause))?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(invalid)?;
    let extra = !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some();
    if !matches!(url.scheme(), "nats" | "tls") || extra {
        return Err(invalid());
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = (!url.username().is_empty()).then(|| Credentials {
        user: decoded(url.username()),
        password: url.password().map(decoded).unwrap_or_default(),
    });
    Ok((format!("{}://{host}:{}", url.scheme(), url.port().unwrap_or(PORT)), user))
}

impl fmt::Display for NatsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.servers.join(","))
    }
}

impl fmt::Debug for NatsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NatsConfig({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(servers: &[&str]) -> Result<NatsConfig> {
        let nats = servers.iter().map(|server| (*server).into()).collect();
        NatsConfig::resolve(&NatsOptions { nats, ..NatsOptions::default() })
    }

    #[test]
    fn the_user_of_an_address_is_not_shown() {
        let config = resolve(&["tls://ann:p%40ss@a.example", "tls://b.example:5000"]).unwrap();
        assert_eq!(config.to_string(), "tls://a.example:4222,tls://b.example:5000");
        assert!(config.access == NatsAccess::User(Credentials { user: "ann".into(), password: "p@ss".into() }));
        assert!(!format!("{config:?}").contains("ann"));
        assert_eq!(resolve(&["nats://[::1]"]).unwrap().to_string(), "nats://[::1]:4222");
    }

    #[test]
    fn errors_do_not_repeat_invalid_addresses() {
        for address in ["secret", "http://secret", "nats://", "nats://ann:secret@host/path", "nats://host?secret"] {
            let error = resolve(&[address]).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn all_servers_are_encrypted_or_none() {
        assert!(resolve(&["tls://a", "nats://b"]).unwrap_err().to_string().contains("some without"));
        assert_eq!([&["nats://a"], &["tls://a"]].map(|servers| resolve(servers).unwrap().encrypted), [false, true]);
    }

    #[test]
    fn one_option_says_who_connects() {
        let both = NatsOptions {
            nats: vec!["nats://ann:x@host".into()],
            nats_creds: Some("me.creds".into()),
            ..NatsOptions::default()
        };
        assert!(NatsConfig::resolve(&both).unwrap_err().to_string().contains("only one"));
        let six = NatsOptions { nats: vec!["nats://host".into()], nats_replicas: Some(6), ..NatsOptions::default() };
        assert!(NatsConfig::resolve(&six).unwrap_err().to_string().contains("from 1 to 5"));
    }
}
