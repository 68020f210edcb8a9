//! One network on one device: a batch of tensors in, a row of probabilities for each out.

use ort::ep;
use ort::session::Session as OrtSession;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::TensorRef;

use crate::error::{Error, Result};
use crate::inference::device::{Choice, Device, candidates, threads};
use crate::inference::model::Model;
use crate::inference::runtime;
use crate::onnx::build::{LOGITS, PROBABILITIES};

/// Most of a GPU's memory that a session may take, in bytes: ResNet50 at batch 64 needs a quarter of it.
const GPU_MEMORY: usize = 4 << 30;

/// A loaded network.
pub struct Session {
    session: OrtSession,
    device: Device,
    input: String,
    size: usize,
    classes: usize,
    /// Set where a new batch size is costly: short batches are filled up with zeros.
    fixed_batch: Option<usize>,
    padding: Vec<f32>,
}

impl Session {
    /// Loads `model` on the chosen device; `batch` is the most pictures a call will bring.
    ///
    /// With [`Choice::Auto`] a device that fails to load is passed over with a warning that says why.
    ///
    /// # Errors
    /// Unavailable, where the library or the device is not there; input, where ONNX Runtime refuses the model.
    pub fn load(model: &Model, choice: Choice, batch: usize) -> Result<Self> {
        let devices = match choice {
            Choice::Exactly(device) => vec![device],
            Choice::Auto => candidates(),
        };
        let (last, others) = devices.split_last().ok_or_else(|| Error::internal("no device to try"))?;
        for &device in others {
            match Self::load_on(model, device, batch) {
                Ok(session) => return Ok(session),
                Err(error) => tracing::warn!("{device} cannot be used, trying the next device: {error}"),
            }
        }
        Self::load_on(model, *last, batch)
    }

    fn load_on(model: &Model, device: Device, batch: usize) -> Result<Self> {
        let unusable = |cause: ort::Error| match device {
            Device::Cpu => Error::input(format!("model {}: ONNX Runtime refuses it", model.path.display()))
                .because(cause.to_string())
                .remedy("build it again with `livelabel model build`"),
            _ => Error::unavailable(format!("device {device} cannot run {}", model.name))
                .because(cause.to_string())
                .remedy("see `livelabel devices`, or take --device cpu"),
        };
        let environment = runtime::environment()?;
        let builder = OrtSession::builder(environment).map_err(unusable)?;
        let builder = match device {
            Device::Cpu => cpu(builder),
            Device::OpenVino => openvino(builder, model)?,
            Device::Cuda(number) => cuda(builder, number),
        };
        let session = builder.map_err(unusable)?.commit_from_file(&model.path).map_err(unusable)?;
        let mut session = Self {
            session,
            device,
            input: model.input.name.clone(),
            size: model.input.size,
            classes: model.labels.len(),
            fixed_batch: (device != Device::Cpu).then_some(batch),
            padding: Vec::new(),
        };
        session.warm_up().map_err(|error| match device {
            Device::Cpu => error,
            _ => Error::unavailable(format!("device {device} cannot run {}", model.name))
                .because(error)
                .remedy("see `livelabel devices`, or take --device cpu"),
        })?;
        Ok(session)
    }

    pub fn device(&self) -> Device {
        self.device
    }

    /// Classifies `count` pictures whose tensors stand one after the other; returns `classes` numbers for each.
    ///
    /// # Errors
    /// Failed, with ONNX Runtime's reason.
    pub fn run(&mut self, tensors: &[f32], count: usize) -> Result<Vec<f32>> {
        self.run_for(PROBABILITIES, tensors, count)
    }

    /// The numbers before the softmax for one picture; empty where the model does not give them.
    ///
    /// # Errors
    /// Failed, with ONNX Runtime's reason.
    pub fn logits(&mut self, tensor: &[f32]) -> Result<Vec<f32>> {
        if self.session.outputs().iter().all(|output| output.name() != LOGITS) {
            return Ok(Vec::new());
        }
        self.run_for(LOGITS, tensor, 1)
    }

    fn run_for(&mut self, output: &str, tensors: &[f32], count: usize) -> Result<Vec<f32>> {
        let each = 3 * self.size * self.size;
        let shape = |batch: usize| [batch, 3, self.size, self.size];
        let failed = |cause: ort::Error| {
            Error::failed("the network could not be run").because(cause.to_string()).remedy("try --device cpu")
        };
        let (tensors, batch) = match self.fixed_batch {
            Some(batch) if count < batch => {
                self.padding.clear();
                self.padding.extend_from_slice(&tensors[..count * each]);
                self.padding.resize(batch * each, 0.0);
                (self.padding.as_slice(), batch)
            }
            _ => (&tensors[..count * each], count),
        };
        let input = TensorRef::from_array_view((shape(batch), tensors)).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![self.input.as_str() => input]).map_err(failed)?;
        let (_, rows) = outputs[output].try_extract_tensor::<f32>().map_err(failed)?;
        Ok(rows[..count * self.classes].to_vec())
    }

    /// Runs once, so that the first picture of a stream does not pay for allocations.
    fn warm_up(&mut self) -> Result<()> {
        let count = self.fixed_batch.unwrap_or(1);
        self.run(&vec![0.0; count * 3 * self.size * self.size], count).map(drop)
    }
}

/// Threads do not spin while they wait: decoding and encoding need the cores.
fn cpu(builder: SessionBuilder) -> ort::Result<SessionBuilder> {
    let builder = builder
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads())?
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

/// The plugin chooses bf16 by itself where the CPU has it, so the precision is always stated.
fn openvino(builder: SessionBuilder, model: &Model) -> Result<ort::Result<SessionBuilder>> {
    const PROVIDER: &str = "OpenVINOExecutionProvider";
    let environment = runtime::environment()?;
    let missing = || Error::unavailable("the OpenVINO plugin is not installed").remedy("run scripts/setup --openvino");
    let of_openvino = |device: &ort::device::Device| {
        device.ep().is_ok_and(|name| name == PROVIDER) && device.hardware_device().ty() == ort::memory::DeviceType::CPU
    };
    if !environment.devices().any(|device| of_openvino(&device)) {
        let plugin = runtime::openvino_plugin().ok_or_else(missing)?;
        environment.register_ep_library("openvino", plugin).map_err(|cause| missing().because(cause.to_string()))?;
    }
    let precision = if model.precision == "fp32" { "f32" } else { "bf16" };
    let options = format!(
        "{{\"CPU\":{{\"INFERENCE_NUM_THREADS\":\"{}\",\"INFERENCE_PRECISION_HINT\":\"{precision}\"}}}}",
        threads()
    );
    let options = [(format!("{PROVIDER}.load_config"), options)];
    Ok(builder.with_devices(environment.devices().filter(of_openvino), Some(&options)).map_err(ort::Error::from))
}
