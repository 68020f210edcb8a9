//! The head of a model file on libtorch, with its adapter if it has one.

use tch::{Device, Kind, Tensor, no_grad};

use crate::onnx::cut::Cut;
use crate::onnx::graph::Weight;
use crate::onnx::head::{Layer, Units};
use crate::train::network::Dense;

/// The layers from the features to the labels' logits.
pub struct ModelHead {
    hidden: Option<Dense>,
    output: Dense,
    units: Option<UnitSums>,
    pub adapter: Option<Dense>,
}

/// Sums the probabilities of each label's units.
struct UnitSums {
    /// `[units, labels]`: 1 where the unit belongs to the label.
    members: Tensor,
    temperature: f64,
}

impl ModelHead {
    pub fn of(cut: &Cut) -> Self {
        let head = &cut.head;
        let labels = head.labels.len();
        let units = head.units.as_ref().map(|Units { labels: of_units, temperature }| {
            let index: Vec<i64> = of_units.iter().map(|&label| label as i64).collect();
            let members = Tensor::from_slice(&index).one_hot(labels as i64).to_kind(Kind::Float);
            UnitSums { members, temperature: f64::from(*temperature) }
        });
        let (hidden, output) = (head.hidden.as_ref().map(dense), dense(&head.output));
        Self { hidden, output, units, adapter: cut.adapter.as_ref().map(dense) }
    }

    /// Maps features `[n, 2048]` to the logarithms of the probabilities `[n, labels]` that the head gives without the
    /// adapter.
    pub fn own(&self, features: &Tensor) -> Tensor {
        no_grad(|| {
            let hidden = self.hidden.as_ref().map(|layer| layer.forward(features).relu());
            let logits = self.output.forward(hidden.as_ref().unwrap_or(features));
            let logits = match &self.units {
                None => logits,
                Some(UnitSums { members, temperature }) => {
                    // A label without any probability keeps a finite logit.
                    logits.softmax(-1, Kind::Float).matmul(members).clamp_min(1e-30).log() / *temperature
                }
            };
            logits.log_softmax(-1, Kind::Float)
        })
    }
}

fn dense(Layer { weight, bias }: &Layer) -> Dense {
    Dense { weight: tensor(weight), bias: tensor(bias) }
}

fn tensor(weight: &Weight) -> Tensor {
    let shape: Vec<i64> = weight.shape.iter().map(|&dim| dim as i64).collect();
    Tensor::from_slice(&weight.values).view(shape.as_slice()).to_device(Device::Cpu)
}
