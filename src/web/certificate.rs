//! The page's certificate in use, and its renewal: the files are read again when they change.

use std::time::Duration;

use tokio_rustls::TlsAcceptor;

use crate::config::certificate::{CertificateFiles, Versions};
use crate::error::Result;

/// How often the files are checked for changes.
pub(super) const CHECK: Duration = Duration::from_secs(2);

/// A certificate that is read again when its files have changed.
pub(super) struct Certificate {
    files: CertificateFiles,
    acceptor: TlsAcceptor,
    /// The versions that were tried last, and those of the last check.
    tried: Option<Versions>,
    seen: Option<Versions>,
}

impl Certificate {
    /// # Errors
    /// `Usage` if the files cannot be used.
    pub fn load(files: &CertificateFiles) -> Result<Self> {
        // Before they are read: a change meanwhile is noticed later.
        let versions = files.versions();
        let acceptor = files.load()?.into();
        Ok(Self { files: files.clone(), acceptor, tried: versions, seen: versions })
    }

    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Reads the files again if they have changed, and not since the last check: certificate and key are not replaced at
    /// the same moment. If they cannot be used, the old ones stay.
    pub fn renew(&mut self) {
        let now = self.files.versions();
        let settled = std::mem::replace(&mut self.seen, now) == now;
        if !settled || now == self.tried {
            return;
        }
        self.tried = now;
        match self.files.load() {
            Ok(renewed) => {
                self.acceptor = renewed.into();
                tracing::info!("the page's certificate was renewed");
            }
            Err(error) => tracing::warn!("{error}; the page keeps the certificate that it has"),
        }
    }
}
