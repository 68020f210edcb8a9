//! TLS that trusts whom the system trusts.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt;

use crate::error::{Error, Result};

/// # Errors
/// Unavailable, where the system's certificates cannot be read.
pub fn client() -> Result<Arc<ClientConfig>> {
    // A second time, as for another run in the process, it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    ClientConfig::with_platform_verifier().map(Arc::new).map_err(|cause| {
        Error::unavailable("TLS cannot be prepared").because(cause).remedy("install the package ca-certificates")
    })
}
