//! Networks run by OpenVINO, which is the fastest on CPUs of every maker.
//!
//! It is called directly: as a plugin of ONNX Runtime it takes CPUs of one maker only, and costs a tenth more.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use openvino::{CompiledModel, Core, DeviceType, InferRequest, PartialShape, RwPropertyKey, Tensor};

use crate::error::{Error, Result};
use crate::inference::backend::{Backend, broken, fill, first, unusable};
use crate::inference::cache::Cache;
use crate::inference::device::Device;
use crate::inference::model::Model;
use crate::inference::output::Output;
use crate::inference::rounding::ComputePrecision;
use crate::inference::watchdog::Watchdog;
use crate::locate;

/// Where `scripts/setup --openvino` puts the library.
const LIBRARY: &str = ".deps/openvino/libopenvino_c.so";
/// The CPU of whatever maker.
const CPU: DeviceType<'static> = DeviceType::CPU;

/// The library's file, if it is installed.
pub fn library() -> Option<PathBuf> {
    locate::find(LIBRARY)
}

/// How networks are compiled.
#[derive(Clone, Copy, Debug)]
pub struct OpenVinoOptions {
    pub rounding: ComputePrecision,
    /// Threads for all streams together.
    pub threads: usize,
    /// Batches that are run at the same time.
    pub streams: usize,
}

impl OpenVinoOptions {
    /// `model` for batches of `size`: from what was kept, or compiled and then kept.
    ///
    /// # Errors
    /// Unavailable, where the library is not there, or refuses the model.
    pub fn load(&self, model: &Model, size: usize) -> Result<OpenVinoBackend> {
        let library = library()
            .ok_or_else(|| Error::unavailable("OpenVINO is not installed").remedy("run scripts/setup --openvino"))?;
        openvino_sys::library::load_from(&library).map_err(|cause| {
            Error::unavailable(format!("{}: OpenVINO cannot be loaded", library.display()))
                .because(cause)
                .remedy("remove its folder and run scripts/setup --openvino")
        })?;
        let compile = |kept: Option<&Path>| {
            self.compile(model, size, kept).map_err(|cause| unusable(Device::OpenVino, model, cause))
        };
        // The layers that a trainer froze are run once, and not kept.
        let cache = if model.output == Output::Features { None } else { Cache::of(model) };
        let Some(cache) = cache else { return OpenVinoBackend::new(compile(None)?, model, size) };
        let how = format!("openvino-{}-{}x{}x{size}", self.hint(model), self.threads, self.streams);
        // What compiling takes goes with what it made.
        let kept = match cache.find(&how) {
            Some(kept) => Some(kept),
            None => cache.keep(&how, |folder| compile(Some(folder)).map(drop))?,
        };
        let network = OpenVinoBackend::new(compile(kept.as_deref())?, model, size)?;
        if let Some(kept) = kept {
            Cache::page_out(&kept);
        }
        Ok(network)
    }

    /// Compiles, or takes what it finds in `kept`; what it has to compile it puts there.
    fn compile(&self, model: &Model, size: usize, kept: Option<&Path>) -> Result<CompiledModel, openvino::SetupError> {
        let mut core = Core::new()?;
        let (threads, streams) = (self.threads.to_string(), self.streams.to_string());
        // Left open, bf16 would be taken for an fp32 file too where the CPU has it.
        let properties = [
            (RwPropertyKey::InferenceNumThreads, threads.as_str()),
            (RwPropertyKey::NumStreams, &streams),
            (RwPropertyKey::HintInferencePrecision, self.hint(model)),
            (RwPropertyKey::HintEnableCpuPinning, "NO"),
        ];
        core.set_properties(&CPU, properties)?;
        if let Some(folder) = kept {
            core.set_property(&CPU, &RwPropertyKey::CacheDir, &folder.to_string_lossy())?;
        }
        let mut network = core.read_model_from_file(&model.path.to_string_lossy(), "")?;
        let shape = [size, 3, model.input.size, model.input.size].map(|length| length as i64);
        network.reshape_single_input(&PartialShape::new_static(shape.len() as i64, &shape)?)?;
        Ok(core.compile_model(&network, CPU)?)
    }

    fn hint(&self, model: &Model) -> &'static str {
        if self.rounding.in_bf16(&model.precision) { "bf16" } else { "f32" }
    }
}

/// A compiled network, and one thread's place to run it.
pub struct OpenVinoBackend {
    network: Arc<Mutex<CompiledModel>>,
    request: InferRequest,
    /// The request's own memory for a batch.
    input: Tensor,
    size: usize,
    width: usize,
    output: Output,
    logits: bool,
}

impl OpenVinoBackend {
    fn new(network: CompiledModel, model: &Model, size: usize) -> Result<Self> {
        let logits = network.get_output_by_name(Output::Logits.name()).is_ok();
        Self::of(Arc::new(Mutex::new(network)), size, model.width, model.output, logits)
    }

    fn of(network: Arc<Mutex<CompiledModel>>, size: usize, width: usize, output: Output, logits: bool) -> Result<Self> {
        let made = || {
            let request = network.lock().unwrap_or_else(PoisonError::into_inner).create_infer_request()?;
            let input = request.get_input_tensor()?;
            Ok((request, input))
        };
        let (request, input) = made().map_err(|cause: openvino::InferenceError| {
            Error::unavailable("OpenVINO has no memory for pictures")
                .because(cause)
                .remedy("take a smaller --batch, or --device cpu")
        })?;
        Ok(Self { network, request, input, size, width, output, logits })
    }
}

impl Backend for OpenVinoBackend {
    fn size(&self) -> Option<usize> {
        Some(self.size)
    }

    fn gives(&self, output: Output) -> bool {
        output == self.output || (output == Output::Logits && self.logits)
    }

    fn put(&mut self, tensors: &[&[f32]], _: usize) -> Result<()> {
        fill(self.input.get_data_mut::<f32>().map_err(broken)?, tensors);
        Ok(())
    }

    fn run(&mut self, count: usize, output: Output, rows: &mut Vec<f32>, watchdog: &Watchdog) -> Result<()> {
        // It cannot be stopped within a loop, and without one it ends: networks with loops are not run here.
        watchdog.watch(Box::new(|| ()), || self.request.infer().map_err(broken))?;
        let numbers = self.request.get_tensor(output.name()).map_err(broken)?;
        rows.extend_from_slice(first(numbers.get_data::<f32>().map_err(broken)?, self.size, count, self.width)?);
        Ok(())
    }

    fn sibling(&self) -> Result<Option<Box<dyn Backend>>> {
        let sibling = Self::of(Arc::clone(&self.network), self.size, self.width, self.output, self.logits)?;
        Ok(Some(Box::new(sibling)))
    }
}
