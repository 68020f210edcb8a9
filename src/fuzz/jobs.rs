//! Messages of a cluster.

use std::path::Path;

use crate::cluster::cameras::camera::{self, CameraSettings};
use crate::cluster::cameras::state::CameraState;
use crate::cluster::clip::Labelling;
use crate::cluster::command::Command;
use crate::cluster::job::ClipJob;
use crate::cluster::names;
use crate::cluster::presence::WorkerStatus;
use crate::cluster::record::{Attempts, JobRecord};
use crate::config::camera_credentials::CameraCredentials;
use crate::system::clock::SystemClock;
use crate::system::utc;
use crate::telemetry::{LabelSettings, Snapshot, StreamInfo, StreamState};

/// Jobs, records, cameras, commands, and what workers say of themselves. A job writes into its folder only, and so does a camera.
pub fn jobs(bytes: &[u8]) {
    cameras(bytes);
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
    if let Ok(resolved) = Labelling::resolve(&job, Path::new("/clips/a.mp4"), folder) {
        assert!(resolved.live.is_none());
        assert!(resolved.outputs.all().all(|path| path.parent() == Some(folder)));
    }
}

fn cameras(bytes: &[u8]) {
    let _ = serde_json::from_slice::<CameraState>(bytes);
    if let Ok(snapshot) = serde_json::from_slice::<Snapshot>(bytes) {
        let labels = snapshot.labels.clone();
        let info = StreamInfo { name: "door".into(), input: snapshot.input.clone(), live: true, labels };
        let stream = StreamState::new(info, LabelSettings::default(), true, &SystemClock::shared());
        snapshot.apply(&stream, utc::now());
        let again = Snapshot::of(&stream, 0);
        assert!(serde_json::from_slice::<Snapshot>(&serde_json::to_vec(&again).unwrap_or_default()).is_ok());
    }
    let Ok(camera) = CameraSettings::read(bytes) else { return };
    let sent = serde_json::to_vec(&camera).unwrap_or_default();
    let again = CameraSettings::read(&sent).unwrap_or_else(|why| unreachable!("{camera:?} is not read again: {why:?}"));
    assert_eq!(again, camera);
    let output = Path::new("/results");
    let job = camera.resolve(output, &CameraCredentials::default()).expect("it was checked");
    let live = job.live.expect("a camera");
    assert_eq!(live.recording.folder, camera::folder(output, &camera.camera));
    assert!(live.recording.file.is_none() && !live.camera.has_credentials());
}
