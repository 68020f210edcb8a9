//! Commands to workers. They are not kept: who is not there does not get them.

use serde::{Deserialize, Serialize};

use crate::cluster::cameras::camera::CameraName;
use crate::cluster::connection::Connection;
use crate::cluster::job::JobId;
use crate::cluster::names::COMMAND;
use crate::cluster::record;
use crate::error::{Error, Result};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "command")]
pub enum Command {
    /// Stop this job, wherever it is.
    Cancel { id: JobId },
    /// Take no new jobs, do those that it has, and end.
    Drain { worker: String },
    /// Have another worker watch this camera.
    Move { camera: CameraName, worker: String },
    /// Watch this camera no more: it was removed.
    Remove { camera: CameraName },
}

/// Sends a command to all workers that are there.
///
/// # Errors
/// `Unavailable` if the server does not answer.
pub async fn send(connection: &Connection, command: &Command) -> Result<()> {
    let bytes = serde_json::to_vec(command).map_err(|cause| Error::internal("a command").because(cause))?;
    connection.client.publish(COMMAND, bytes.into()).await.map_err(|cause| record::unanswered(&cause))?;
    connection.client.flush().await.map_err(|cause| record::unanswered(&cause))
}
