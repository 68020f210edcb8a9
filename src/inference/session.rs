//! A model loaded on one device: a batch of tensors in, a row of probabilities for each out.

use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayView3, ArrayView4};

use crate::error::{Error, Result};
use crate::inference::backend::{Backend, check_probabilities, unusable};
use crate::inference::batches::{Arrival, BatchPlan, SubBatch};
use crate::inference::device::{Device, DeviceSelection, threads};
use crate::inference::inference_precision::InferencePrecision;
use crate::inference::model::Model;
use crate::inference::onnxruntime::OrtBackend;
use crate::inference::openvino::OpenVinoOptions;
use crate::inference::output::Output;
use crate::inference::probe::candidates;
use crate::inference::watchdog::Watchdog;

/// With more threads a batch keeps more of them busy than a single frame does.
const MAX_THREADS_WITHOUT_BATCHES: usize = 4;

/// The options of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SessionOptions {
    pub selection: DeviceSelection,
    /// The largest batch size; `None` uses the device's default.
    pub batch: Option<usize>,
    pub arrival: Arrival,
    /// Number of cameras among the streams.
    pub live: usize,
    pub precision: InferencePrecision,
    /// Threads for inference; `None` uses every core.
    pub threads: Option<usize>,
    /// Batches that run at the same time, each with its share of the threads; 0 means 1.
    pub streams: usize,
}

impl SessionOptions {
    /// Options for batches of up to `batch` frames.
    pub fn of(selection: DeviceSelection, batch: usize) -> Self {
        Self { selection, batch: Some(batch), ..Self::default() }
    }

    /// Returns the largest batch size on `device`.
    ///
    /// A few threads run single frames as fast as a batch, so where only such arrive no second network is loaded for
    /// batches: it would take 60 MiB and half a second (measured with two threads).
    fn batch_on(&self, device: Device) -> usize {
        let few_threads = self.threads.unwrap_or_else(threads) <= MAX_THREADS_WITHOUT_BATCHES;
        let without_batches = self.arrival == Arrival::Singles && device == Device::OpenVino && few_threads;
        self.batch.unwrap_or(if without_batches { 1 } else { device.batch() })
    }
}

/// A loaded model.
pub struct Session {
    /// One for each prepared batch size, or one for all sizes.
    backends: Vec<Box<dyn Backend>>,
    sizes: BatchPlan,
    device: Device,
    batch: usize,
    effective_precision: String,
    size: usize,
    output: Output,
    /// The model's name.
    model: String,
    /// Values that the model outputs for each frame.
    width: usize,
    watchdog: Arc<Watchdog>,
}

impl Session {
    /// Loads `model`.
    ///
    /// With [`DeviceSelection::Auto`] a device that fails to load the model is skipped with a warning.
    ///
    /// # Errors
    /// Unavailable if the library or the device is not available; input if ONNX Runtime rejects the model.
    pub fn load(model: &Model, options: SessionOptions) -> Result<Self> {
        Self::watched(model, options, &Arc::new(Watchdog::unstopped()?))
    }

    /// Like [`Session::load`], with runs that `watchdog` can interrupt.
    ///
    /// # Errors
    /// Those of [`Session::load`].
    pub fn watched(model: &Model, options: SessionOptions, watchdog: &Arc<Watchdog>) -> Result<Self> {
        let devices = match options.selection {
            DeviceSelection::Exactly(device) => vec![device],
            DeviceSelection::Auto => candidates(&model.precision),
        };
        let devices: Vec<Device> = match options.selection {
            DeviceSelection::Auto => devices.into_iter().filter(|device| can_be_stopped(model, *device)).collect(),
            DeviceSelection::Exactly(_) => devices,
        };
        let (last, others) = devices.split_last().ok_or_else(|| Error::internal("no device to try"))?;
        for &device in others {
            match Self::load_on(model, device, options, watchdog) {
                Ok(session) => return Ok(session),
                Err(error) if watchdog.stopping() => return Err(error),
                Err(error) => tracing::warn!("device {device} cannot be used, trying the next one: {error}"),
            }
        }
        Self::load_on(model, *last, options, watchdog)
    }

