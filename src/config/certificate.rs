//! The page's certificate and its private key, as files that may be renewed.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;

use crate::config::bounded;
use crate::config::options::RunOptions;
use crate::error::{Error, Result};
use crate::net::tls::{self, Unusable};

/// Maximum size of each file, in bytes.
const MAX_FILE: usize = 1 << 20;

/// The PEM files of a certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
}

/// Tells versions of a file apart: device, inode, size, seconds and nanoseconds of its last change.
type Version = (u64, u64, u64, i64, i64);

/// The versions of both files.
pub type Versions = [Version; 2];

impl CertificateFiles {
    /// Returns the files if both are set, and checks that they can be used.
    ///
    /// # Errors
    /// Returns a usage error if only one is set, or they cannot be used.
    pub fn resolve(options: &RunOptions) -> Result<Option<Self>> {
        let files = match (&options.web_cert, &options.web_key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => Self { certificate: certificate.clone(), key: key.clone() },
            (Some(_), None) => {
                return Err(Error::usage("--web-cert is set without the certificate's key")
                    .remedy("name its private key with --web-key FILE"));
            }
            (None, Some(_)) => {
                return Err(Error::usage("--web-key is set without its certificate")
                    .remedy("name the certificate with --web-cert FILE"));
            }
        };
        files.load()?;
        Ok(Some(files))
    }

    /// Reads both files.
    ///
    /// # Errors
    /// Returns a usage error that names the file which cannot be used.
    pub fn load(&self) -> Result<Arc<ServerConfig>> {
        let [certificate, key] = [("certificate", &self.certificate), ("key", &self.key)].map(|(what, path)| {
            bounded::text(path, MAX_FILE).map_err(|cause| {
                Error::usage(format!("{}: the page's {what} cannot be read", path.display()))
                    .because(cause)
                    .remedy("check the file and its permissions")
            })
        });
        tls::server(&certificate?, &key?).map_err(|unusable| {
            let (what, path, why, remedy) = match unusable {
                Unusable::Certificate(why, remedy) => ("certificate", &self.certificate, why, remedy),
                Unusable::Key(why, remedy) => ("key", &self.key, why, remedy),
            };
            Error::usage(format!("{}: the page's {what} {why}", path.display())).remedy(remedy)
        })
    }

    /// Returns the versions of both files; `None` if one is not a regular file, which cannot be read twice.
    pub fn versions(&self) -> Option<Versions> {
        Some([version(&self.certificate)?, version(&self.key)?])
    }
}

fn version(path: &Path) -> Option<Version> {
    let of = |file: Metadata| (file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec());
    std::fs::metadata(path).ok().filter(Metadata::is_file).map(of)
}
