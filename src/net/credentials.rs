//! User name and password. Neither is ever printed.

/// User name and password.
#[derive(Clone, Default, PartialEq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}
