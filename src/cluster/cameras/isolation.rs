//! Whether a worker has processes of their own for cameras that may crash the program, or is such a process.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::str::FromStr;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::time::sleep;

use crate::cluster::cameras::camera::CameraName;
use crate::system::utc;

/// After so many workers that ended while they had it, one after the other, a camera gets a process of its own.
pub const MAX_LOST: u32 = 2;
/// How long workers that ended count, and how long a camera has a process of its own.
pub const SUSPECTED: Duration = Duration::from_secs(3600);
/// How often a process looks whether it is wanted.
const POLL: Duration = Duration::from_millis(200);

/// Whether a worker has processes for cameras, or is one.
#[derive(Clone, Debug, PartialEq)]
pub enum Isolation {
    /// It watches all cameras itself.
    None,
    /// It starts this program with these arguments for cameras that may crash it.
    Starts(Vec<OsString>),
    /// It is the process of this camera, and takes nothing else.
    Of(CameraName),
}

impl Isolation {
    /// Returns whether this is the process of a camera.
    pub fn is_process(&self) -> bool {
        matches!(self, Self::Of(_))
    }
}

/// The process of a camera: its name as a worker, and the camera.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraProcess {
    pub worker: String,
    pub camera: CameraName,
}

impl FromStr for CameraProcess {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (worker, camera) = text.split_once('/').ok_or("write WORKER/CAMERA")?;
        Ok(Self { worker: worker.into(), camera: camera.parse()? })
    }
}

impl fmt::Display for CameraProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.worker, self.camera)
    }
}

/// Workers that ended while they had a camera, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    pub workers: u32,
    /// When the last one was found to have ended, by the clock of the worker that found it.
    pub time: String,
}

impl Lost {
    /// Returns how many count now.
    pub fn count(lost: Option<&Self>, now: OffsetDateTime) -> u32 {
        let recent = |lost: &&Self| utc::parse(&lost.time).is_some_and(|time| now - time < SUSPECTED);
        lost.filter(recent).map_or(0, |lost| lost.workers)
    }

    /// Returns them with one more.
    pub fn another(lost: Option<&Self>, now: OffsetDateTime) -> Self {
        Self { workers: Self::count(lost, now).saturating_add(1), time: utc::milliseconds(now) }
    }
}

/// Waits until the worker that started this process has ended, or wants no more of it: stdin is closed.
pub async fn unwanted() {
    loop {
        let stdin = io::stdin();
        let mut stdin = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
        if poll(&mut stdin, PollTimeout::ZERO) != Ok(0) {
            return;
        }
        sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_that_ended_count_for_an_hour_after_the_last_one() {
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        let (first, minutes) = (Lost::another(None, now), |minutes| now + time::Duration::minutes(minutes));
        let second = Lost::another(Some(&first), minutes(50));
        assert_eq!([0, 59, 60].map(|passed| Lost::count(Some(&first), minutes(passed))), [1, 1, 0]);
        assert_eq!([50, 109, 110].map(|passed| Lost::count(Some(&second), minutes(passed))), [2, 2, 0]);
        assert_eq!(Lost::another(Some(&second), minutes(200)).workers, 1);
        assert_eq!(Lost::count(Some(&Lost { workers: 9, time: "yesterday".into() }), now), 0);
    }

    #[test]
    fn a_process_is_named_with_its_camera() {
        let process: CameraProcess = "rack3-own-00ff/door".parse().unwrap();
        assert_eq!((process.worker.as_str(), process.camera.as_str()), ("rack3-own-00ff", "door"));
        assert_eq!(process.to_string(), "rack3-own-00ff/door");
        assert!("door".parse::<CameraProcess>().is_err());
    }
}
