//! Reads a user name and password from environment variables and files.

use std::path::{Path, PathBuf};

use crate::config::bounded;
use crate::error::{Error, Result};

/// Maximum length of a password file, in bytes.
const MAX_PASSWORD: usize = 4096;

/// The options that say where user name and password are.
pub struct CredentialSource<'a> {
    /// Prefix of the flags' names: empty, or `mqtt-`.
    pub prefix: &'static str,
    pub user_env: Option<&'a str>,
    pub password_env: Option<&'a str>,
    pub password_file: Option<&'a PathBuf>,
}

impl CredentialSource<'_> {
    /// Reads user name and password; `None` for one that no option names.
    ///
    /// # Errors
    /// Returns a usage error if one cannot be read.
    pub fn read(&self) -> Result<(Option<String>, Option<String>)> {
        let user = variable(self.user_env)?;
        let password = match (self.password_file, variable(self.password_env)?) {
            (Some(_), Some(_)) => {
                let prefix = self.prefix;
                return Err(Error::usage(format!(
                    "--{prefix}password-file and --{prefix}password-env both set the password"
                ))
                .remedy("use only one of them"));
            }
            (Some(path), None) => Some(password(path)?),
            (None, password) => password,
        };
        Ok((user, password))
    }
}

fn variable(name: Option<&str>) -> Result<Option<String>> {
    let Some(name) = name else { return Ok(None) };
    std::env::var(name).map(Some).map_err(|_| {
        Error::usage(format!("the environment variable {name} is not set")).remedy("export it before the run")
    })
}

/// Reads a password from a file.
///
/// # Errors
/// Returns a usage error if it cannot be read.
pub(super) fn password(path: &Path) -> Result<String> {
    let text = bounded::text(path, MAX_PASSWORD).map_err(|cause| {
        Error::usage(format!("{}: the password cannot be read", path.display()))
            .because(cause)
            .remedy("check the file and its permissions")
    })?;
    Ok(text.trim_end_matches(['\n', '\r']).to_string())
}
