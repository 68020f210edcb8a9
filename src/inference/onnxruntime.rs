//! The ONNX Runtime backend: any CPU, and NVIDIA GPUs.

use std::sync::Arc;

use ndarray::ArrayView3;
use ort::ep;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{IoBinding, RunOptions, Session, SessionOutputs};
use ort::value::{Tensor, TensorRef};

use crate::error::{Error, Result};
use crate::inference::backend::{Backend, broken, fill, first, unusable};
use crate::inference::device::Device;
use crate::inference::model::Model;
use crate::inference::output::Output;
use crate::inference::runtime;
use crate::inference::watchdog::Watchdog;

/// Limit of a session's GPU memory, in bytes: ResNet50 at batch 64 needs a quarter of it.
const GPU_MEMORY: usize = 4 << 30;

/// A model that runs batches of any size.
pub struct OrtBackend {
    session: Session,
    model: ModelIo,
    batch: Batch,
}

/// The parts of a model's description that a run needs.
struct ModelIo {
    input: String,
    size: usize,
    width: usize,
    outputs: Vec<Output>,
}

/// The batch that runs next.
enum Batch {
    /// In host memory, with its size.
    Host(Vec<f32>, usize),
    /// On a device: one bound batch for each size used so far, and the index of the next.
    Device { from: Pinned, bound: Vec<BoundBatch>, next: usize },
}

/// Pinned memory, which a device reads and writes directly.
struct Pinned {
    kind: AllocationDevice<'static>,
    device: i32,
}

/// A batch of one size, bound to the device. Its content stays there until the next `put`.
struct BoundBatch {
    size: usize,
    input: Tensor<f32>,
    binding: IoBinding,
}

impl OrtBackend {
    /// Loads `model` on a CPU with `threads` threads, or on a GPU. `batch` is the largest batch size.
    ///
    /// # Errors
    /// Unavailable if the library or the device is not available; input if ONNX Runtime rejects the model.
    pub fn load(model: &Model, device: Device, threads: usize, batch: usize) -> Result<Self> {
        let refused = |cause: ort::Error| match device {
            Device::Cuda(_) => unusable(device, model, cause),
            _ => Error::input(format!("model {}: ONNX Runtime rejects it", model.path.display()))
                .because(cause.to_string())
                .remedy("build it again with `livelabel model build`"),
        };
        let builder = Session::builder(runtime::environment()?).map_err(refused)?;
        let mut builder = match device {
            Device::Cuda(number) => {
                let preloaded = runtime::preload_cuda();
                let builder = cuda(builder, number).map_err(refused)?;
                preloaded.map(|()| builder)?
            }
            _ => cpu(builder, threads).map_err(refused)?,
        };
        let session = builder.commit_from_file(&model.path).map_err(refused)?;
        let exists = |output: &Output| session.outputs().iter().any(|other| other.name() == output.name());
        let model = ModelIo {
            input: model.input.name.clone(),
            size: model.input.size,
            width: model.width,
            outputs: [Output::Probabilities, Output::Logits, Output::Features].into_iter().filter(exists).collect(),
        };
        let batch = match device {
            Device::Cuda(number) => {
                Batch::on_device(Pinned { kind: AllocationDevice::CUDA_PINNED, device: number as i32 })
            }
            _ => Batch::Host(vec![0.0; batch * 3 * model.size * model.size], 0),
        };
        Ok(Self { session, model, batch })
    }
}

impl ModelIo {
    fn shape(&self, size: usize) -> [usize; 4] {
        [size, 3, self.size, self.size]
    }
}

impl Batch {
    fn on_device(from: Pinned) -> Self {
        Batch::Device { from, bound: Vec::new(), next: 0 }
    }
}

impl BoundBatch {
    fn new(session: &Session, model: &ModelIo, from: &Pinned, size: usize) -> Result<Self> {
        let made = || {
            let memory = |use_| MemoryInfo::new(from.kind.clone(), from.device, AllocatorType::Device, use_);
            let input = Tensor::new(&Allocator::new(session, memory(MemoryType::CPUInput)?)?, model.shape(size))?;
            let mut binding = session.create_binding()?;
            for output in &model.outputs {
                binding.bind_output_to_device(output.name(), &memory(MemoryType::CPUOutput)?)?;
            }
            Ok(Self { size, input, binding })
        };
        made().map_err(|cause: ort::Error| {
            Error::unavailable("the device has no memory for a batch")
                .because(cause.to_string())
                .remedy("use a smaller --batch, or --device cpu")
        })
    }

    fn put(&mut self, name: &str, tensors: &[ArrayView3<f32>]) -> ort::Result<()> {
        fill(self.input.try_extract_tensor_mut::<f32>()?.1, tensors);
        // Copies them to the device.
        self.binding.bind_input(name, &self.input)?;
        self.binding.synchronize_inputs()
    }
}

impl Backend for OrtBackend {
    fn size(&self) -> Option<usize> {
        None
    }

