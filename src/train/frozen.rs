//! The frozen layers of a training. On a CPU they run on the analyzer's session, which takes a fraction of libtorch's
//! time; on a GPU on libtorch.

use ndarray::ArrayView3;
use tch::{Device, Kind, Tensor, no_grad};

use crate::error::{Error, Result};
use crate::inference::device::{DeviceSelection, computes_in_bf16};
use crate::inference::inference_precision::InferencePrecision;
use crate::inference::model::{Channels, InputSpec, Model};
use crate::inference::session::{Session, SessionOptions};
use crate::onnx::build::{FreezePoint, INPUT, MEAN, frozen};
use crate::onnx::resnet::INPUT_SIZE;
use crate::onnx::weights::Weights;
use crate::train::network::{self, Backbone, pool};

/// Pictures in one batch. With more, the feature maps exceed what malloc reuses, and the kernel would clear new memory
/// for every layer.
pub const BATCH: usize = 8;

/// The backend of the frozen layers.
pub enum FrozenLayers<'a> {
    Session(Box<Session>),
    Torch { backbone: &'a Backbone, cut: FreezePoint, device: Device },
}

impl<'a> FrozenLayers<'a> {
    /// Loads the layers before `cut`. `backbone` is the same network on `device`.
    ///
    /// # Errors
    /// `Unavailable` if neither OpenVINO nor ONNX Runtime is installed; `Failed` if there is no space for a temporary
    /// file.
    pub fn load(
        weights: &Weights,
        cut: FreezePoint,
        kind: Kind,
        backbone: &'a Backbone,
        device: Device,
    ) -> Result<Self> {
        if device != Device::Cpu {
            return Ok(FrozenLayers::Torch { backbone, cut, device });
        }
        let failed = |cause| {
            Error::failed("the frozen layers cannot be written to a temporary file")
                .because(cause)
                .remedy("free 100 MB on that disk, or set TMPDIR to another folder")
        };
        let file = tempfile::Builder::new().suffix(".onnx").tempfile().map_err(failed)?;
        std::fs::write(file.path(), frozen(weights, cut)?).map_err(failed)?;
        let model = Model::frozen(file.path(), input(INPUT_SIZE, MEAN), cut.shape().iter().product())?;
        let precision = if kind == Kind::BFloat16 { InferencePrecision::Bf16 } else { InferencePrecision::Fp32 };
        let options = SessionOptions { precision, ..SessionOptions::of(DeviceSelection::Auto, BATCH) };
        Ok(FrozenLayers::Session(Box::new(Session::load(&model, options)?)))
    }

    /// Describes the device and precision, for messages.
    pub fn describe(&self) -> String {
        match self {
            FrozenLayers::Session(session) => format!("{} in {}", session.device(), session.effective_precision()),
            FrozenLayers::Torch { device, .. } => format!("libtorch on {device:?}"),
        }
    }

    /// Runs the layers on up to [`BATCH`] tensors `[3, 224, 224]`. Returns the outputs one after the other.
    ///
    /// # Errors
    /// `Failed`, with the library's reason.
    pub fn run(&mut self, pictures: &[ArrayView3<f32>]) -> Result<Vec<f32>> {
        match self {
            FrozenLayers::Session(session) => Ok(session.run_each(pictures)?.into_raw_vec_and_offset().0),
            FrozenLayers::Torch { backbone, cut, device } => {
                let size = INPUT_SIZE as i64;
                let values: Vec<f32> = pictures.iter().flatten().copied().collect();
                let pictures = Tensor::from_slice(&values).view([-1, 3, size, size]).to_device(*device);
                network::values(&forward(*cut, backbone, &pictures))
            }
        }
    }
}

/// Runs pictures `[n, 3, 224, 224]` through the layers before `cut`, on libtorch.
pub fn forward(cut: FreezePoint, backbone: &Backbone, pictures: &Tensor) -> Tensor {
    no_grad(|| match cut {
        FreezePoint::Pooled(pooling) => pool(&backbone.whole(pictures), pooling),
        FreezePoint::Before(stage) => backbone.before(stage, pictures),
    })
}

/// Returns the type that a training computes in: bf16 if the CPU supports it, unless fp32 is requested.
pub fn kind(precision: InferencePrecision) -> Kind {
    match precision {
        InferencePrecision::Fp32 => Kind::Float,
        InferencePrecision::Bf16 => Kind::BFloat16,
        InferencePrecision::Auto if computes_in_bf16() => Kind::BFloat16,
        InferencePrecision::Auto => Kind::Float,
    }
}

/// Describes the backbone's input.
pub fn input(size: usize, mean: [f32; 3]) -> InputSpec {
    InputSpec { name: INPUT.into(), size, channels: Channels::Bgr, mean, scale: [1.0; 3] }
}
