//! Finds the index of a folder for who wants to read it, brings it up to date where that is possible, and makes one for the time
//! being where there is none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempPath;

use crate::error::{Error, Result};
use crate::history::database::{self, Unusable};
use crate::history::folder;
use crate::report::LockedFile;
use crate::system::folders;

/// An index that can be read.
#[derive(Clone)]
pub struct Place {
    folder: PathBuf,
    path: PathBuf,
    /// Whether its folder cannot be written.
    immutable: bool,
    /// The temporary file that it lies in, if it is one.
    _temporary: Option<Arc<TempPath>>,
}

impl Place {
    /// Returns the index that a run in this program writes.
    pub fn of_run(folder: &Path) -> Self {
        Self { folder: folder.into(), path: database::path(folder), immutable: false, _temporary: None }
    }

    /// Opens a connection. Returns `None` if there is no index yet.
    ///
    /// # Errors
    /// Returns a failure if it cannot be read.
    pub fn connect(&self) -> Result<Option<Connection>> {
        if !self.path.exists() {
            return Ok(None);
        }
        database::open_to_read(&self.path, self.immutable).map_err(|why| match why {
            Unusable::Failed(cause) => database::failed(&self.path, &cause),
            Unusable::Damaged(_) | Unusable::Other(_) => {
                Error::failed(format!("{}: the index is damaged or of another version", self.path.display()))
                    .remedy(format!("run `livelabel index rebuild {}`", folders::named(&self.folder).display()))
            }
        })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Opens the index of a folder to read it. One that no run writes is brought up to date first; one that is damaged or of another
/// version is moved aside and made again. Without one, or where it cannot be written, makes it in a temporary file, for this
/// program only.
///
/// # Errors
/// Returns an input error if the folder cannot be read or holds nothing, and a failure if no index can be made.
pub fn open(folder: &Path) -> Result<Place> {
    let path = database::path(folder);
    if !path.exists() {
        return temporary(folder);
    }
    match folder::lock(folder) {
        Ok(lock) => update(folder, &path, lock),
        // A run keeps it up to date.
        Err(error) if error.exit_code() == 2 => read(folder, path, false),
        Err(_) => read(folder, path, true),
    }
}

/// Reads an index that this program cannot write.
fn read(folder: &Path, path: PathBuf, immutable: bool) -> Result<Place> {
    match database::open_to_read(&path, immutable) {
        Ok(Some(_)) => Ok(Place { folder: folder.into(), path, immutable, _temporary: None }),
        Err(Unusable::Failed(cause)) => Err(database::failed(&path, &cause)),
        Ok(None) | Err(Unusable::Damaged(_) | Unusable::Other(_)) => temporary(folder),
    }
}

fn update(folder: &Path, path: &Path, _lock: LockedFile) -> Result<Place> {
    let updated = catch_up(folder, path).or_else(|failure| match failure {
        Failure::Unusable(Unusable::Failed(cause)) => Err(database::failed(path, &cause)),
        Failure::Unusable(why) => {
            database::move_aside(path, &why)?;
            crate::report::replace(path, |part| folder::build(folder, part))
        }
        Failure::Other(error) => Err(error),
    });
    match updated {
        Ok(()) => Ok(Place { folder: folder.into(), path: path.into(), immutable: false, _temporary: None }),
        Err(error) => {
            tracing::debug!("{error}");
            temporary(folder)
        }
    }
}

enum Failure {
    Unusable(Unusable),
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Unusable(cause.into())
    }
}

fn catch_up(folder: &Path, path: &Path) -> Result<(), Failure> {
    let db = database::open(path, true).map_err(Failure::Unusable)?;
    folder::update(folder, &db)
}

/// Makes an index of the folder for this program only.
fn temporary(folder: &Path) -> Result<Place> {
    if folder::is_empty(folder)? {
        return Err(folder::nothing(folder));
    }
    let unwritable = |cause| Error::unwritable(&std::env::temp_dir(), cause);
    let file = tempfile::Builder::new().prefix("livelabel-").suffix(".sqlite").tempfile().map_err(unwritable)?;
    let temporary = file.into_temp_path();
    folder::build(folder, &temporary)?;
    let path = temporary.to_path_buf();
    Ok(Place { folder: folder.into(), path, immutable: true, _temporary: Some(Arc::new(temporary)) })
}
