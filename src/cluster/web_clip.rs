//! Copies a clip from a web server: labelling it needs any part of it at any time.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::cluster::clip_address::ClipAddress;
use crate::config::camera_credentials::CameraCredentials;
use crate::error::Error;
use crate::net::download::{Download, DownloadError};
use crate::shutdown::Shutdown;
use crate::system::disk;
use crate::system::words::bytes;

/// Bytes that a copy leaves free, for results and other clips.
const RESERVE: u64 = 256 << 20;

/// Why there is no copy.
pub enum NotCopied {
    Stopped,
    /// This worker cannot get the clip. Another one may.
    Unreadable(Error),
    /// This machine lacks something.
    Unable(Error),
}

/// Copies a clip into a folder, and returns its path. Blocks. With `redirects` the server may send it from another address.
///
/// # Errors
/// Says why there is no copy.
pub fn copy(
    address: &ClipAddress,
    credentials: &CameraCredentials,
    redirects: bool,
    folder: &Path,
    shutdown: &Shutdown,
) -> Result<PathBuf, NotCopied> {
    let path = folder.join(address.file_name());
    let unwritable = |cause| NotCopied::Unable(Error::unwritable(folder, cause));
    let mut file = File::create_new(&path).map_err(unwritable)?;
    let download = Download {
        url: address.url(),
        credentials: credentials.of(address.host()),
        redirects,
        room: &|| room(folder),
        shutdown,
    };
    download.write(&mut file).map_err(|error| match error {
        DownloadError::Stopped => NotCopied::Stopped,
        DownloadError::Disk(cause) => unwritable(cause),
        DownloadError::NoRoom { needed } if disk::size(folder).is_some_and(|size| needed > size) => {
            NotCopied::Unreadable(
                Error::input(format!("{address}: has {}, more than the disk of this worker", bytes(needed)))
                    .remedy("start a worker whose --output-dir is on a larger disk"),
            )
        }
        DownloadError::NoRoom { needed } => {
            unwritable(io::Error::new(io::ErrorKind::StorageFull, format!("{} needed", bytes(needed))))
        }
        DownloadError::Server(why) => NotCopied::Unreadable(
            Error::input(format!("{address}: cannot be read from the server"))
                .because(why)
                .remedy("check the address, and the worker's --camera-credentials if the server asks for a password"),
        ),
    })?;
    Ok(path)
}

/// Returns how many bytes a copy may have. A disk that does not report its space has room.
fn room(folder: &Path) -> u64 {
    disk::free(folder).map_or(u64::MAX, |free| free.saturating_sub(RESERVE))
}
