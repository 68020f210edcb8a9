//! How a camera goes from one worker to another: the new one connects it, says so, and gets the claim when the old one has closed its files.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::cluster::cameras::camera::{CameraName, CameraSettings};
use crate::cluster::connection::Connection;

/// How long a worker may take to answer an offer.
const ANSWER: Duration = Duration::from_secs(3);
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

/// Whether the camera is the new worker's from now on.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Handed {
    pub yours: bool,
}

/// Offers a camera. Returns whether the other worker takes it.
pub async fn offer(connection: &Connection, subject: String, offer: &Offer) -> bool {
    ask::<Answer>(connection, subject, offer, ANSWER).await.is_some_and(|answer| answer.accepted)
}

/// Says that a camera is connected. Returns whether it was handed over.
pub async fn ready(connection: &Connection, subject: String, camera: &CameraName) -> bool {
    let ready = Ready { camera: camera.clone() };
    ask::<Handed>(connection, subject, &ready, HAND_OVER).await.is_some_and(|handed| handed.yours)
}

/// Answers a request. Whoever does not get it asks again or gives up.
pub async fn answer<T: Serialize>(connection: &Connection, reply: async_nats::Subject, answer: &T) {
    let bytes = serde_json::to_vec(answer).unwrap_or_default();
    let _ = connection.client.publish(reply, bytes.into()).await;
    let _ = connection.client.flush().await;
}

async fn ask<T: DeserializeOwned>(
    connection: &Connection,
    subject: String,
    question: &impl Serialize,
    limit: Duration,
) -> Option<T> {
    let request = async_nats::Request::new().payload(serde_json::to_vec(question).ok()?.into()).timeout(Some(limit));
    let answered = timeout(limit, connection.client.send_request(subject, request)).await.ok()?.ok()?;
    serde_json::from_slice(&answered.payload).ok()
}
