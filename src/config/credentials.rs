//! Where a user's name and password are read from.

use std::path::{Path, PathBuf};

use crate::bounded;
use crate::error::{Error, Result};

/// In bytes.
const LONGEST_PASSWORD: usize = 4096;

/// Where the options say that name and password stand.
pub struct CredentialSource<'a> {
    /// What the flags' names begin with: nothing, or `mqtt-`.
    pub prefix: &'static str,
    pub user_env: Option<&'a str>,
    pub password_env: Option<&'a str>,
    pub password_file: Option<&'a PathBuf>,
}

impl CredentialSource<'_> {
    /// Name and password, each where it is given.
    ///
    /// # Errors
    /// Usage, where one cannot be read.
    pub fn read(&self) -> Result<(Option<String>, Option<String>)> {
        let user = variable(self.user_env)?;
        let password = match (self.password_file, variable(self.password_env)?) {
            (Some(_), Some(_)) => {
                let prefix = self.prefix;
                return Err(Error::usage(format!(
                    "--{prefix}password-file and --{prefix}password-env both name the password"
                ))
                .remedy("give one"));
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

fn password(path: &Path) -> Result<String> {
    let text = bounded::text(path, LONGEST_PASSWORD).map_err(|cause| {
        Error::usage(format!("{}: the password cannot be read", path.display()))
            .because(cause)
            .remedy("check the file and its permissions")
    })?;
    Ok(text.trim_end_matches(['\n', '\r']).to_string())
}
