//! Event receivers: parses their addresses and separates credentials from them.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::config::credentials::CredentialSource;
use crate::config::options::RunOptions;
use crate::error::{Error, Result};
use crate::net::credentials::Credentials;

const DEFAULT_PREFIX: &str = "livelabel";
const PORT: u16 = 1883;
const TLS_PORT: u16 = 8883;

/// All event receivers of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventsConfig {
    pub lines: Option<JsonLines>,
    pub broker: Option<Broker>,
    pub webhooks: Vec<Webhook>,
}

/// Where events are written as JSON Lines.
#[derive(Clone, Debug, PartialEq)]
pub enum JsonLines {
    Stdout,
    File(PathBuf),
}

/// An MQTT broker.
#[derive(Clone, PartialEq)]
pub struct Broker {
    /// A host name or address, IPv6 without brackets.
    pub host: String,
    pub port: u16,
    pub tls: bool,
    pub credentials: Option<Credentials>,
    /// Prefix of all topics.
    pub prefix: String,
}

/// A URL that events are posted to.
#[derive(Clone, PartialEq)]
pub struct Webhook {
    /// Without credentials.
    pub url: Url,
    pub credentials: Option<Credentials>,
}

impl EventsConfig {
    /// Resolves the options of all event receivers.
    ///
    /// # Errors
    /// Returns a usage error if an address is invalid or credentials cannot be read.
    pub fn resolve(options: &RunOptions) -> Result<Self> {
        let lines = options.events.as_ref().map(|path| match path.to_str() {
            Some("-") => JsonLines::Stdout,
            _ => JsonLines::File(path.clone()),
        });
        let source = CredentialSource {
            prefix: "mqtt-",
            user_env: options.mqtt_user_env.as_deref(),
            password_env: options.mqtt_password_env.as_deref(),
            password_file: options.mqtt_password_file.as_ref(),
        };
        let (user, password) = source.read()?;
        let broker = match &options.mqtt {
            Some(address) => Some(Broker::parse(address, user, password)?),
            None if user.is_some() || password.is_some() => {
                return Err(Error::usage("a user or password for MQTT is set, but no broker")
                    .remedy("name the broker with --mqtt mqtt://HOST"));
            }
            None => None,
        };
        let webhooks = options.webhook.iter().map(|url| Webhook::parse(url)).collect::<Result<_>>()?;
        Ok(Self { lines, broker, webhooks })
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether events go to stdout, so that nothing else may be printed there.
    pub fn takes_stdout(&self) -> bool {
        self.lines == Some(JsonLines::Stdout)
    }
}

impl Broker {
    /// Parses `mqtt[s]://[user:password@]host[:port][/prefix]`. `user` and `password` override those in the address.
    fn parse(address: &str, user: Option<String>, password: Option<String>) -> Result<Self> {
        let invalid = || Error::usage("the broker's address is invalid");
        let remedy = "write it like mqtt://HOST or mqtts://HOST:8883/PREFIX; move a password with special characters \
        to --mqtt-password-file";
        let url = Url::parse(address).map_err(|cause| invalid().because(cause).remedy(remedy))?;
        let tls = match url.scheme() {
            "mqtt" => false,
            "mqtts" => true,
            _ => return Err(invalid().remedy(remedy)),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| invalid().remedy(remedy))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid().remedy(remedy));
        }
        let user = user.or_else(|| decoded(url.username()));
        let password = password.or_else(|| url.password().and_then(decoded));
        let credentials = match (user, password) {
            (None, None) => None,
            (Some(user), password) => Some(Credentials { user, password: password.unwrap_or_default() }),
            (None, Some(_)) => {
                return Err(Error::usage("a password for MQTT is set, but no user")
                    .remedy("put the user into the address, or set --mqtt-user-env"));
            }
        };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_string(),
            port: url.port().unwrap_or(if tls { TLS_PORT } else { PORT }),
            tls,
            credentials,
            prefix: prefix(url.path())?,
        })
    }
}

