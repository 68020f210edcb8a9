//! One network for all streams: collects what they have waiting into batches and answers each request.
//!
//! Requests wait in two bounded channels, cameras' and clips', so a stream that brings pictures faster than the network runs
//! is held up there. Cameras go first. A batch starts when it is full, or when its most urgent request can wait no longer. On a CPU there are several
//! workers, each with its share of the cores and a batch of its own; on a GPU two, of which one copies while the other runs.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::error::{Error, Result};
use crate::inference::device::{Device, DeviceSelection, threads};
use crate::inference::model::Model;
use crate::inference::queues::{Probabilities, Queues, Request};
use crate::inference::session::{Session, SessionOptions};
use crate::inference::watchdog::{Stopping, Watchdog};

/// Workers at most: each holds a batch of frames, and on plain CPUs its own copy of the network's weights.
const MOST_WORKERS: usize = 4;
/// Cores that share a picture of a live stream where few streams are watched.
const CORES_A_PICTURE: usize = 4;
/// Live streams for which a worker is better alone: more of them want more pictures than cores that share them can do.
const STREAMS_A_WORKER: usize = 4;
/// How long a picture of a file may wait for others to fill its batch.
const FILE_PATIENCE: Duration = Duration::from_millis(100);

/// Where the answer to one request will be.
pub struct Reply(Receiver<Result<Probabilities, Arc<str>>>);

impl Reply {
    /// Waits for the answer.
    ///
    /// # Errors
    /// Failed, where the network could not be run.
    pub fn wait(self) -> Result<Probabilities> {
        match self.0.recv() {
            Ok(Ok(probabilities)) => Ok(probabilities),
            Ok(Err(message)) => Err(Error::failed(message.as_ref())),
            Err(_) => Err(Error::internal("the inference engine has ended")),
        }
    }
}

/// Owns the threads that run the network. When it is dropped they end; a [`Client`] that outlives it is refused.
pub struct Engine {
    live_requests: Sender<Request>,
    clip_requests: Sender<Request>,
    /// Dropped to end the threads.
    open: Option<Sender<Infallible>>,
    spare: Receiver<Vec<f32>>,
    threads: Vec<JoinHandle<()>>,
    device: Device,
    arithmetic: String,
    batch: usize,
    live: usize,
    tensor_len: usize,
}

