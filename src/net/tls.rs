//! TLS with the system's certificates.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt;

use crate::error::{Error, Result};

/// Returns a TLS client configuration that trusts the system's certificates.
///
/// # Errors
/// Returns an error if the system's certificates cannot be read.
pub fn client() -> Result<Arc<ClientConfig>> {
    // Fails if a provider is installed already, as on a second call in the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    ClientConfig::with_platform_verifier().map(Arc::new).map_err(|cause| {
        Error::unavailable("TLS cannot be set up").because(cause).remedy("install the package ca-certificates")
    })
}
