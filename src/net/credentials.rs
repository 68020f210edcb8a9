//! User name and password. Neither is ever printed.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// User name and password.
#[derive(Clone, Default, PartialEq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

impl Credentials {
    /// Returns the value of `Authorization` that a web server gets (RFC 7617).
    pub fn basic(&self) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}
