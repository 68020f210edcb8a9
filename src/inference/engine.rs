//! One network for all streams: collects what they have waiting into batches and answers each request.
//!
//! The engine is one thread. Requests wait in one bounded channel, so a stream that brings pictures faster than the
//! network runs is held up there. A batch starts when it is full, or when its most urgent request can wait no longer.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::error::{Error, Result};
use crate::inference::device::{Choice, Device};
use crate::inference::model::Model;
use crate::inference::session::Session;

/// How long a picture of a file may wait for others to fill its batch.
const FILE_PATIENCE: Duration = Duration::from_millis(100);

/// The probabilities of one picture, one a label.
pub type Probabilities = Vec<f32>;

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

struct Request {
    tensor: Vec<f32>,
    start_by: Instant,
    reply: Sender<Result<Probabilities, Arc<str>>>,
}

/// Owns the thread that runs the network. Ends when it and every [`Client`] are dropped.
pub struct Engine {
    requests: Option<Sender<Request>>,
    spare: Receiver<Vec<f32>>,
    thread: Option<JoinHandle<()>>,
    device: Device,
    batch: usize,
    tensor_len: usize,
}

impl Engine {
    /// Loads the network and starts the thread.
    ///
    /// # Errors
    /// Those of [`Session::load`].
    pub fn start(model: &Model, choice: Choice, batch: usize) -> Result<Self> {
        let session = Session::load(model, choice, batch)?;
        let device = session.device();
        // Two batches: one is filled while the other runs.
        let (requests, incoming) = bounded(2 * batch);
        let (used, spare) = bounded(4 * batch);
        let tensor_len = model.input.len();
        let mut worker = Worker {
            session,
            incoming,
            used,
            batch,
            classes: model.labels.len(),
            tensors: Vec::with_capacity(batch * tensor_len),
            measures: Measures::new(),
        };
        let thread = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || worker.serve())
            .map_err(|cause| Error::unavailable("the engine's thread cannot be started").because(cause))?;
        Ok(Self { requests: Some(requests), spare, thread: Some(thread), device, batch, tensor_len })
    }

    pub fn device(&self) -> Device {
        self.device
    }

    /// Most pictures that are run at once.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// A handle for one stream.
    pub fn client(&self) -> Result<Client> {
        let requests = self.requests.clone().ok_or_else(|| Error::internal("the inference engine has ended"))?;
        Ok(Client { requests, spare: self.spare.clone(), tensor_len: self.tensor_len })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
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

    /// Hands a tensor in; waits while the engine has two batches waiting. One that is `urgent` is run with what is
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

/// What the engine's thread owns.
struct Worker {
    session: Session,
    incoming: Receiver<Request>,
    used: Sender<Vec<f32>>,
    batch: usize,
    classes: usize,
    tensors: Vec<f32>,
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

    fn ran(&self, took: Duration, pictures: usize, waiting: usize) {
        self.seconds.record(took.as_secs_f64());
        self.batch.record(pictures as f64);
        self.waiting.set(waiting as f64);
    }
}

impl Worker {
    fn serve(&mut self) {
        let mut requests = Vec::with_capacity(self.batch);
        while let Ok(first) = self.incoming.recv() {
            requests.push(first);
            self.fill(&mut requests);
            self.answer(&mut requests);
        }
    }

    /// Adds requests until the batch is full, one of them may wait no longer, or no stream is left to bring more.
    fn fill(&self, requests: &mut Vec<Request>) {
        let mut start_by = requests[0].start_by;
        while requests.len() < self.batch {
            match self.incoming.recv_deadline(start_by) {
                Ok(request) => {
                    start_by = start_by.min(request.start_by);
                    requests.push(request);
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn answer(&mut self, requests: &mut Vec<Request>) {
        self.tensors.clear();
        for request in requests.iter_mut() {
            self.tensors.extend_from_slice(&request.tensor);
            // Where the pool is full the tensor is simply freed.
            let _ = self.used.try_send(std::mem::take(&mut request.tensor));
        }
        let began = Instant::now();
        let result = self.session.run(&self.tensors, requests.len());
        self.measures.ran(began.elapsed(), requests.len(), self.incoming.len());
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
