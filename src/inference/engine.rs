//! The engine that all streams share: collects their requests into batches and returns each result.
//!
//! Requests wait in two bounded channels, one for cameras and one for clips. A stream that is faster than the model
//! blocks there. Cameras go first. A batch starts when it is full, or when the deadline of its most urgent request is
//! reached. On a CPU there are several workers, each with its share of the cores and its own batch; on a GPU there are
//! two, of which one copies while the other runs.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use ndarray::{Array3, ArrayView3};

use crate::error::{Error, Result};
use crate::inference::device::{Device, DeviceSelection, threads};
use crate::inference::model::Model;
use crate::inference::queues::{Probabilities, Queues, Request};
use crate::inference::session::{Session, SessionOptions};
use crate::inference::watchdog::{Stopping, Watchdog};

/// Largest number of workers. Each holds a batch of frames, and with ONNX Runtime its own copy of the weights.
const MAX_WORKERS: usize = 4;
/// Cores that work together on a camera's frame if there are few cameras.
const CORES_PER_FRAME: usize = 4;
/// Cameras for each worker. With more cameras, more workers with fewer cores each have a higher throughput.
const STREAMS_PER_WORKER: usize = 4;
/// How long a clip's frame may wait for others to fill its batch.
const CLIP_BATCH_DELAY: Duration = Duration::from_millis(100);

/// The pending result of one request.
pub struct Reply(Receiver<Result<Probabilities, Arc<str>>>);

impl Reply {
    /// Waits for the result.
    ///
    /// # Errors
    /// Failed if the model could not be run.
    pub fn wait(self) -> Result<Probabilities> {
        match self.0.recv() {
            Ok(Ok(probabilities)) => Ok(probabilities),
            Ok(Err(message)) => Err(Error::failed(message.as_ref())),
            Err(_) => Err(Error::internal("the inference engine has ended")),
        }
    }
}

/// Owns the threads that run the model. Dropping it ends them once they have served what waits; what a [`Client`] asks
/// for afterwards is an error.
pub struct Engine {
    live_requests: Sender<Request>,
    clip_requests: Sender<Request>,
    /// Dropped to stop the threads.
    open: Option<Sender<Infallible>>,
    spare: Receiver<Array3<f32>>,
    threads: Vec<JoinHandle<()>>,
    device: Device,
    effective_precision: String,
    batch: usize,
    live: usize,
    shape: [usize; 3],
}

impl Engine {
    /// Loads the model and starts the threads. Once `stopping` returns true, runs that do not end are interrupted.
    ///
    /// # Errors
    /// Those of [`Session::load`].
    pub fn start(model: &Model, options: SessionOptions, stopping: Stopping) -> Result<Self> {
        Self::serve(load(model, options, &Arc::new(Watchdog::start(stopping)?))?, model, options.live)
    }

    /// An engine for measurements, whose network takes a fixed time for each picture.
    #[cfg(test)]
    pub fn of_fixed_cost(model: &Model, cost: Duration) -> Result<Self> {
        Self::serve(vec![Session::of_fixed_cost(model, cost)?], model, 0)
    }

