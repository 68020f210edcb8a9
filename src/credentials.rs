//! A user's name and password. Neither is ever printed.

/// A user's name and password.
#[derive(Clone, Default, PartialEq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}
