//! The cameras that a worker has, and what is to become of each.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_nats::Subject;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::cluster::cameras::camera::{CameraName, CameraSettings};
use crate::cluster::claim::Claim;
use crate::telemetry::status::StreamPhase;
use crate::telemetry::{StreamState, Telemetry};

/// Orders that may wait.
const ORDERS: usize = 8;
/// Numbers that JSON can have exactly everywhere.
const MAX_IDENTITY: u64 = 1 << 53;

/// What is to become of a camera.
#[derive(Debug)]
pub enum Order {
    /// Its settings changed.
    Change(Box<CameraSettings>),
    /// It was removed.
    Remove,
    /// Any worker may have it.
    GiveBack,
    /// Another worker is to have it.
    Move(String),
    /// Another worker has connected it, and waits for the answer there.
    Ready(Subject),
}

/// What a worker says of a camera that it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldCamera {
    pub camera: CameraName,
    pub input: String,
    pub state: StreamPhase,
    /// Why no frames arrive, if none do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Every n-th frame is analysed, and whether the user said so.
    pub stride: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fixed: bool,
    /// Delay of the labels at the 95th percentile of the last seconds.
    pub delay_ms: f64,
}

/// A camera that a worker has, or connects to take it over.
pub struct Held {
    pub camera: CameraName,
    /// Whether it is another worker's still.
    pub standby: bool,
    pub taken: Instant,
    pub orders: Sender<Order>,
    /// What shows how it is, and an identity that differs after it was connected anew.
    stream: Mutex<Option<(u64, Arc<StreamState>)>>,
    /// What differs each time that a worker takes the camera, and the claim to it.
    holding: Mutex<Option<(String, Arc<Claim>)>>,
    /// Whether the user set its stride.
    fixed: AtomicBool,
    /// Whether it has a process of its own.
    isolated: AtomicBool,
}

impl HeldCamera {
    /// Returns the stride that shows how the worker copes; 1 if the user set it.
    pub fn load(&self) -> u64 {
        if self.fixed { 1 } else { self.stride }
    }
}

impl Held {
    /// Returns a camera that the worker has from now on, and what receives its orders.
    pub fn new(camera: &CameraName, standby: bool) -> (Arc<Self>, Receiver<Order>) {
        let (orders, receiver) = channel(ORDERS);
        let (stream, holding, camera) = (Mutex::default(), Mutex::default(), camera.clone());
        let (fixed, isolated) = (AtomicBool::default(), AtomicBool::default());
        let held = Self { camera, standby, taken: Instant::now(), orders, stream, holding, fixed, isolated };
        (Arc::new(held), receiver)
    }

    /// Returns what shows how it is, and its identity.
    pub fn identified(&self) -> Option<(u64, Arc<StreamState>)> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn is_isolated(&self) -> bool {
        self.isolated.load(Ordering::Relaxed)
    }

    pub fn set_isolated(&self, isolated: bool) {
        self.isolated.store(isolated, Ordering::Relaxed);
    }

    pub fn stream(&self) -> Option<Arc<StreamState>> {
        self.identified().map(|(_, stream)| stream)
    }

    pub fn set_fixed(&self, fixed: bool) {
        self.fixed.store(fixed, Ordering::Relaxed);
    }

    pub fn set_holding(&self, holding: &str, claim: &Arc<Claim>) {
        *self.holding.lock().unwrap_or_else(PoisonError::into_inner) = Some((holding.into(), Arc::clone(claim)));
    }

    /// Returns whether the worker has the camera since this holding.
    pub fn is_since(&self, holding: &str) -> bool {
        let held = self.holding.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().is_some_and(|(since, claim)| since == holding && claim.holds())
    }

    fn describe(&self) -> Option<HeldCamera> {
        let stream = self.stream()?;
        let status = stream.status();
        Some(HeldCamera {
            camera: self.camera.clone(),
            input: stream.info.input.clone(),
            state: status.state,
            reason: status.reason.filter(|_| status.state != StreamPhase::Running),
            label: status.label,
            stride: status.stride,
            fixed: self.fixed.load(Ordering::Relaxed),
            delay_ms: status.latency.p95,
        })
    }
}

/// The cameras of a worker.
pub struct HeldCameras {
    all: Mutex<Vec<Arc<Held>>>,
    /// What the worker's page shows, if it has one.
    page: Option<Arc<Telemetry>>,
}

impl HeldCameras {
    pub fn new(page: Option<Arc<Telemetry>>) -> Self {
        Self { all: Mutex::default(), page }
    }

    /// Returns whether a page shows them.
    pub fn is_shown(&self) -> bool {
        self.page.is_some()
    }

    /// Adds a camera, unless there is one of this name.
    pub fn add(&self, held: &Arc<Held>) -> bool {
        let mut all = self.lock();
        if all.iter().any(|other| other.camera == held.camera) {
            return false;
        }
        all.push(Arc::clone(held));
        true
    }

    /// Replaces what was connected to be taken over by what the worker has.
    pub fn replace(&self, held: &Arc<Held>) {
        let mut all = self.lock();
        all.retain(|other| other.camera != held.camera);
        all.push(Arc::clone(held));
    }

    pub fn remove(&self, held: &Arc<Held>) {
        self.lock().retain(|other| !Arc::ptr_eq(other, held));
        self.show();
    }

    /// Says what shows how a camera is.
    pub fn set_stream(&self, held: &Held, stream: &Arc<StreamState>) {
        *held.stream.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((fastrand::u64(..MAX_IDENTITY), Arc::clone(stream)));
        self.show();
    }

    pub fn all(&self) -> Vec<Arc<Held>> {
        self.lock().clone()
    }

    /// Returns how many there are, with those that are connected to be taken over.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    pub fn find(&self, camera: &CameraName) -> Option<Arc<Held>> {
        self.lock().iter().find(|held| held.camera == *camera && !held.standby).cloned()
    }

    /// Tells the camera of this name what is to become of it, if the worker has it.
    pub fn order(&self, camera: &CameraName, order: Order) {
        if let Some(held) = self.find(camera)
            && held.orders.try_send(order).is_err()
        {
            tracing::warn!("{camera}: does not respond");
        }
    }

    /// Returns what the worker says of its cameras.
    pub fn describe(&self) -> Vec<HeldCamera> {
        self.lock().iter().filter(|held| !held.standby).filter_map(|held| held.describe()).collect()
    }

    /// Shows the streams on the page.
    fn show(&self) {
        let Some(page) = &self.page else { return };
        let mut streams: Vec<_> =
            self.lock().iter().filter(|held| !held.standby).filter_map(|held| held.stream()).collect();
        streams.sort_by(|a, b| a.info.name.cmp(&b.info.name));
        page.replace(streams);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Held>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