    fn serve(sessions: Vec<Session>, model: &Model, live: usize) -> Result<Self> {
        let first = &sessions[0];
        let (device, batch, effective_precision) =
            (first.device(), first.batch(), first.effective_precision().to_string());
        // One batch waits in each queue, besides those of the workers.
        let (live_requests, cameras) = bounded(batch);
        let (clip_requests, clips) = bounded(batch);
        let (open, closed) = bounded(0);
        let (used, spare) = bounded((sessions.len() + 1) * batch);
        let queues = Arc::new(Mutex::new(Queues { live: cameras, clips, closed, live_batches: 0 }));
        let mut engine = Self {
            live_requests,
            clip_requests,
            open: Some(open),
            spare,
            threads: Vec::new(),
            device,
            effective_precision,
            batch,
            live,
            shape: model.input.shape(),
        };
        for (number, session) in sessions.into_iter().enumerate() {
            let mut worker = Worker {
                session,
                queues: Arc::clone(&queues),
                used: used.clone(),
                batch,
                metrics: EngineMetrics::new(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("engine-{number}"))
                .spawn(move || worker.serve())
                .map_err(|cause| Error::unavailable("the engine's thread cannot be started").because(cause))?;
            engine.threads.push(thread);
        }
        Ok(engine)
    }

    pub fn device(&self) -> Device {
        self.device
    }

    /// Returns the precision that the model is computed in, as shown to the user.
    pub fn effective_precision(&self) -> &str {
        &self.effective_precision
    }

    /// Returns the largest batch size.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Returns how many batches run at the same time.
    pub fn workers(&self) -> usize {
        self.threads.len()
    }

    /// Returns how many cameras share the engine.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Returns a handle for one stream.
    pub fn client(&self, live: bool) -> Client {
        let requests = if live { &self.live_requests } else { &self.clip_requests };
        Client { requests: requests.clone(), spare: self.spare.clone(), shape: self.shape }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.open.take());
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Loads a session for each worker.
fn load(model: &Model, options: SessionOptions, watchdog: &Arc<Watchdog>) -> Result<Vec<Session>> {
    let most = workers(options.threads.unwrap_or_else(threads), options.live);
    let options = SessionOptions { streams: most, ..options };
    let first = Session::watched(model, options, watchdog)?;
    let others = match first.device() {
        // One batch occupies the whole GPU; the second session copies the next batch meanwhile.
        Device::Cuda(_) => {
            let again = SessionOptions { selection: DeviceSelection::Exactly(first.device()), ..options };
            match Session::watched(model, again, watchdog) {
                Ok(second) => vec![second],
                Err(error) => {
                    tracing::warn!(
                        "{}: a second session cannot be loaded, so copying and running do not overlap: {error}",
                        first.device()
                    );
                    Vec::new()
                }
            }
        }
        Device::OpenVino => {
            let siblings = (1..most).map(|_| first.sibling()).collect::<Result<Vec<Option<Session>>>>()?;
            siblings.into_iter().flatten().collect()
        }
        Device::Cpu => {
            // The devices that the first session skipped are not tried again.
            let again = SessionOptions { selection: DeviceSelection::Exactly(Device::Cpu), ..options };
            (1..most).map(|_| Session::watched(model, again, watchdog)).collect::<Result<Vec<Session>>>()?
        }
    };
    Ok(std::iter::once(first).chain(others).collect())
}

/// Returns the number of workers. One thread for each frame has the highest throughput: several threads wait for each
/// other after every layer, and longer while decoding and encoding use the cores. With few cameras, several threads for
/// each frame have the lowest latency.
fn workers(cores: usize, live: usize) -> usize {
    let most = match live {
        0 => cores,
        _ => cores.div_ceil(CORES_PER_FRAME).max(live / STREAMS_PER_WORKER).min(cores),
    };
    most.clamp(1, MAX_WORKERS)
}

/// One stream's handle of the engine.
pub struct Client {
    requests: Sender<Request>,
    spare: Receiver<Array3<f32>>,
    shape: [usize; 3],
}

impl Client {
    /// Returns a tensor to fill, a free one if possible. Its content is undefined.
    pub fn tensor(&self) -> Array3<f32> {
        self.spare.try_recv().unwrap_or_else(|_| Array3::zeros(self.shape))
    }

    /// Submits a tensor; blocks while the queue is full. An `urgent` request does not wait for others to fill its
    /// batch.
    ///
    /// # Errors
    /// Internal if the engine has ended.
    pub fn submit(&self, tensor: Array3<f32>, urgent: bool) -> Result<Reply> {
        let (reply, result) = bounded(1);
        let delay = if urgent { Duration::ZERO } else { CLIP_BATCH_DELAY };
        let request = Request { tensor, start_by: Instant::now() + delay, reply };
        self.requests.send(request).map_err(|_| Error::internal("the inference engine has ended"))?;
        Ok(Reply(result))
    }
}

/// The state of one of the engine's threads.
struct Worker {
    session: Session,
    /// The worker that holds the lock fills a batch while the others wait: two half batches cost as much as two full
    /// ones.
    queues: Arc<Mutex<Queues>>,
    used: Sender<Array3<f32>>,
    batch: usize,
    metrics: EngineMetrics,
}

/// The engine's metrics.
struct EngineMetrics {
    seconds: metrics::Histogram,
    batch: metrics::Histogram,
    waiting: metrics::Gauge,
}

impl EngineMetrics {
    fn new() -> Self {
        Self {
            seconds: metrics::histogram!("livelabel_inference_seconds"),
            batch: metrics::histogram!("livelabel_batch_size"),
            waiting: metrics::gauge!("livelabel_engine_queue_depth"),
        }
    }

    fn record(&self, elapsed: Duration, frames: usize) {
        self.seconds.record(elapsed.as_secs_f64());
        self.batch.record(frames as f64);
    }
}

impl Worker {
    fn serve(&mut self) {
        let mut requests = Vec::with_capacity(self.batch);
        while self.fill(&mut requests) {
            self.run_batch(&mut requests);
        }
    }

    /// Fills a batch. Returns false if the engine ends.
    fn fill(&self, requests: &mut Vec<Request>) -> bool {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.fill(requests, self.batch);
        self.metrics.waiting.set((queues.live.len() + queues.clips.len()) as f64);
        !requests.is_empty()
    }

    fn run_batch(&mut self, requests: &mut Vec<Request>) {
        let tensors: Vec<ArrayView3<f32>> = requests.iter().map(|request| request.tensor.view()).collect();
        let began = Instant::now();
        let result = self.session.run_each(&tensors);
        self.metrics.record(began.elapsed(), requests.len());
        for request in requests.iter_mut() {
            // If the pool is full, the tensor is freed.
            let _ = self.used.try_send(std::mem::take(&mut request.tensor));
        }
        // A stream that has ended no longer waits for its result, so a failed send is not an error.
        match result {
            Ok(rows) => {
                for (request, row) in requests.drain(..).zip(rows.outer_iter()) {
                    let _ = request.reply.send(Ok(row.to_vec()));
                }
            }
            Err(error) => {
                let message: Arc<str> = error.to_string().into();
                for request in requests.drain(..) {
                    let _ = request.reply.send(Err(Arc::clone(&message)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_cores_for_few_cameras_only() {
        let live = |cores| [1, 4, 8, 16, 64].map(|streams| workers(cores, streams));
        assert_eq!(live(1), [1, 1, 1, 1, 1]);
        assert_eq!(live(2), [1, 1, 2, 2, 2]);
        assert_eq!(live(4), [1, 1, 2, 4, 4]);
        assert_eq!(live(16), [4, 4, 4, 4, 4]);
        assert_eq!([1, 2, 4, 16].map(|cores| workers(cores, 0)), [1, 2, 4, 4]);
    }
}