impl Engine {
    /// Loads the network and starts the threads. Once the user is `stopping`, runs that do not end are given up.
    ///
    /// # Errors
    /// Those of [`Session::load`].
    pub fn start(model: &Model, options: SessionOptions, stopping: Stopping) -> Result<Self> {
        let sessions = load(model, options, &Arc::new(Watchdog::start(stopping)?))?;
        let first = &sessions[0];
        let (device, batch, arithmetic) = (first.device(), first.batch(), first.arithmetic().to_string());
        // One batch that is being filled, while each worker has its own.
        let (live_requests, live) = bounded(batch);
        let (clip_requests, clips) = bounded(batch);
        let (open, closed) = bounded(0);
        let (used, spare) = bounded((sessions.len() + 1) * batch);
        let queues = Arc::new(Mutex::new(Queues { live, clips, closed, live_batches: 0 }));
        let mut engine = Self {
            live_requests,
            clip_requests,
            open: Some(open),
            spare,
            threads: Vec::new(),
            device,
            arithmetic,
            batch,
            live: options.live,
            tensor_len: model.input.len(),
        };
        for (number, session) in sessions.into_iter().enumerate() {
            let mut worker = Worker {
                session,
                queues: Arc::clone(&queues),
                used: used.clone(),
                batch,
                classes: model.labels.len(),
                measures: Measures::new(),
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

    /// What numbers the network is computed in, for people.
    pub fn arithmetic(&self) -> &str {
        &self.arithmetic
    }

    /// Most pictures that are run at once.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Batches that are run at the same time.
    pub fn workers(&self) -> usize {
        self.threads.len()
    }

    /// Live streams that share it.
    pub fn live(&self) -> usize {
        self.live
    }

    /// A handle for one stream.
    pub fn client(&self, live: bool) -> Client {
        let requests = if live { &self.live_requests } else { &self.clip_requests };
        Client { requests: requests.clone(), spare: self.spare.clone(), tensor_len: self.tensor_len }
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

/// A session for each worker.
fn load(model: &Model, options: SessionOptions, watchdog: &Arc<Watchdog>) -> Result<Vec<Session>> {
    let most = workers(options.threads.unwrap_or_else(threads), options.live);
    let options = SessionOptions { streams: most, ..options };
    let first = Session::watched(model, options, watchdog)?;
    let others = match first.device() {
        // One batch keeps all of a GPU busy, and the next is copied there meanwhile.
        Device::Cuda(_) => {
            let again = SessionOptions { choice: DeviceSelection::Exactly(first.device()), ..options };
            match Session::watched(model, again, watchdog) {
                Ok(second) => vec![second],
                Err(error) => {
                    tracing::warn!("batches are copied to {} and run one after the other: {error}", first.device());
                    Vec::new()
                }
            }
        }
        Device::OpenVino => {
            let siblings = (1..most).map(|_| first.sibling()).collect::<Result<Vec<Option<Session>>>>()?;
            siblings.into_iter().flatten().collect()
        }
        Device::Cpu => {
            // What the first fell back to is not tried again.
            let again = SessionOptions { choice: DeviceSelection::Exactly(Device::Cpu), ..options };
            (1..most).map(|_| Session::watched(model, again, watchdog)).collect::<Result<Vec<Session>>>()?
        }
    };
    Ok(std::iter::once(first).chain(others).collect())
}

/// A thread alone needs least for a picture: several that share one wait for each other after every layer, and for long where
/// decoding and encoding want the cores too. But the picture of one of a few live streams is answered sooner by several.
fn workers(cores: usize, live: usize) -> usize {
    let most = match live {
        0 => cores,
        _ => cores.div_ceil(CORES_A_PICTURE).max(live / STREAMS_A_WORKER).min(cores),
    };
    most.clamp(1, MOST_WORKERS)
}

/// One stream's way to the engine.
pub struct Client {
    requests: Sender<Request>,
    spare: Receiver<Vec<f32>>,
    tensor_len: usize,
}

impl Client {
    /// A tensor to fill, reused where one is free. Its numbers are left from earlier.
    pub fn tensor(&self) -> Vec<f32> {
        self.spare.try_recv().unwrap_or_else(|_| vec![0.0; self.tensor_len])
    }

    /// Hands a tensor in; waits while the engine has enough of them. One that is `urgent` is run with what is
    /// there instead of waiting for others.
    ///
    /// # Errors
    /// Internal, where the engine has ended.
    pub fn submit(&self, tensor: Vec<f32>, urgent: bool) -> Result<Reply> {
        let (reply, answer) = bounded(1);
        let request =
            Request { tensor, start_by: Instant::now() + if urgent { Duration::ZERO } else { FILE_PATIENCE }, reply };
        self.requests.send(request).map_err(|_| Error::internal("the inference engine has ended"))?;
        Ok(Reply(answer))
    }
}

/// What one of the engine's threads owns.
struct Worker {
    session: Session,
    /// Whoever holds them fills a batch, and the others wait: two half batches would cost as much as two whole ones.
    queues: Arc<Mutex<Queues>>,
    used: Sender<Vec<f32>>,
    batch: usize,
    classes: usize,
    measures: Measures,
}

/// What the metrics hear of each run; nothing where none are kept.
struct Measures {
    seconds: metrics::Histogram,
    batch: metrics::Histogram,
    waiting: metrics::Gauge,
}

impl Measures {
    fn new() -> Self {
        Self {
            seconds: metrics::histogram!("livelabel_inference_seconds"),
            batch: metrics::histogram!("livelabel_batch_size"),
            waiting: metrics::gauge!("livelabel_engine_queue_depth"),
        }
    }

    fn ran(&self, took: Duration, pictures: usize) {
        self.seconds.record(took.as_secs_f64());
        self.batch.record(pictures as f64);
    }
}

impl Worker {
    fn serve(&mut self) {
        let mut requests = Vec::with_capacity(self.batch);
        while self.fill(&mut requests) {
            self.answer(&mut requests);
        }
    }

    /// Takes requests. Returns whether there are any.
    fn fill(&self, requests: &mut Vec<Request>) -> bool {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.fill(requests, self.batch);
        self.measures.waiting.set((queues.live.len() + queues.clips.len()) as f64);
        !requests.is_empty()
    }

    fn answer(&mut self, requests: &mut Vec<Request>) {
        let tensors: Vec<&[f32]> = requests.iter().map(|request| request.tensor.as_slice()).collect();
        let began = Instant::now();
        let result = self.session.run_each(&tensors);
        self.measures.ran(began.elapsed(), requests.len());
        for request in requests.iter_mut() {
            // Where the pool is full the tensor is simply freed.
            let _ = self.used.try_send(std::mem::take(&mut request.tensor));
        }
        // A stream that has ended does not wait for its answer any more, so a failed send is no error.
        match result {
            Ok(rows) => {
                for (request, row) in requests.drain(..).zip(rows.chunks_exact(self.classes)) {
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
    fn few_live_streams_share_cores_and_many_do_not() {
        let live = |cores| [1, 4, 8, 16, 64].map(|streams| workers(cores, streams));
        assert_eq!(live(1), [1, 1, 1, 1, 1]);
        assert_eq!(live(2), [1, 1, 2, 2, 2]);
        assert_eq!(live(4), [1, 1, 2, 4, 4]);
        assert_eq!(live(16), [4, 4, 4, 4, 4]);
        assert_eq!([1, 2, 4, 16].map(|cores| workers(cores, 0)), [1, 2, 4, 4]);
    }
}
