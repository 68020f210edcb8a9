//! Messages of a cluster.

use std::path::Path;

use crate::cluster::clip::Labelling;
use crate::cluster::command::Command;
use crate::cluster::job::ClipJob;
use crate::cluster::names;
use crate::cluster::presence::WorkerStatus;
use crate::cluster::record::{Attempts, JobRecord};

/// Jobs, records, commands, and what workers say of themselves. A job writes into its folder only.
pub fn jobs(bytes: &[u8]) {
    let _ = serde_json::from_slice::<JobRecord>(bytes);
    let _ = serde_json::from_slice::<Attempts>(bytes);
    let _ = serde_json::from_slice::<WorkerStatus>(bytes);
    let _ = serde_json::from_slice::<Command>(bytes);
    let Ok(job) = ClipJob::read(bytes) else { return };
    assert!(names::is_token(job.id.as_str()));
    let sent = serde_json::to_vec(&job).unwrap_or_default();
    let again = ClipJob::read(&sent).unwrap_or_else(|why| unreachable!("{job:?} is not read again: {why:?}"));
    assert_eq!(again, job);
    let folder = Path::new("/results/.part");
    if let Ok(resolved) = Labelling::resolve(&job, folder) {
        assert!(resolved.live.is_none());
        assert!(resolved.outputs.all().all(|path| path.parent() == Some(folder)));
    }
}
