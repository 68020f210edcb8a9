//! Whether a worker has processes of its own for cameras that may crash the program, or is one.

use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::cluster::cameras::camera::CameraName;

/// After so many workers that ended while they had it, one after the other, a camera is watched in a process of its own.
pub const MAX_LOST: u32 = 2;
/// How long it is watched so, and how long workers that ended count.
pub const SUSPECTED: Duration = Duration::from_secs(3600);

/// Whether a worker has processes of its own for cameras, or is one.
#[derive(Clone, Debug, PartialEq)]
pub enum Isolation {
    /// It watches all cameras itself.
    None,
    /// It starts this program with these arguments for cameras that may crash it.
    Starts(Vec<OsString>),
    /// It is the process of this camera, and takes nothing else.
    Of(CameraName),
}

/// The process of a camera: its name as a worker, and the camera.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnProcess {
    pub worker: String,
    pub camera: CameraName,
}

impl FromStr for OwnProcess {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (worker, camera) = text.split_once('/').ok_or("write WORKER/CAMERA")?;
        Ok(Self { worker: worker.into(), camera: camera.parse()? })
    }
}

impl fmt::Display for OwnProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.worker, self.camera)
    }
}
