//! The frozen layers of a training. On a CPU they run on the analyzer's session, which takes a fraction of libtorch's
//! time; on a GPU on libtorch.

use ndarray::ArrayView3;
use tch::{Device, Kind, Tensor, no_grad};
use tempfile::NamedTempFile;

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
        let file = temporary(&frozen(weights, cut)?)?;
        let model = Model::frozen(file.path(), input(INPUT_SIZE, MEAN), cut.shape().iter().product(), "fp32")?;
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

/// Writes the layers of a network to a temporary file, from which a session loads them.
///
/// # Errors
/// `Failed` if there is no space for it.
pub fn temporary(layers: &[u8]) -> Result<NamedTempFile> {
    let failed = |cause| {
        Error::failed("the frozen layers cannot be written to a temporary file")
            .because(cause)
            .remedy("free 100 MB on that disk, or set TMPDIR to another folder")
    };
    let file = tempfile::Builder::new().suffix(".onnx").tempfile().map_err(failed)?;
    std::fs::write(file.path(), layers).map_err(failed)?;
    Ok(file)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::resnet::Stage;
    use crate::system::locate;
    use ndarray::Array3;

    /// Largest and mean difference of the session's features from libtorch's in fp32, as shares of libtorch's mean
    /// absolute feature.
    fn differences(kind: Kind) -> (f64, f64) {
        let weights = Weights::read(&locate::find(".deps/resnet50").unwrap()).unwrap();
        let backbone = Backbone::new(&weights, Device::Cpu, Kind::Float).unwrap();
        let cut = FreezePoint::Before(Stage::Fourth);
        let pictures: Vec<Array3<f32>> = (0..3)
            .map(|number| {
                // Waves of several lengths, as bright as pictures are.
                Array3::from_shape_fn([3, INPUT_SIZE, INPUT_SIZE], |(channel, y, x)| {
                    let (y, x) = (y as f32, x as f32 + 40.0 * channel as f32);
                    60.0 * (x / (5.0 + number as f32)).sin() + 50.0 * ((x + 2.0 * y) / 31.0).cos()
                })
            })
            .collect();
        let views: Vec<_> = pictures.iter().map(Array3::view).collect();
        let run = |mut layers: FrozenLayers| layers.run(&views).unwrap();
        let expected = run(FrozenLayers::Torch { backbone: &backbone, cut, device: Device::Cpu });
        let found = run(FrozenLayers::load(&weights, cut, kind, &backbone, Device::Cpu).unwrap());
        assert_eq!(found.len(), expected.len());
        let size = expected.iter().map(|value| f64::from(value.abs())).sum::<f64>() / expected.len() as f64;
        let each = found.iter().zip(&expected).map(|(a, b)| f64::from((a - b).abs()) / size);
        (each.clone().fold(0.0, f64::max), each.sum::<f64>() / expected.len() as f64)
    }

    #[test]
    fn the_session_gives_the_features_of_libtorch() {
        let (largest, mean) = differences(Kind::Float);
        assert!(largest < 1e-3 && mean < 1e-5, "{largest} {mean}");
        // bf16 has 8 significant bits; after 40 layers the mean difference is below 3 %.
        let (largest, mean) = differences(Kind::BFloat16);
        assert!(largest < 1.0 && mean < 0.03, "{largest} {mean}");
    }
}