/// Percent-decodes a part of an address; `None` for an empty one.
fn decoded(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| percent_decode_str(text).decode_utf8_lossy().into_owned())
}

fn prefix(path: &str) -> Result<String> {
    let path = path.trim_matches('/');
    let prefix = decoded(path).unwrap_or_else(|| DEFAULT_PREFIX.into());
    let reserved = |c: char| c.is_control() || c == '+' || c == '#';
    if prefix.contains(reserved) || prefix.starts_with('$') || prefix.split('/').any(str::is_empty) {
        return Err(Error::usage(format!("topics cannot begin with {prefix:?}"))
            .remedy("use a prefix like home/livelabel, without +, # and $"));
    }
    Ok(prefix)
}

impl Webhook {
    fn parse(address: &str) -> Result<Self> {
        let invalid = || Error::usage("a webhook's address is invalid").remedy("write it like https://HOST/PATH");
        let mut url = Url::parse(address).map_err(|cause| invalid().because(cause))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(invalid());
        }
        let (user, password) = (decoded(url.username()), url.password().and_then(decoded));
        let credentials = (user.is_some() || password.is_some())
            .then(|| Credentials { user: user.unwrap_or_default(), password: password.unwrap_or_default() });
        // Neither fails for an address with a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        Ok(Self { url, credentials })
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

/// Only the origin: the path of a webhook is often its secret.
impl fmt::Display for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url.origin().ascii_serialization())
    }
}

impl fmt::Display for JsonLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonLines::Stdout => f.write_str("stdout"),
            JsonLines::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broker({self}/{})", self.prefix)
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(address: &str) -> Result<Broker> {
        Broker::parse(address, None, None)
    }

    #[test]
    fn parses_a_broker_address() {
        let plain = broker("mqtt://host").unwrap();
        assert_eq!((plain.port, plain.tls, plain.prefix.as_str()), (1883, false, "livelabel"));
        let full = broker("mqtts://ann:p%40ss@broker.example:1234/home/cams/").unwrap();
        assert!(full.credentials == Some(Credentials { user: "ann".into(), password: "p@ss".into() }));
        assert_eq!((full.to_string().as_str(), full.prefix.as_str()), ("mqtts://broker.example:1234", "home/cams"));
        assert!(!format!("{full:?}").contains("ann"));
        assert_eq!(broker("mqtt://[::1]").unwrap().to_string(), "mqtt://[::1]:1883");
        let overridden = Broker::parse("mqtt://ann:x@host", None, Some("y".into())).unwrap();
        assert!(overridden.credentials.is_some_and(|credentials| credentials.password == "y"));
    }

    #[test]
    fn a_webhook_shows_neither_password_nor_path() {
        let hook = Webhook::parse("https://ann:s3cret@host:8443/hooks/t0ken?key=k3y#x").unwrap();
        assert_eq!(hook.to_string(), "https://host:8443");
        assert_eq!(hook.url.as_str(), "https://host:8443/hooks/t0ken?key=k3y");
        assert!(
            hook.credentials.is_some_and(|credentials| credentials.user == "ann" && credentials.password == "s3cret")
        );
    }

    #[test]
    fn errors_do_not_repeat_invalid_addresses() {
        for address in ["host", "http://secret", "mqtt://ann:secret@", "mqtt://ann:sec#ret@host", "mqtt://:secret@host"]
        {
            let error = broker(address).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(!error.to_string().contains("sec"), "{error}");
        }
        for address in ["mqtt://host/a//b", "mqtt://host/$SYS", "mqtt://host/a+"] {
            assert!(broker(address).unwrap_err().to_string().contains("topics"), "{address}");
        }
        for address in ["host/secret", "ftp://host/secret", "https://"] {
            assert!(!Webhook::parse(address).unwrap_err().to_string().contains("secret"), "{address}");
        }
    }
}
