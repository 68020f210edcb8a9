//! ResNet50 and the head on libtorch, with the same layers and names as in the model file.

use std::collections::HashMap;

use tch::nn::Init;
use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::onnx::graph::Weight;
use crate::onnx::head::{HIDDEN, Pooling};
use crate::onnx::resnet::{self, Conv, FEATURES, Folded, Layers, Stage};
use crate::onnx::weights::Weights;

/// Named tensors, in a fixed order.
pub type Named = Vec<(String, Tensor)>;

/// The backbone with its batch norms folded in.
pub struct Backbone {
    convs: HashMap<String, (Tensor, Tensor)>,
    /// The type that convolutions are computed in. The weights are float32.
    kind: Kind,
}

impl Backbone {
    /// Loads all weights to `device`. Convolutions are computed in `kind`.
    ///
    /// # Errors
    /// `Input` if the weights are not those of Keras' ResNet50.
    pub fn new(weights: &Weights, device: Device, kind: Kind) -> Result<Self> {
        let mut reader = Reader { weights, convs: HashMap::new(), device };
        resnet::backbone(&mut reader, &())?;
        Ok(Self { convs: reader.convs, kind })
    }

    /// Maps pictures `[n, 3, 224, 224]` to the last stage's output `[n, 2048, 7, 7]`.
    pub fn whole(&self, pictures: &Tensor) -> Tensor {
        infallible(resnet::backbone(&mut self.layers(), pictures))
    }

    /// Maps pictures `[n, 3, 224, 224]` to the input of `stage`.
    pub fn before(&self, stage: Stage, pictures: &Tensor) -> Tensor {
        infallible(resnet::before(stage, &mut self.layers(), pictures))
    }

    /// Maps the input of `stage` to the last stage's output `[n, 2048, 7, 7]`.
    pub fn from(&self, stage: Stage, map: &Tensor) -> Tensor {
        infallible(resnet::from(stage, &mut self.layers(), map.shallow_clone()))
    }

    fn layers(&self) -> Compute<'_> {
        Compute { backbone: self, kind: self.kind }
    }

    /// Returns the weights of `stage` and of later stages by name, `NAME.weight` and `NAME.bias`. They share their
    /// storage with the network.
    pub fn weights_from(&self, stage: Stage) -> Named {
        let is_trained = |name: &&String| stage.and_after().any(|prefix| name.starts_with(&prefix));
        let mut names: Vec<_> = self.convs.keys().filter(is_trained).collect();
        names.sort();
        names
            .into_iter()
            .flat_map(|name| {
                let (weight, bias) = &self.convs[name];
                [(format!("{name}.weight"), weight.shallow_clone()), (format!("{name}.bias"), bias.shallow_clone())]
            })
            .collect()
    }
}

/// Unwraps: all convolutions were loaded by [`Backbone::new`], so none can be missing.
fn infallible(map: Result<Tensor>) -> Tensor {
    map.unwrap_or_else(|error| unreachable!("{error}"))
}

/// Traverses the layers and loads their weights.
struct Reader<'a> {
    weights: &'a Weights,
    convs: HashMap<String, (Tensor, Tensor)>,
    device: Device,
}

impl Layers for Reader<'_> {
    type Map = ();

    fn conv(&mut self, conv: &Conv, (): &(), _: i64) -> Result<()> {
        let Folded { weight, bias } = Folded::read(self.weights, conv)?;
        let load = |weight: &Weight| {
            let shape: Vec<i64> = weight.shape.iter().map(|&dim| dim as i64).collect();
            Tensor::from_slice(&weight.values).view(shape.as_slice()).to_device(self.device)
        };
        self.convs.insert(conv.name.clone(), (load(&weight), load(&bias)));
        Ok(())
    }

    fn relu(&mut self, _: &str, (): &()) {}
    fn add(&mut self, _: &str, (): &(), (): &()) {}
    fn max_pool(&mut self, _: &str, (): &()) {}
    fn every_second(&mut self, _: &str, (): &()) {}
}

