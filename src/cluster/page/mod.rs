//! One page for all cameras of a cluster: a process without cameras shows what the workers have. It asks them; what nobody looks at is not
//! sent.

pub mod answers;
pub mod mirror;

use serde::{Deserialize, Serialize};

use crate::cluster::cameras::camera::CameraName;
use crate::telemetry::Snapshot;

/// Asks a worker how a camera is.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Look {
    camera: CameraName,
    /// What was seen last: the identity of the stream, and its revision.
    #[serde(default)]
    seen: Option<(u64, u64)>,
}

/// How it is.
#[derive(Debug, Serialize, Deserialize)]
struct View {
    /// Differs after the camera was connected anew.
    identity: u64,
    stream: Snapshot,
}

/// Asks a worker for a camera's next picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LookAtPicture {
    camera: CameraName,
    /// Time of the last one, in milliseconds of the stream.
    #[serde(default)]
    after_ms: Option<f64>,
}

/// Header of a picture with its time, in milliseconds of the stream.
const TIME: &str = "Livelabel-Ms";
