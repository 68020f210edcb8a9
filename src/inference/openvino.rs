//! The OpenVINO backend, the fastest on CPUs of every vendor.
//!
//! It is used directly: as an execution provider of ONNX Runtime it supports CPUs of one vendor only and is a tenth
//! slower.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::ArrayView3;
use openvino::{CompiledModel, Core, DeviceType, InferRequest, PartialShape, RwPropertyKey, Tensor};

use crate::error::{Error, Result};
use crate::inference::backend::{Backend, broken, fill, first, unusable};
use crate::inference::cache::Cache;
use crate::inference::device::Device;
use crate::inference::inference_precision::InferencePrecision;
use crate::inference::model::Model;
use crate::inference::output::Output;
use crate::inference::watchdog::Watchdog;
use crate::system::locate;

/// Where `scripts/setup --openvino` installs the library.
const LIBRARY: &str = ".deps/openvino/libopenvino_c.so";
const CPU: DeviceType<'static> = DeviceType::CPU;

/// Returns the library's file, if it is installed.
pub fn library() -> Option<PathBuf> {
    locate::find(LIBRARY)
}

/// How models are compiled.
#[derive(Clone, Copy, Debug)]
pub struct OpenVinoOptions {
    pub precision: InferencePrecision,
    /// Threads for all streams together.
    pub threads: usize,
    /// Batches that run at the same time.
    pub streams: usize,
}

impl OpenVinoOptions {
    /// Loads `model` for batches of `size`, from the cache if it is there; otherwise compiles it and adds it to the
    /// cache.
    ///
    /// # Errors
    /// Unavailable if the library is not installed or rejects the model.
    pub fn load(&self, model: &Model, size: usize) -> Result<OpenVinoBackend> {
        let library = library()
            .ok_or_else(|| Error::unavailable("OpenVINO is not installed").remedy("run scripts/setup --openvino"))?;
        openvino_sys::library::load_from(&library).map_err(|cause| {
            Error::unavailable(format!("{}: OpenVINO cannot be loaded", library.display()))
                .because(cause)
                .remedy("remove its folder and run scripts/setup --openvino")
        })?;
        let compile = |cached: Option<&Path>| {
            self.compile(model, size, cached).map_err(|cause| unusable(Device::OpenVino, model, cause))
        };
        // The trainer's frozen layers run once, so they are not cached.
        let cache = if model.output == Output::Features { None } else { Cache::of(model) };
        let Some(cache) = cache else { return OpenVinoBackend::new(compile(None)?, model, size) };
        let key = format!("openvino-{}-{}x{}x{size}", self.hint(model), self.threads, self.streams);
        // The compiled model is dropped and loaded from the cache, which frees the memory that compiling takes.
        let cached = match cache.find(&key) {
            Some(cached) => Some(cached),
            None => cache.add(&key, |folder| compile(Some(folder)).map(drop))?,
        };
        let backend = OpenVinoBackend::new(compile(cached.as_deref())?, model, size)?;
        if let Some(cached) = cached {
            Cache::page_out(&cached);
        }
        Ok(backend)
    }

    /// Loads the compiled model from the folder `cached`, or compiles it and stores it there.
    fn compile(
        &self,
        model: &Model,
        size: usize,
        cached: Option<&Path>,
    ) -> Result<CompiledModel, openvino::SetupError> {
        let mut core = Core::new()?;
        let (threads, streams) = (self.threads.to_string(), self.streams.to_string());
        // Without the hint OpenVINO uses bf16 for an fp32 file too, if the CPU has it.
        let properties = [
            (RwPropertyKey::InferenceNumThreads, threads.as_str()),
            (RwPropertyKey::NumStreams, &streams),
            (RwPropertyKey::HintInferencePrecision, self.hint(model)),
            (RwPropertyKey::HintEnableCpuPinning, "NO"),
        ];
        core.set_properties(&CPU, properties)?;
        if let Some(folder) = cached {
            core.set_property(&CPU, &RwPropertyKey::CacheDir, &folder.to_string_lossy())?;
        }
        let mut graph = core.read_model_from_file(&model.path.to_string_lossy(), "")?;
        let shape = [size, 3, model.input.size, model.input.size].map(|length| length as i64);
        graph.reshape_single_input(&PartialShape::new_static(shape.len() as i64, &shape)?)?;
        Ok(core.compile_model(&graph, CPU)?)
    }

    fn hint(&self, model: &Model) -> &'static str {
        if self.precision.in_bf16(&model.precision) { "bf16" } else { "f32" }
    }
}

/// A compiled model and one inference request, for one thread.
pub struct OpenVinoBackend {
    compiled: Arc<Mutex<CompiledModel>>,
    request: InferRequest,
    /// The request's input tensor.
    input: Tensor,
    size: usize,
    width: usize,
    output: Output,
    logits: bool,
}

impl OpenVinoBackend {
    fn new(compiled: CompiledModel, model: &Model, size: usize) -> Result<Self> {
        let logits = compiled.get_output_by_name(Output::Logits.name()).is_ok();
        Self::of(Arc::new(Mutex::new(compiled)), size, model.width, model.output, logits)
    }

    fn of(
        compiled: Arc<Mutex<CompiledModel>>,
        size: usize,
        width: usize,
        output: Output,
        logits: bool,
    ) -> Result<Self> {
        let made = || {
            let request = compiled.lock().unwrap_or_else(PoisonError::into_inner).create_infer_request()?;
            let input = request.get_input_tensor()?;
            Ok((request, input))
        };
        let (request, input) = made().map_err(|cause: openvino::InferenceError| {
            Error::unavailable("OpenVINO has no memory for a batch")
                .because(cause)
                .remedy("use a smaller --batch, or --device cpu")
        })?;
        Ok(Self { compiled, request, input, size, width, output, logits })
    }
}

impl Backend for OpenVinoBackend {
    fn size(&self) -> Option<usize> {
        Some(self.size)
    }

    fn has(&self, output: Output) -> bool {
        output == self.output || (output == Output::Logits && self.logits)
    }

    fn put(&mut self, tensors: &[ArrayView3<f32>], _: usize) -> Result<()> {
        fill(self.input.get_data_mut::<f32>().map_err(broken)?, tensors);
        Ok(())
    }

    fn run(&mut self, count: usize, output: Output, rows: &mut Vec<f32>, watchdog: &Watchdog) -> Result<()> {
        // OpenVINO cannot interrupt a loop. Models with loops do not run here, so every run ends.
        watchdog.watch(Box::new(|| ()), || self.request.infer().map_err(broken))?;
        let numbers = self.request.get_tensor(output.name()).map_err(broken)?;
        rows.extend_from_slice(first(numbers.get_data::<f32>().map_err(broken)?, self.size, count, self.width)?);
        Ok(())
    }

    fn sibling(&self) -> Result<Option<Box<dyn Backend>>> {
        let sibling = Self::of(Arc::clone(&self.compiled), self.size, self.width, self.output, self.logits)?;
        Ok(Some(Box::new(sibling)))
    }
}
