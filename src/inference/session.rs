//! One network on one device: a batch of tensors in, a row of probabilities for each out.

use std::sync::Arc;

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session as OrtSession;
use ort::value::{Tensor, TensorRef};

use crate::error::{Error, Result};
use crate::inference::batches::{Piece, Sizes};
use crate::inference::device::{Choice, Device, candidates};
use crate::inference::model::Model;
use crate::inference::network::{Network, Output};
use crate::inference::provider::{Provider, Rounding};

/// What a session shall be made for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demand {
    pub choice: Choice,
    /// The most pictures a call will bring; `None` leaves it to the device.
    pub batch: Option<usize>,
    /// Whether single pictures will come, and not only full batches.
    pub singles: bool,
    pub rounding: Rounding,
    /// Threads for the network; `None` takes every core.
    pub threads: Option<usize>,
    /// Batches that will be run at the same time, each by its share of the threads; 0 and 1 are one.
    pub streams: usize,
}

impl Demand {
    /// Batches of up to `batch` pictures.
    pub fn of(choice: Choice, batch: usize) -> Self {
        Self { choice, batch: Some(batch), ..Self::default() }
    }
}

/// A loaded network.
pub struct Session {
    /// For each size that has to be made ready, or one for all.
    networks: Vec<Arc<Network>>,
    sizes: Sizes,
    memory: Memory,
    device: Device,
    batch: usize,
    arithmetic: String,
    size: usize,
    classes: usize,
}

/// Where the tensors of a batch are put for the network.
enum Memory {
    Plain(Vec<f32>),
    /// Memory that a GPU reads by itself, without a copy on the CPU's side.
    Pinned(Tensor<f32>),
}

impl Memory {
    fn new(session: &OrtSession, device: Device, len: usize) -> Result<Self> {
        let Device::Cuda(number) = device else { return Ok(Memory::Plain(vec![0.0; len])) };
        let pinned = || {
            let kind = AllocationDevice::CUDA_PINNED;
            let info = MemoryInfo::new(kind, number as i32, AllocatorType::Device, MemoryType::CPUInput)?;
            Tensor::new(&Allocator::new(session, info)?, [len])
        };
        let tensor = pinned().map_err(|cause: ort::Error| {
            Error::unavailable(format!("device {device} has no memory for pictures"))
                .because(cause.to_string())
                .remedy("take a smaller --batch, or --device cpu")
        })?;
        Ok(Memory::Pinned(tensor))
    }

    fn places(&mut self) -> ort::Result<&mut [f32]> {
        match self {
            Memory::Plain(places) => Ok(places),
            Memory::Pinned(tensor) => tensor.try_extract_tensor_mut::<f32>().map(|(_, places)| places),
        }
    }
}

impl Session {
    /// Loads `model` as it is demanded.
    ///
    /// With [`Choice::Auto`] a device that fails to load is passed over with a warning that says why.
    ///
    /// # Errors
    /// Unavailable, where the library or the device is not there; input, where ONNX Runtime refuses the model.
    pub fn load(model: &Model, demand: Demand) -> Result<Self> {
        let devices = match demand.choice {
            Choice::Exactly(device) => vec![device],
            Choice::Auto => candidates(&model.precision),
        };
        let (last, others) = devices.split_last().ok_or_else(|| Error::internal("no device to try"))?;
        for &device in others {
            match Self::load_on(model, device, demand) {
                Ok(session) => return Ok(session),
                Err(error) => tracing::warn!("{device} cannot be used, trying the next device: {error}"),
            }
        }
        Self::load_on(model, *last, demand)
    }

