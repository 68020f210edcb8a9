//! How a camera is: the last message of its subject says so to everybody. The servers refuse one of a worker that had the camera before.

use std::sync::LazyLock;

use async_nats::jetstream::context::PublishErrorKind;
use serde::{Deserialize, Serialize};

use crate::cluster::cameras::camera::{CameraName, VERSION};
use crate::cluster::cameras::isolation::Lost;
use crate::cluster::connection::Connection;
use crate::cluster::names::STATE;
use crate::cluster::record;
use crate::error::Result;
use crate::report::rounded;
use crate::system::utc;
use crate::telemetry::StreamState;
use crate::telemetry::status::StreamPhase;

/// What the holdings of this process begin with.
static PROCESS: LazyLock<String> = LazyLock::new(|| format!("{:08x}", fastrand::u32(..)));

/// How a camera is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CameraState {
    pub version: u32,
    pub camera: CameraName,
    pub worker: String,
    /// Differs each time that a worker takes the camera.
    pub holding: String,
    /// Whether the worker has given the camera back.
    pub released: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
    pub state: StreamPhase,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The label that is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    pub confidence: f64,
    pub frames_per_second: f64,
    /// Every n-th frame is analysed.
    pub stride: u64,
    /// Delay of the labels at the 95th percentile of the last seconds.
    pub delay_ms: f64,
    pub reconnects: u64,
    /// When the worker took the camera, and when it said this, by its clock.
    pub since: String,
    pub time: String,
    /// The interval that has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<OpenInterval>,
}

/// An interval that has not ended. If its worker does not come back, the next one ends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenInterval {
    pub label: String,
    pub start_ms: f64,
    /// The identifier that the event of its end will have.
    pub end_id: String,
}

impl CameraState {
    /// Returns how a camera is that `worker` has.
    pub fn of(camera: &CameraName, worker: &str, holding: &str, since: &str, stream: &StreamState) -> Self {
        let status = stream.status();
        Self {
            version: VERSION,
            camera: camera.clone(),
            worker: worker.into(),
            holding: holding.into(),
            released: false,
            lost: None,
            state: status.state,
            reason: status.reason.filter(|_| status.state != StreamPhase::Running),
            label: status.label,
            confidence: rounded(status.confidence),
            frames_per_second: (10.0 * status.rate).round() / 10.0,
            stride: status.stride,
            delay_ms: status.latency.p95,
            reconnects: status.reconnects,
            since: since.into(),
            time: utc::milliseconds(utc::now()),
            open: None,
        }
    }
}

/// Returns what differs each time that a worker takes a camera.
pub fn new_holding() -> String {
    format!("{}{:08x}", *PROCESS, fastrand::u32(..))
}

/// Returns whether this process took the camera.
pub fn is_of_this_process(holding: &str) -> bool {
    holding.starts_with(PROCESS.as_str())
}

/// Returns the last state of a camera, and its place in the stream; 0 if there is none.
///
/// # Errors
/// `Unavailable` if the server does not answer.
pub async fn read(connection: &Connection, camera: &CameraName) -> Result<(Option<CameraState>, u64)> {
    match record::leader_last(&connection.streams.states, &subject(camera)).await? {
        Some(message) => Ok((serde_json::from_slice(&message.payload).ok(), message.sequence)),
        None => Ok((None, 0)),
    }
}

/// Says how a camera is, if the last state is still that at `sequence`. Returns the place of the new one; `None` if another was said meanwhile.
///
/// # Errors
/// `Unavailable` if the server does not confirm it.
pub async fn write(connection: &Connection, state: &CameraState, sequence: u64) -> Result<Option<u64>> {
    let message = record::message(state)?.expected_last_subject_sequence(sequence);
    match record::send(&connection.jetstream, subject(&state.camera), message).await {
        Ok(sequence) => Ok(Some(sequence)),
        Err(cause) if cause.kind() == PublishErrorKind::WrongLastSequence => Ok(None),
        Err(cause) => Err(record::unanswered(&cause)),
    }
}

fn subject(camera: &CameraName) -> String {
    format!("{STATE}{camera}")
}