    fn load_on(model: &Model, device: Device, options: SessionOptions, watchdog: &Arc<Watchdog>) -> Result<Self> {
        if !can_be_stopped(model, device) {
            return Err(unusable(device, model, "it holds a loop, which cannot be interrupted there"));
        }
        let batch = model.batch.unwrap_or(options.batch_on(device));
        let sizes = match (model.batch, device) {
            (Some(fixed), _) => BatchPlan::fixed(fixed),
            (None, Device::Cpu) => BatchPlan::any(),
            (None, Device::OpenVino) => BatchPlan::of_cpu(batch, options.arrival),
            (None, Device::Cuda(_)) => BatchPlan::of_gpu(batch),
        };
        let (threads, streams) = (options.threads.unwrap_or_else(threads), options.streams.max(1));
        let backends: Vec<Box<dyn Backend>> = match device {
            Device::OpenVino => {
                let plan = OpenVinoOptions { precision: options.precision, threads, streams };
                let load = |&size: &usize| Ok(Box::new(plan.load(model, size)?) as _);
                sizes.ready().iter().map(load).collect::<Result<_>>()?
            }
            Device::Cpu | Device::Cuda(_) => {
                vec![Box::new(OrtBackend::load(model, device, threads.div_ceil(streams), batch)?)]
            }
        };
        let mut session = Self {
            backends,
            sizes,
            device,
            batch,
            effective_precision: options.precision.effective_precision(&model.precision, device),
            size: model.input.size,
            output: model.output,
            width: model.width,
            model: model.name.clone(),
            watchdog: Arc::clone(watchdog),
        };
        session.warm_up().map_err(|error| match device {
            Device::Cpu => error,
            _ => unusable(device, model, error),
        })?;
        Ok(session)
    }

    /// A session for measurements, whose network takes a fixed time for each picture.
    #[cfg(test)]
    pub fn of_fixed_cost(model: &Model, cost: std::time::Duration) -> Result<Self> {
        Ok(Self {
            backends: vec![Box::new(crate::inference::fixed_cost::FixedCost { cost, width: model.width })],
            sizes: BatchPlan::any(),
            device: Device::Cpu,
            batch: 1,
            effective_precision: "none".into(),
            size: model.input.size,
            output: model.output,
            width: model.width,
            model: model.name.clone(),
            watchdog: Arc::new(Watchdog::unstopped()?),
        })
    }

    /// Returns a session for another thread that shares the loaded model; `None` if the device does not support that.
    ///
    /// # Errors
    /// Unavailable if there is no memory for it.
    pub fn sibling(&self) -> Result<Option<Self>> {
        let mut backends = Vec::with_capacity(self.backends.len());
        for backend in &self.backends {
            let Some(sibling) = backend.sibling()? else { return Ok(None) };
            backends.push(sibling);
        }
        Ok(Some(Self {
            backends,
            sizes: self.sizes.clone(),
            effective_precision: self.effective_precision.clone(),
            model: self.model.clone(),
            watchdog: Arc::clone(&self.watchdog),
            ..*self
        }))
    }

    pub fn device(&self) -> Device {
        self.device
    }

    /// Returns the largest batch size.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Returns the precision that the model is computed in, as shown to the user: "int8 and bf16", for example.
    pub fn effective_precision(&self) -> &str {
        &self.effective_precision
    }

    /// Runs a batch `[n, 3, size, size]`; returns the model's output `[n, width]`.
    ///
    /// # Errors
    /// Failed, with the library's reason.
    pub fn run(&mut self, batch: ArrayView4<f32>) -> Result<Array2<f32>> {
        let tensors: Vec<ArrayView3<f32>> = batch.outer_iter().collect();
        self.run_each(&tensors)
    }

    /// Like [`Session::run`], for separate tensors.
    ///
    /// # Errors
    /// Failed, with the library's reason.
    pub fn run_each(&mut self, tensors: &[ArrayView3<f32>]) -> Result<Array2<f32>> {
        let mut rows = Vec::with_capacity(tensors.len() * self.width);
        let mut rest = tensors;
        for sub_batch in self.sizes.sub_batches(tensors.len()) {
            let (now, later) = rest.split_at(sub_batch.count);
            self.run_sub_batch(self.output, now, sub_batch, &mut rows)?;
            rest = later;
        }
        self.rows(tensors.len(), rows)
    }