    fn load_on(model: &Model, device: Device, demand: Demand) -> Result<Self> {
        let batch = demand.batch.unwrap_or(device.batch());
        let sizes = match device {
            Device::Cpu => Sizes::any(),
            Device::OpenVino => Sizes::of_cpu(batch, demand.singles),
            Device::Cuda(_) => Sizes::of_gpu(batch),
        };
        let provider = Provider::new(model, device, demand);
        let compiled: Vec<Option<usize>> = match device {
            Device::OpenVino => sizes.ready().iter().copied().map(Some).collect(),
            Device::Cpu | Device::Cuda(_) => vec![None],
        };
        let load = |size| {
            let unnamed = || Error::input(format!("model {}: its input has no name", model.path.display()));
            Ok(Arc::new(Network::new(provider.load(size)?, &model.input.name, size).ok_or_else(unnamed)?))
        };
        let networks = compiled.into_iter().map(load).collect::<Result<Vec<Arc<Network>>>>()?;
        let memory = Memory::new(networks[0].session(), device, batch * model.input.len())?;
        let mut session = Self {
            networks,
            sizes,
            memory,
            device,
            batch,
            arithmetic: provider.arithmetic(),
            size: model.input.size,
            classes: model.labels.len(),
        };
        session.warm_up().map_err(|error| match device {
            Device::Cpu => error,
            _ => Error::unavailable(format!("device {device} cannot run {}", model.name))
                .because(error)
                .remedy("see `livelabel devices`, or take --device cpu"),
        })?;
        Ok(session)
    }

    /// Another one for another thread, which runs the same networks at the same time; `None` where the device cannot.
    pub fn sibling(&self) -> Option<Self> {
        (self.device == Device::OpenVino).then(|| Self {
            networks: self.networks.clone(),
            sizes: self.sizes.clone(),
            memory: Memory::Plain(vec![0.0; self.batch * self.each()]),
            arithmetic: self.arithmetic.clone(),
            ..*self
        })
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

    /// Classifies `count` pictures whose tensors stand one after the other; returns `classes` numbers for each.
    ///
    /// # Errors
    /// Failed, with ONNX Runtime's reason.
    pub fn run(&mut self, tensors: &[f32], count: usize) -> Result<Vec<f32>> {
        let each = self.each();
        let tensors: Vec<&[f32]> = tensors.chunks_exact(each).take(count).collect();
        self.run_each(&tensors)
    }

    /// The same for tensors that stand apart.
    ///
    /// # Errors
    /// Failed, with ONNX Runtime's reason.
    pub fn run_each(&mut self, tensors: &[&[f32]]) -> Result<Vec<f32>> {
        let mut rows = Vec::with_capacity(tensors.len() * self.classes);
        let mut rest = tensors;
        for piece in self.sizes.pieces(tensors.len()) {
            let (now, later) = rest.split_at(piece.count);
            self.run_piece(Output::Probabilities, now, piece, &mut rows)?;
            rest = later;
        }
        Ok(rows)
    }

    /// The numbers before the softmax for one picture; empty where the model does not give them.
    ///
    /// # Errors
    /// Failed, with ONNX Runtime's reason.
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

    fn run_piece(&mut self, output: Output, tensors: &[&[f32]], piece: Piece, rows: &mut Vec<f32>) -> Result<()> {
        let failed = |cause: ort::Error| {
            Error::failed("the network could not be run").because(cause.to_string()).remedy("try --device cpu")
        };
        let (each, shape) = (self.each(), [piece.size, 3, self.size, self.size]);
        let fits = |network: &&Arc<Network>| network.size.is_none_or(|size| size == piece.size);
        let network = self.networks.iter().find(fits).ok_or_else(|| Error::internal("no network of that size"))?;
        let places = self.memory.places().map_err(failed)?;
        // What earlier pictures left in the places behind these belongs to nobody.
        tensors.iter().zip(places.chunks_exact_mut(each)).for_each(|(from, to)| to.copy_from_slice(from));
        let input = TensorRef::from_array_view((shape, &places[..piece.size * each])).map_err(failed)?;
        let values = network.run(&input, output, [piece.size, self.classes]).map_err(failed)?;
        rows.extend_from_slice(&values[..piece.count * self.classes]);
        Ok(())
    }

    /// Runs each size once, so that the first picture of a stream does not pay for what that allocates and tunes.
    fn warm_up(&mut self) -> Result<()> {
        let zeros = vec![0.0; self.each()];
        let sizes = if self.sizes.ready().is_empty() { vec![1] } else { self.sizes.ready().to_vec() };
        for size in sizes {
            let tensors = vec![zeros.as_slice(); size];
            self.run_piece(Output::Probabilities, &tensors, Piece { count: size, size }, &mut Vec::new())?;
        }
        Ok(())
    }
}
