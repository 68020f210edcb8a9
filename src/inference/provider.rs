//! How ONNX Runtime is told to run a network on each device.

use std::path::Path;

use ort::ep;
use ort::session::Session as OrtSession;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use crate::error::{Error, Result};
use crate::inference::cache::Cache;
use crate::inference::device::{Device, INT8, computes_in_bf16, threads};
use crate::inference::model::Model;
use crate::inference::runtime;
use crate::inference::session::Demand;

/// Name of the batch's dimension in model files.
const BATCH: &str = "batch";
/// Most of a GPU's memory that a session may take, in bytes: ResNet50 at batch 64 needs a quarter of it.
const GPU_MEMORY: usize = 4 << 30;
const OPENVINO: &str = "OpenVINOExecutionProvider";

/// What is not int8 may be computed with fewer digits, where the device can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Rounding {
    /// As the file says: an fp32 file in fp32; what an int8 file leaves in floating point in bf16 where that is faster
    #[default]
    Auto,
    /// Every floating point number in fp32
    Fp32,
    /// In bf16, on CPUs that have it, through openvino
    Bf16,
}

/// Loads one model on one device.
pub struct Provider<'a> {
    model: &'a Model,
    device: Device,
    rounding: Rounding,
    threads: usize,
    streams: usize,
}

impl<'a> Provider<'a> {
    pub fn new(model: &'a Model, device: Device, demand: Demand) -> Self {
        let threads = demand.threads.unwrap_or_else(threads);
        Self { model, device, rounding: demand.rounding, threads, streams: demand.streams.max(1) }
    }

    /// The numbers that the network is computed in.
    pub fn arithmetic(&self) -> String {
        let bf16 = self.device == Device::OpenVino && self.hint() == "bf16";
        match (self.model.precision.as_str(), bf16) {
            (INT8, true) => "int8 and bf16".into(),
            (INT8, false) => "int8 and fp32".into(),
            (_, true) => "bf16".into(),
            (precision, false) => precision.into(),
        }
    }

    /// A session for batches of `size`, or of any size for `None`.
    ///
    /// # Errors
    /// Unavailable, where the library or the device is not there; input, where ONNX Runtime refuses the model.
    pub fn load(&self, size: Option<usize>) -> Result<OrtSession> {
        let unusable = |cause: ort::Error| match self.device {
            Device::Cpu => Error::input(format!("model {}: ONNX Runtime refuses it", self.model.path.display()))
                .because(cause.to_string())
                .remedy("build it again with `livelabel model build`"),
            device => Error::unavailable(format!("device {device} cannot run {}", self.model.name))
                .because(cause.to_string())
                .remedy("see `livelabel devices`, or take --device cpu"),
        };
        let Some(size) = size else {
            let builder = OrtSession::builder(runtime::environment()?).map_err(unusable)?;
            let builder = match self.device {
                Device::Cuda(number) => cuda(builder, number),
                Device::Cpu | Device::OpenVino => self.cpu(builder),
            };
            return builder.and_then(|mut builder| builder.commit_from_file(&self.model.path)).map_err(unusable);
        };
        self.compiled(size, &unusable)
    }

    /// A session of OpenVINO's, from what was kept, or compiled and then kept.
    fn compiled(&self, size: usize, unusable: &dyn Fn(ort::Error) -> Error) -> Result<OrtSession> {
        let open = |path: &Path| self.openvino(size, None)?.commit_from_file(path).map_err(unusable);
        let reopen = |kept: &Path| open(kept).inspect(|_| Cache::page_out(kept));
        let Some(cache) = Cache::of(self.model) else { return open(&self.model.path) };
        let how = format!("openvino-{}-{}x{}x{size}", self.hint(), self.threads, self.streams);
        if let Some(kept) = cache.find(&how) {
            match reopen(&kept) {
                Ok(session) => return Ok(session),
                Err(error) => {
                    tracing::debug!("compiled anew: {error}");
                    cache.forget(&how);
                }
            }
        }
        let compile = |path: &Path| {
            self.openvino(size, Some(path))?.commit_from_file(&self.model.path).map(drop).map_err(unusable)
        };
        // What compiling takes goes with its session.
        match cache.keep(&how, compile)? {
            Some(kept) => reopen(&kept),
            None => open(&self.model.path),
        }
    }

    /// Threads do not spin while they wait: decoding and encoding need the cores.
    fn cpu(&self, builder: SessionBuilder) -> ort::Result<SessionBuilder> {
        let builder = builder
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(self.threads.div_ceil(self.streams))?
            .with_intra_op_spinning(false)?;
        Ok(builder)
    }

    /// `keep` is where the compiled network goes.
    fn openvino(&self, size: usize, keep: Option<&Path>) -> Result<SessionBuilder> {
        let environment = runtime::environment()?;
        let missing =
            || Error::unavailable("the OpenVINO plugin is not installed").remedy("run scripts/setup --openvino");
        let of_openvino = |device: &ort::device::Device| {
            device.ep().is_ok_and(|name| name == OPENVINO)
                && device.hardware_device().ty() == ort::memory::DeviceType::CPU
        };
        if !environment.devices().any(|device| of_openvino(&device)) {
            let plugin = runtime::openvino_plugin().ok_or_else(missing)?;
            environment
                .register_ep_library("openvino", plugin)
                .map_err(|cause| missing().because(cause.to_string()))?;
        }
        // Left open, OpenVINO takes bf16 for an fp32 file too where the CPU has it.
        let config = serde_json::json!({ "CPU": {
            "INFERENCE_NUM_THREADS": self.threads.to_string(),
            "NUM_STREAMS": self.streams.to_string(),
            "INFERENCE_PRECISION_HINT": self.hint(),
            "ENABLE_CPU_PINNING": "NO",
        }});
        let options = [(format!("{OPENVINO}.load_config"), config.to_string())];
        let built = || -> ort::Result<SessionBuilder> {
            let mut builder = OrtSession::builder(environment)?.with_dimension_override(BATCH, size as i64)?;
            if let Some(path) = keep {
                builder = builder
                    .with_config_entry("ep.context_enable", "1")?
                    .with_config_entry("ep.context_file_path", path.to_string_lossy())?
                    .with_config_entry("ep.context_embed_mode", "0")?;
            }
            Ok(builder.with_devices(environment.devices().filter(of_openvino), Some(&options))?)
        };
        built().map_err(|cause| missing().because(cause.to_string()))
    }

    fn hint(&self) -> &'static str {
        match self.rounding {
            Rounding::Fp32 => "f32",
            Rounding::Bf16 => "bf16",
            Rounding::Auto if self.model.precision == "fp32" => "f32",
            Rounding::Auto if computes_in_bf16() => "bf16",
            Rounding::Auto => "f32",
        }
    }
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
