//! How a camera goes from one worker to another: the new one connects it, says so, and gets the claim when the old one has closed its files.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cluster::cameras::camera::{CameraName, CameraSettings};
use crate::cluster::cameras::isolation::Lost;
use crate::cluster::connection::{Connection, ask};

/// How long a worker may take to answer an offer.
const ANSWER: Duration = Duration::from_secs(3);
/// How long the worker that had a camera before may take to say that it still has it.
const HELD: Duration = Duration::from_secs(1);
/// How long the old worker may take to close its files.
const HAND_OVER: Duration = Duration::from_secs(12);

/// The old worker offers a camera.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Offer {
    pub camera: CameraSettings,
    pub from: String,
    /// Where the server hears of the claim.
    pub reply: String,
    /// Whether to take the camera only if it can be reached.
    pub reached: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
}

/// Whether the new worker has room for it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Answer {
    pub accepted: bool,
}

/// The new worker has connected the camera.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ready {
    pub camera: CameraName,
}

/// Asks a worker whether it still has a camera since this holding.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Holder {
    pub camera: CameraName,
    pub holding: String,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Holds {
    pub holds: bool,
}

/// Whether the camera is the new worker's from now on.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Handed {
    pub yours: bool,
    /// How long ago the server last heard of the claim.
    #[serde(default)]
    pub age_ms: u64,
}

/// Offers a camera. Returns whether the other worker takes it.
pub async fn offer(connection: &Connection, subject: String, offer: &Offer) -> bool {
    ask::<Answer>(connection, subject, offer, ANSWER).await.is_some_and(|answer| answer.accepted)
}

/// Says that a camera is connected. Returns how old the claim was when it was handed over; `None` if it was not.
pub async fn ready(connection: &Connection, subject: String, camera: &CameraName) -> Option<Duration> {
    let ready = Ready { camera: camera.clone() };
    let handed: Handed = ask(connection, subject, &ready, HAND_OVER).await?;
    handed.yours.then(|| Duration::from_millis(handed.age_ms))
}

/// Asks a worker whether it has a camera. Returns nothing if it is not there, or has no connection.
pub async fn holds(connection: &Connection, subject: String, holder: &Holder) -> Option<bool> {
    ask::<Holds>(connection, subject, holder, HELD).await.map(|held| held.holds)
}