/// Computes the layers immediately.
struct Compute<'a> {
    backbone: &'a Backbone,
    kind: Kind,
}

impl Layers for Compute<'_> {
    type Map = Tensor;

    fn conv(&mut self, conv: &Conv, input: &Tensor, stride: i64) -> Result<Tensor> {
        let (weight, bias) = (self.backbone.convs.get(&conv.name))
            .ok_or_else(|| Error::internal(format!("{} was not read", conv.name)))?;
        let pad = (conv.kernel as i64 - 1) / 2;
        // Copies only tensors of another kind.
        let [input, weight, bias] = [input, weight, bias].map(|tensor| tensor.to_kind(self.kind));
        Ok(input.conv2d(&weight, Some(&bias), [stride, stride], [pad, pad], [1, 1], 1))
    }

    fn relu(&mut self, _: &str, input: &Tensor) -> Tensor {
        input.relu()
    }

    fn add(&mut self, _: &str, left: &Tensor, right: &Tensor) -> Tensor {
        left + right
    }

    fn max_pool(&mut self, _: &str, input: &Tensor) -> Tensor {
        input.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false)
    }

    fn every_second(&mut self, _: &str, input: &Tensor) -> Tensor {
        input.slice(2, None, None, 2).slice(3, None, None, 2)
    }
}

/// Pools `[n, 2048, 7, 7]` to `[n, 2048]`.
pub fn pool(map: &Tensor, pooling: Pooling) -> Tensor {
    match pooling {
        Pooling::Mean => map.mean_dim([2i64, 3].as_slice(), false, Kind::Float),
        Pooling::Max => map.amax([2i64, 3].as_slice(), false).to_kind(Kind::Float),
    }
}

/// The head: dense 2048→512, ReLU, dropout, dense 512→units.
pub struct Head {
    pub dense1: Dense,
    pub dense2: Dense,
}

/// A dense layer. `weight` is `[out, in]`.
pub struct Dense {
    pub weight: Tensor,
    pub bias: Tensor,
}

impl Dense {
    /// Initialises as Keras does: Glorot uniform weights, zero biases.
    fn new(from: i64, to: i64, device: Device) -> Self {
        let most = (6.0 / (from + to) as f64).sqrt();
        let weight = tch::nn::init(Init::Uniform { lo: -most, up: most }, &[to, from], device);
        Self { weight, bias: Tensor::zeros([to], (Kind::Float, device)) }
    }

    pub fn forward(&self, input: &Tensor) -> Tensor {
        input.linear(&self.weight, Some(&self.bias))
    }
}

impl Head {
    /// Creates a head with random weights from torch's generator, which [`tch::manual_seed`] seeds.
    pub fn new(units: usize, device: Device) -> Self {
        Self {
            dense1: Dense::new(FEATURES as i64, HIDDEN as i64, device),
            dense2: Dense::new(HIDDEN as i64, units as i64, device),
        }
    }

    /// Maps features `[n, 2048]` to logits `[n, units]`. `dropout` is the share of hidden units set to zero; 0
    /// outside training.
    pub fn forward(&self, features: &Tensor, dropout: f64) -> Tensor {
        let hidden = self.dense1.forward(features).relu();
        let hidden = if dropout > 0.0 { hidden.dropout(dropout, true) } else { hidden };
        self.dense2.forward(&hidden)
    }

    /// Returns the weights under the names of a head file.
    pub fn weights(&self) -> Named {
        [("dense1", &self.dense1), ("dense2", &self.dense2)]
            .into_iter()
            .flat_map(|(name, dense)| {
                [
                    (format!("{name}.weight"), dense.weight.shallow_clone()),
                    (format!("{name}.bias"), dense.bias.shallow_clone()),
                ]
            })
            .collect()
    }
}

/// Returns the values of a tensor, in row-major order.
///
/// # Errors
/// `Internal` if torch cannot return them.
pub fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous().view(-1);
    Vec::<f32>::try_from(&flat).map_err(|cause| Error::internal("a tensor cannot be read").because(cause.to_string()))
}
