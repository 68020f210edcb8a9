//! What everything that connects to another machine shares: backoff, credentials, downloads, TLS.

pub mod backoff;
pub mod credentials;
pub mod download;
pub mod tls;
