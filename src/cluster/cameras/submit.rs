//! Adds cameras to a cluster, changes and removes them.

use std::time::Duration;

use async_nats::jetstream::stream::DeleteMessageError;
use tokio::time::{Instant, sleep};

use crate::cluster::cameras::camera::{CameraName, CameraSettings};
use crate::cluster::command::{self, Command};
use crate::cluster::connection::Connection;
use crate::cluster::job::Unusable;
use crate::cluster::{presence, record};
use crate::error::{Error, Result};

/// How long a worker may take to close the files of a camera that was removed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(200);

/// What became of a camera that was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    Added,
    Changed,
    /// It was there before, with these settings.
    Known,
}

/// Adds a camera, or changes the one of its name.
///
/// # Errors
/// `Unavailable` if the servers do not confirm it.
pub async fn submit(connection: &Connection, camera: &CameraSettings) -> Result<Submitted> {
    let before = record::leader_last(&connection.streams.cameras, &camera.camera.settings_subject()).await?;
    let before = before.map(|message| CameraSettings::read(&message.payload).ok());
    let same = before.as_ref().is_some_and(|before| before.as_ref() == Some(camera));
    if !same {
        record::publish(&connection.jetstream, camera.camera.settings_subject(), camera).await?;
    }
    // A worker reads the settings when it takes this.
    let added = record::create(&connection.jetstream, camera.camera.watch_subject(), &camera.camera).await?;
    Ok(match (added, same) {
        (true, _) => Submitted::Added,
        (false, true) => Submitted::Known,
        (false, false) => Submitted::Changed,
    })
}

/// Returns the settings of a camera; `None` if it was removed.
///
/// # Errors
/// `Unavailable` if the server does not answer; usage if this program cannot read them.
pub async fn settings(connection: &Connection, camera: &CameraName) -> Result<Option<CameraSettings>> {
    let Some(message) = record::leader_last(&connection.streams.cameras, &camera.settings_subject()).await? else {
        return Ok(None);
    };
    match CameraSettings::read(&message.payload) {
        Ok(found) if found.camera == *camera => Ok(Some(found)),
        Ok(_) => Err(Error::usage(format!("{camera}: its settings are those of another camera"))),
        Err(Unusable::Newer(why)) => {
            Err(Error::unavailable(format!("{camera}: a program of this version cannot watch it"))
                .because(why)
                .remedy("update the workers"))
        }
        Err(Unusable::Garbage(why)) => Err(Error::usage(format!("{camera}: its settings cannot be used"))
            .because(why)
            .remedy("submit the camera again with livelabel submit")),
    }
}

/// Removes a camera, and waits until no worker has it. Returns false if there is none.
///
/// # Errors
/// `Unavailable` if the server does not answer, this user may not, or its worker does not close its files.
pub async fn remove(connection: &Connection, camera: &CameraName) -> Result<bool> {
    let settings = record::leader_last(&connection.streams.cameras, &camera.settings_subject()).await?;
    let watch = record::leader_last(&connection.streams.live, &camera.watch_subject()).await?;
    let found = settings.is_some() || watch.is_some();
    // The settings first: from then on no worker begins.
    if let Some(message) = settings {
        delete(connection.streams.cameras.delete_message(message.sequence).await)?;
    }
    if let Some(message) = watch {
        delete(connection.streams.live.delete_message(message.sequence).await)?;
    }
    command::send(connection, &Command::Remove { camera: camera.clone() }).await?;
    let begun = Instant::now();
    while begun.elapsed() < CLOSE_TIMEOUT {
        let workers = presence::workers(connection).await?;
        if workers.iter().all(|worker| worker.cameras.iter().all(|held| held.camera != *camera)) {
            return Ok(found);
        }
        sleep(POLL).await;
    }
    Err(Error::unavailable(format!("{camera}: is removed, but its worker still has it"))
        .remedy("its claim ends within 12 s if the worker has no connection; look at livelabel cluster status"))
}

/// Somebody else may have deleted it.
fn delete(deleted: std::result::Result<bool, DeleteMessageError>) -> Result<()> {
    match deleted {
        Ok(_) => Ok(()),
        Err(cause) if cause.to_string().contains("no message found") => Ok(()),
        Err(cause) => Err(record::unanswered(&cause)),
    }
}