    fn has(&self, output: Output) -> bool {
        self.model.outputs.contains(&output)
    }

    fn put(&mut self, tensors: &[ArrayView3<f32>], size: usize) -> Result<()> {
        match &mut self.batch {
            Batch::Host(input, count) => {
                *count = size;
                fill(input, tensors);
                Ok(())
            }
            Batch::Device { from, bound, next } => {
                *next = bound.iter().position(|bound| bound.size == size).unwrap_or(bound.len());
                if *next == bound.len() {
                    bound.push(BoundBatch::new(&self.session, &self.model, from, size)?);
                }
                bound[*next].put(&self.model.input, tensors).map_err(broken)
            }
        }
    }

    fn run(&mut self, count: usize, output: Output, rows: &mut Vec<f32>, watchdog: &Watchdog) -> Result<()> {
        let width = self.model.width;
        let size = match &self.batch {
            Batch::Host(_, size) => *size,
            Batch::Device { bound, next, .. } => bound[*next].size,
        };
        let mut append = |outputs: SessionOutputs| {
            let (_, numbers) = outputs[output.name()].try_extract_tensor::<f32>().map_err(broken)?;
            rows.extend_from_slice(first(numbers, size, count, width)?);
            Ok(())
        };
        let options = Arc::new(RunOptions::new().map_err(broken)?);
        let running = Arc::clone(&options);
        // A failed attempt to stop the run is repeated by the watchdog.
        let interrupt = Box::new(move || drop(running.terminate()));
        let session = &mut self.session;
        watchdog.watch(interrupt, || match &self.batch {
            Batch::Host(input, size) => {
                let shape = self.model.shape(*size);
                let input = TensorRef::from_array_view((shape, &input[..shape.iter().product()])).map_err(broken)?;
                let inputs = ort::inputs![self.model.input.as_str() => input];
                append(session.run_with_options(inputs, &*options).map_err(broken)?)
            }
            Batch::Device { bound, next, .. } => {
                append(session.run_binding_with_options(&bound[*next].binding, &options).map_err(broken)?)
            }
        })
    }

    fn sibling(&self) -> Result<Option<Box<dyn Backend>>> {
        Ok(None)
    }
}

/// Configures a session on the CPU. Threads do not spin while they wait, since decoding and encoding need the cores.
fn cpu(builder: SessionBuilder, threads: usize) -> ort::Result<SessionBuilder> {
    let builder = builder
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        .with_intra_op_spinning(false)?;
    Ok(builder)
}

fn cuda(builder: SessionBuilder, number: u32) -> ort::Result<SessionBuilder> {
    let provider = ep::CUDA::default()
        .with_device_id(number as i32)
        .with_memory_limit(GPU_MEMORY)
        .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested)
        .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
        .build()
        .error_on_failure();
    Ok(builder.with_intra_threads(1)?.with_execution_providers([provider])?)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use std::path::Path;

    use super::*;

    /// The CPU serves as the device, so that the test covers bound memory without a GPU.
    #[test]
    fn bound_batches_give_the_same_results_and_can_run_again() {
        if runtime::library().is_none() {
            eprintln!("skipped: ONNX Runtime is not installed; run scripts/setup");
            return;
        }
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/drinking-cooking.int8.onnx");
        let model = Model::read(&model).unwrap();
        let load = || OrtBackend::load(&model, Device::Cpu, 1, 4).unwrap();
        let (mut plain, mut bound) = (load(), load());
        let watchdog = Watchdog::unstopped().unwrap();
        bound.batch = Batch::on_device(Pinned { kind: AllocationDevice::CPU, device: 0 });
        let value = |(c, y, x): (usize, usize, usize), k| (((c * 224 + y) * 224 + x) * k % 251) as f32 - 120.0;
        let tensors: Vec<Array3<f32>> =
            (1..=4).map(|k| Array3::from_shape_fn(model.input.shape(), |index| value(index, k))).collect();
        let run = |backend: &mut OrtBackend, count: usize| {
            let mut rows = Vec::new();
            backend.run(count, Output::Probabilities, &mut rows, &watchdog).unwrap();
            rows
        };
        for (count, size) in [(4, 4), (1, 1), (3, 4), (2, 2), (1, 1)] {
            let some: Vec<ArrayView3<f32>> = tensors[4 - count..].iter().map(Array3::view).collect();
            plain.put(&some, size).unwrap();
            bound.put(&some, size).unwrap();
            let (expected, actual) = (run(&mut plain, count), run(&mut bound, count));
            assert_eq!(actual.len(), count * model.labels.len());
            assert_eq!(actual, expected);
            assert_eq!(run(&mut bound, count), expected);
        }
        let Batch::Device { bound, .. } = &bound.batch else { panic!("not bound") };
        assert_eq!(bound.iter().map(|bound| bound.size).collect::<Vec<_>>(), [4, 1, 2]);
    }
}
