//! A camera that is being labelled, on a thread of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::cluster::cameras::camera::CameraSettings;
use crate::cluster::worker_state::WorkerState;
use crate::config::inputs::Job;
use crate::error::{Error, Result};
use crate::events::EventReceiver;
use crate::events::event_bus::EventBus;
use crate::pipeline::single_camera::SingleCamera;
use crate::pipeline::standby::Standby;
use crate::pipeline::stream;
use crate::shutdown::Shutdown;
use crate::telemetry::StreamState;

/// How often it is looked whether the camera has sent a frame.
const POLL: Duration = Duration::from_millis(20);

/// A camera whose thread is not started.
pub struct Prepared {
    worker: Arc<WorkerState>,
    job: Job,
    pub state: Arc<StreamState>,
    event_bus: EventBus,
    events: EventReceiver,
}

/// A camera on its thread. It is connected, and labelled from its release on.
pub struct Watched {
    pub state: Arc<StreamState>,
    standby: Arc<Standby>,
    ended: oneshot::Receiver<Option<Error>>,
}

impl Prepared {
    /// Prepares a camera.
    ///
    /// # Errors
    /// Those of its settings.
    pub fn new(worker: &Arc<WorkerState>, camera: &CameraSettings) -> Result<Self> {
        let labelling = &worker.labelling;
        let job = camera.resolve(&labelling.output, &worker.credentials)?;
        let state = stream::state(&job, &labelling.model, true, &labelling.clock);
        let (event_bus, events) = EventBus::to_one(&job.name, &labelling.clock);
        Ok(Self { worker: Arc::clone(worker), job, state, event_bus, events })
    }

    /// Connects it. It ends at the request of `stop`.
    ///
    /// # Errors
    /// `Unavailable` if no thread can be started.
    pub fn start(self, stop: &Shutdown) -> Result<(Watched, EventReceiver)> {
        let Self { worker, job, state, event_bus, events } = self;
        let standby = Arc::<Standby>::default();
        let (sender, ended) = oneshot::channel();
        let stop = stop.clone();
        let (stream, waiting) = (Arc::clone(&state), Arc::clone(&standby));
        let work = move || {
            let labelling = &worker.labelling;
            let camera = SingleCamera {
                job: &job,
                model: &labelling.model,
                engine: &labelling.engine,
                state: &stream,
                event_bus: &event_bus,
                standby: &waiting,
                clock: &labelling.clock,
                shutdown: &stop,
            };
            let error = camera.label().err();
            // Its receiver ends with it.
            drop(event_bus);
            let _ = sender.send(error);
        };
        std::thread::Builder::new()
            .name("camera".into())
            .spawn(work)
            .map_err(|cause| Error::unavailable("a thread for a camera cannot be started").because(cause))?;
        Ok((Watched { state, standby, ended }, events))
    }
}

impl Watched {
    /// Waits until the camera has sent a frame.
    pub fn connected(&self) -> impl Future<Output = ()> + use<> {
        let standby = Arc::clone(&self.standby);
        async move {
            while !standby.is_connected() {
                sleep(POLL).await;
            }
        }
    }

    /// Lets the camera be labelled.
    pub fn release(&self) {
        self.standby.release();
    }

    /// Waits until its files are complete. Returns why it could not go on. Call it once.
    pub async fn ended(&mut self) -> Option<Error> {
        (&mut self.ended).await.unwrap_or_else(|_| Some(Error::internal("a thread panicked")))
    }
}
