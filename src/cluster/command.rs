//! Commands to workers. They are not kept: who is not there does not get them.

use serde::{Deserialize, Serialize};

use crate::cluster::job::JobId;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "command")]
pub enum Command {
    /// Stop this job, wherever it is.
    Cancel { id: JobId },
    /// Take no new jobs, do those that it has, and end.
    Drain { worker: String },
}
