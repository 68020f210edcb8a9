//! Networks run by ONNX Runtime: on any CPU, and on NVIDIA GPUs.

use ort::ep;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{OutputSelector, RunOptions, Session};
use ort::value::{Tensor, TensorRef};

use crate::error::{Error, Result};
use crate::inference::device::Device;
use crate::inference::model::Model;
use crate::inference::network::{Network, Output, broken, unusable};
use crate::inference::runtime;

/// Most of a GPU's memory that a session may take, in bytes: ResNet50 at batch 64 needs a quarter of it.
const GPU_MEMORY: usize = 4 << 30;

/// A network that takes batches of any size.
pub struct Loaded {
    session: Session,
    input: String,
    memory: Memory,
    size: usize,
    classes: usize,
}

/// Where the tensors of a batch are put for the network.
enum Memory {
    Plain(Vec<f32>),
    /// Memory that a GPU reads by itself, without a copy on the CPU's side.
    Pinned(Tensor<f32>),
}

impl Loaded {
    /// `model` on a CPU, by `threads`, or on a GPU; `batch` is the most pictures of a run.
    ///
    /// # Errors
    /// Unavailable, where the library or the device is not there; input, where ONNX Runtime refuses the model.
    pub fn load(model: &Model, device: Device, threads: usize, batch: usize) -> Result<Self> {
        let refused = |cause: ort::Error| match device {
            Device::Cuda(_) => unusable(device, model, cause),
            _ => Error::input(format!("model {}: ONNX Runtime refuses it", model.path.display()))
                .because(cause.to_string())
                .remedy("build it again with `livelabel model build`"),
        };
        let builder = Session::builder(runtime::environment()?).map_err(refused)?;
        let builder = match device {
            Device::Cuda(number) => cuda(builder, number),
            _ => cpu(builder, threads),
        };
        let session = builder.and_then(|mut builder| builder.commit_from_file(&model.path)).map_err(refused)?;
        let memory = Memory::new(&session, device, batch * model.input.len())?;
        let input = model.input.name.clone();
        Ok(Self { session, input, memory, size: model.input.size, classes: model.labels.len() })
    }
}

impl Memory {
    fn new(session: &Session, device: Device, len: usize) -> Result<Self> {
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

impl Network for Loaded {
    fn size(&self) -> Option<usize> {
        None
    }

    fn gives(&self, output: Output) -> bool {
        self.session.outputs().iter().any(|given| given.name() == output.name())
    }

    fn run(&mut self, tensors: &[&[f32]], size: usize, output: Output, rows: &mut Vec<f32>) -> Result<()> {
        let (each, shape) = (3 * self.size * self.size, [size, 3, self.size, self.size]);
        let places = self.memory.places().map_err(broken)?;
        tensors.iter().zip(places.chunks_exact_mut(each)).for_each(|(from, to)| to.copy_from_slice(from));
        let input = TensorRef::from_array_view((shape, &places[..size * each])).map_err(broken)?;
        let wanted = OutputSelector::no_default().with(output.name());
        let options = RunOptions::new().map_err(broken)?.with_outputs(wanted);
        let outputs =
            self.session.run_with_options(ort::inputs![self.input.as_str() => input], &options).map_err(broken)?;
        let (_, numbers) = outputs[output.name()].try_extract_tensor::<f32>().map_err(broken)?;
        rows.extend_from_slice(&numbers[..tensors.len() * self.classes]);
        Ok(())
    }

    fn sibling(&self) -> Result<Option<Box<dyn Network>>> {
        Ok(None)
    }
}

/// Threads do not spin while they wait: decoding and encoding need the cores.
fn cpu(builder: SessionBuilder, threads: usize) -> ort::Result<SessionBuilder> {
    let builder = builder
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        .with_intra_op_spinning(false)?;
    Ok(builder)
}

fn cuda(builder: SessionBuilder, number: u32) -> ort::Result<SessionBuilder> {
    runtime::preload_cuda();
    let provider = ep::CUDA::default()
        .with_device_id(number as i32)
        .with_memory_limit(GPU_MEMORY)
        .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested)
        .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
        .build()
        .error_on_failure();
    Ok(builder.with_intra_threads(1)?.with_execution_providers([provider])?)
}
