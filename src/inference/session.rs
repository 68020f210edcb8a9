//! One network on one device: a batch of tensors in, a row of probabilities for each out.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::inference::backend::{Backend, check_probabilities, unusable};
use crate::inference::batches::{BatchPlan, SubBatch};
use crate::inference::device::{Device, DeviceSelection, threads};
use crate::inference::model::Model;
use crate::inference::onnxruntime::OrtBackend;
use crate::inference::openvino::OpenVinoOptions;
use crate::inference::output::Output;
use crate::inference::probe::candidates;
use crate::inference::rounding::ComputePrecision;
use crate::inference::watchdog::Watchdog;

/// What a session shall be made for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SessionOptions {
    pub choice: DeviceSelection,
    /// The most pictures a call will bring; `None` leaves it to the device.
    pub batch: Option<usize>,
    /// Whether single pictures will come, and not only full batches.
    pub singles: bool,
    /// Live streams among those that will bring pictures.
    pub live: usize,
    pub rounding: ComputePrecision,
    /// Threads for the network; `None` takes every core.
    pub threads: Option<usize>,
    /// Batches that will be run at the same time, each by its share of the threads; 0 and 1 are one.
    pub streams: usize,
}

impl SessionOptions {
    /// Batches of up to `batch` pictures.
    pub fn of(choice: DeviceSelection, batch: usize) -> Self {
        Self { choice, batch: Some(batch), ..Self::default() }
    }
}

/// A loaded network.
pub struct Session {
    /// For each size that has to be made ready, or one for all.
    networks: Vec<Box<dyn Backend>>,
    sizes: BatchPlan,
    device: Device,
    batch: usize,
    arithmetic: String,
    size: usize,
    output: Output,
    /// The model's name.
    model: String,
    /// Numbers that the network gives for each picture.
    width: usize,
    watchdog: Arc<Watchdog>,
}

impl Session {
    /// Loads `model` as it is demanded.
    ///
    /// With [`DeviceSelection::Auto`] a device that fails to load is passed over with a warning that says why.
    ///
    /// # Errors
    /// Unavailable, where the library or the device is not there; input, where ONNX Runtime refuses the model.
    pub fn load(model: &Model, demand: SessionOptions) -> Result<Self> {
        Self::watched(model, demand, &Arc::new(Watchdog::unstopped()?))
    }

    /// The same, with runs that `watchdog` ends.
    ///
    /// # Errors
    /// Those of [`Session::load`].
    pub fn watched(model: &Model, demand: SessionOptions, watchdog: &Arc<Watchdog>) -> Result<Self> {
        let devices = match demand.choice {
            DeviceSelection::Exactly(device) => vec![device],
            DeviceSelection::Auto => candidates(&model.precision),
        };
        let devices: Vec<Device> = match demand.choice {
            DeviceSelection::Auto => devices.into_iter().filter(|device| can_be_stopped(model, *device)).collect(),
            DeviceSelection::Exactly(_) => devices,
        };
        let (last, others) = devices.split_last().ok_or_else(|| Error::internal("no device to try"))?;
        for &device in others {
            match Self::load_on(model, device, demand, watchdog) {
                Ok(session) => return Ok(session),
                Err(error) if watchdog.stopping() => return Err(error),
                Err(error) => tracing::warn!("{device} cannot be used, trying the next device: {error}"),
            }
        }
        Self::load_on(model, *last, demand, watchdog)
    }

