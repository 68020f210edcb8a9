//! What everything that connects to another machine shares: backoff, credentials, a web client, downloads, TLS.

pub mod backoff;
pub mod credentials;
pub mod download;
pub mod http;
pub mod tls;
