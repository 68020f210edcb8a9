//! What everything that connects to another machine shares: backoff, credentials, TLS.

pub mod backoff;
pub mod credentials;
pub mod tls;