    fn load_on(model: &Model, device: Device, demand: SessionOptions, watchdog: &Arc<Watchdog>) -> Result<Self> {
        if !can_be_stopped(model, device) {
            return Err(unusable(device, model, "it holds a loop, which cannot be stopped there"));
        }
        let batch = model.batch.unwrap_or(demand.batch.unwrap_or(device.batch()));
        let sizes = match (model.batch, device) {
            (Some(fixed), _) => BatchPlan::fixed(fixed),
            (None, Device::Cpu) => BatchPlan::any(),
            (None, Device::OpenVino) => BatchPlan::of_cpu(batch, demand.singles),
            (None, Device::Cuda(_)) => BatchPlan::of_gpu(batch),
        };
        let (threads, streams) = (demand.threads.unwrap_or_else(threads), demand.streams.max(1));
        let networks: Vec<Box<dyn Backend>> = match device {
            Device::OpenVino => {
                let plan = OpenVinoOptions { rounding: demand.rounding, threads, streams };
                let load = |&size: &usize| Ok(Box::new(plan.load(model, size)?) as _);
                sizes.ready().iter().map(load).collect::<Result<_>>()?
            }
            Device::Cpu | Device::Cuda(_) => {
                vec![Box::new(OrtBackend::load(model, device, threads.div_ceil(streams), batch)?)]
            }
        };
        let mut session = Self {
            networks,
            sizes,
            device,
            batch,
            arithmetic: demand.rounding.arithmetic(&model.precision, device),
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

    /// Another one for another thread, which runs the same networks at the same time; `None` where the device cannot.
    ///
    /// # Errors
    /// Unavailable, where there is no memory for it.
    pub fn sibling(&self) -> Result<Option<Self>> {
        let mut networks = Vec::with_capacity(self.networks.len());
        for network in &self.networks {
            let Some(sibling) = network.sibling()? else { return Ok(None) };
            networks.push(sibling);
        }
        Ok(Some(Self {
            networks,
            sizes: self.sizes.clone(),
            arithmetic: self.arithmetic.clone(),
            model: self.model.clone(),
            watchdog: Arc::clone(&self.watchdog),
            ..*self
        }))
    }

    pub fn device(&self) -> Device {
        self.device
    }

    /// The most pictures that a call may bring.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// What numbers the network is computed in, for people: "int8", "int8 and bf16".
    pub fn arithmetic(&self) -> &str {
        &self.arithmetic
    }

    /// Classifies `count` pictures whose tensors stand one after the other; returns the model's
    /// `width` numbers for each.
    ///
    /// # Errors
    /// Failed, with the library's reason.
    pub fn run(&mut self, tensors: &[f32], count: usize) -> Result<Vec<f32>> {
        let each = self.each();
        let tensors: Vec<&[f32]> = tensors.chunks_exact(each).take(count).collect();
        self.run_each(&tensors)
    }

    /// The same for tensors that stand apart.
    ///
    /// # Errors
    /// Failed, with the library's reason.
    pub fn run_each(&mut self, tensors: &[&[f32]]) -> Result<Vec<f32>> {
        let mut rows = Vec::with_capacity(tensors.len() * self.width);
        let mut rest = tensors;
        for piece in self.sizes.pieces(tensors.len()) {
            let (now, later) = rest.split_at(piece.count);
            self.run_piece(self.output, now, piece, &mut rows)?;
            rest = later;
        }
        Ok(rows)
    }

    /// Runs the batch of `count` pictures that was run last once more, from where the device has it.
    ///
    /// # Errors
    /// Failed, with the library's reason.
    pub fn run_again(&mut self, count: usize) -> Result<Vec<f32>> {
        let mut rows = Vec::with_capacity(count * self.width);
        if let Some(piece) = self.sizes.pieces(count).last() {
            let (output, watchdog) = (self.output, Arc::clone(&self.watchdog));
            self.network(piece.size)?.run(piece.count, output, &mut rows, &watchdog)?;
        }
        Ok(rows)
    }

    /// The numbers before the softmax for one picture; empty where the model does not give them.
    ///
    /// # Errors
    /// Failed, with the library's reason.
    pub fn logits(&mut self, tensor: &[f32]) -> Result<Vec<f32>> {
        let mut logits = Vec::new();
        if self.networks[0].gives(Output::Logits) {
            let piece = self.sizes.pieces(1)[0];
            self.run_piece(Output::Logits, &[tensor], piece, &mut logits)?;
        }
        Ok(logits)
    }

    /// Numbers in the tensor of one picture.
    fn each(&self) -> usize {
        3 * self.size * self.size
    }

    fn run_piece(&mut self, output: Output, tensors: &[&[f32]], piece: SubBatch, rows: &mut Vec<f32>) -> Result<()> {
        let watchdog = Arc::clone(&self.watchdog);
        let network = self.network(piece.size)?;
        network.put(tensors, piece.size)?;
        let before = rows.len();
        let ran = network.run(tensors.len(), output, rows, &watchdog);
        let checked = ran.and_then(|()| match output {
            Output::Probabilities => check_probabilities(&rows[before..]),
            Output::Logits | Output::Features => Ok(()),
        });
        checked.map_err(|error| error.about(&format!("model {}", self.model)))
    }

    fn network(&mut self, size: usize) -> Result<&mut Box<dyn Backend>> {
        let fits = |network: &&mut Box<dyn Backend>| network.size().is_none_or(|own| own == size);
        self.networks.iter_mut().find(fits).ok_or_else(|| Error::internal("no network of that size"))
    }

    /// Runs each size once, so that the first picture of a stream does not pay for what that allocates and tunes.
    fn warm_up(&mut self) -> Result<()> {
        let zeros = vec![0.0; self.each()];
        let sizes = if self.sizes.ready().is_empty() { vec![1] } else { self.sizes.ready().to_vec() };
        for size in sizes {
            let tensors = vec![zeros.as_slice(); size];
            self.run_piece(self.output, &tensors, SubBatch { count: size, size }, &mut Vec::new())?;
        }
        Ok(())
    }
}

/// OpenVINO looks for a wish to stop between the layers only, of which a loop is one.
fn can_be_stopped(model: &Model, device: Device) -> bool {
    !(model.loops && device == Device::OpenVino)
}