    /// Repeats the last run of `count` frames, whose batch is still in the device's memory.
    ///
    /// # Errors
    /// Failed, with the library's reason.
    pub fn run_again(&mut self, count: usize) -> Result<Array2<f32>> {
        let mut rows = Vec::with_capacity(count * self.width);
        if let Some(sub_batch) = self.sizes.sub_batches(count).last() {
            let (output, watchdog) = (self.output, Arc::clone(&self.watchdog));
            self.backend(sub_batch.size)?.run(sub_batch.count, output, &mut rows, &watchdog)?;
        }
        self.rows(count, rows)
    }

    /// Returns the values before the softmax for one frame; empty if the model does not output them.
    ///
    /// # Errors
    /// Failed, with the library's reason.
    pub fn logits(&mut self, tensor: ArrayView3<f32>) -> Result<Vec<f32>> {
        let mut logits = Vec::new();
        if self.backends[0].has(Output::Logits) {
            let sub_batch = self.sizes.sub_batches(1)[0];
            self.run_sub_batch(Output::Logits, &[tensor], sub_batch, &mut logits)?;
        }
        Ok(logits)
    }

    /// Gives the model's output its shape.
    fn rows(&self, count: usize, values: Vec<f32>) -> Result<Array2<f32>> {
        Array2::from_shape_vec((count, self.width), values)
            .map_err(|cause| Error::internal("the model's output has another shape").because(cause))
    }

    fn run_sub_batch(
        &mut self,
        output: Output,
        tensors: &[ArrayView3<f32>],
        sub_batch: SubBatch,
        rows: &mut Vec<f32>,
    ) -> Result<()> {
        let watchdog = Arc::clone(&self.watchdog);
        let backend = self.backend(sub_batch.size)?;
        backend.put(tensors, sub_batch.size)?;
        let before = rows.len();
        let ran = backend.run(tensors.len(), output, rows, &watchdog);
        let checked = ran.and_then(|()| match output {
            Output::Probabilities => check_probabilities(&rows[before..]),
            Output::Logits | Output::Features => Ok(()),
        });
        checked.map_err(|error| error.about(&format!("model {}", self.model)))
    }

    fn backend(&mut self, size: usize) -> Result<&mut Box<dyn Backend>> {
        let fits = |backend: &&mut Box<dyn Backend>| backend.size().is_none_or(|own| own == size);
        self.backends.iter_mut().find(fits).ok_or_else(|| Error::internal("no backend for that batch size"))
    }

    /// Runs each size once, so that allocation and tuning do not delay the first frame of a stream.
    fn warm_up(&mut self) -> Result<()> {
        let zeros = Array3::zeros([3, self.size, self.size]);
        let sizes = if self.sizes.ready().is_empty() { vec![1] } else { self.sizes.ready().to_vec() };
        for size in sizes {
            let tensors = vec![zeros.view(); size];
            self.run_sub_batch(self.output, &tensors, SubBatch { count: size, size }, &mut Vec::new())?;
        }
        Ok(())
    }
}

/// Returns whether a run can be interrupted. OpenVINO checks for that between layers only, and a loop is one layer.
fn can_be_stopped(model: &Model, device: Device) -> bool {
    !(model.loops && device == Device::OpenVino)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_threads_need_no_batches_for_frames_that_arrive_one_by_one() {
        let batch = |threads, arrival, device| {
            SessionOptions { threads: Some(threads), arrival, ..SessionOptions::default() }.batch_on(device)
        };
        assert_eq!(batch(2, Arrival::Singles, Device::OpenVino), 1);
        assert_eq!(batch(2, Arrival::Both, Device::OpenVino), 4);
        assert_eq!(batch(16, Arrival::Singles, Device::OpenVino), 4);
        assert_eq!(batch(2, Arrival::Singles, Device::Cuda(0)), 64);
        let chosen = SessionOptions { batch: Some(3), arrival: Arrival::Singles, ..SessionOptions::default() };
        assert_eq!(chosen.batch_on(Device::OpenVino), 3);
    }
}
