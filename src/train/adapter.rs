//! Trains an adapter: a dense layer from the features to the labels, whose output is added to the logarithms of the
//! head's probabilities.
//!
//! It starts from nothing: a model whose adapter is zero says what its head says. What people said is learned as it is. On
//! kept features the adapter is held to what the head itself says (distillation, Hinton et al., arXiv 1503.02531), not to
//! the true labels: the network learned from these pictures, is surer on them than on new ones, and would learn nothing
//! from their labels but to be surer still.

use tch::{Kind, Tensor, no_grad};

use crate::onnx::resnet::FEATURES;
use crate::train::network::Dense;
use crate::train::optimizer::{Optimizer, OptimizerKind, WeightOptions};
use crate::train::state::cosine;

/// Steps of the optimizer, each over all rows, and its first rate. More steps change the loss by less than 1 %.
const STEPS: usize = 200;
const RATE: f64 = 0.1;
/// Half the penalty on the squared weights, for features whose mean square sum is 1.
const PENALTY: f64 = 0.05;
/// The bias that a label without an output in the head starts with: it is improbable.
const UNLIKELY: f32 = -4.0;

/// Rows of one kind.
pub struct Rows {
    /// `[n, 2048]`.
    pub features: Tensor,
    /// The logarithms of the head's own probabilities, `[n, labels of the head]`.
    pub own: Tensor,
}

/// What an adapter learns from.
pub struct Lesson<'a> {
    /// Frames with the label that people gave them.
    pub corrections: &'a Rows,
    pub truth: &'a [i64],
    /// Rows on which the head's own word counts.
    pub kept: Option<&'a Rows>,
    /// Number of labels; those after the head's are new.
    pub labels: usize,
}

impl Rows {
    /// Returns the rows with these indexes.
    pub fn select(&self, indexes: &[i64]) -> Self {
        let index = Tensor::from_slice(indexes);
        Self { features: self.features.index_select(0, &index), own: self.own.index_select(0, &index) }
    }

    /// Returns the label that the model says of each row.
    pub fn said(&self, adapter: Option<&Dense>) -> Vec<usize> {
        let labels = no_grad(|| adapted(&self.own, adapter, &self.features).argmax(-1, false));
        labels.iter::<i64>().map(|labels| labels.map(|label| label as usize).collect()).unwrap_or_default()
    }
}

/// Adds an adapter's output to logits. `own` are those of the head; labels that it lacks have 0.
pub fn adapted(own: &Tensor, adapter: Option<&Dense>, features: &Tensor) -> Tensor {
    let Some(adapter) = adapter else { return own.shallow_clone() };
    let shift = adapter.forward(features);
    let missing = shift.size()[1] - own.size()[1];
    own.constant_pad_nd([0, missing]) + shift
}

/// Trains an adapter. If the head already says what people said, there is nothing to learn, and it is zero.
pub fn train(lesson: &Lesson) -> Dense {
    let Lesson { corrections, truth, kept, labels } = lesson;
    let (own, labels) = (corrections.own.size()[1], *labels as i64);
    let zero = || {
        let bias = Tensor::zeros([labels], (Kind::Float, tch::Device::Cpu));
        let _ = bias.narrow(0, own, labels - own).fill_(f64::from(UNLIKELY));
        Dense { weight: Tensor::zeros([labels, FEATURES as i64], (Kind::Float, tch::Device::Cpu)), bias }
    };
    let said = corrections.said(None);
    if said.iter().zip(*truth).all(|(&said, &truth)| said as i64 == truth) {
        return zero();
    }
    let answers = Tensor::from_slice(truth).one_hot(labels).to_kind(Kind::Float);
    let (features, own, targets, weights) = match kept {
        None => {
            let weights = Tensor::ones([truth.len() as i64], (Kind::Float, tch::Device::Cpu));
            (corrections.features.shallow_clone(), corrections.own.shallow_clone(), answers, weights)
        }
        Some(kept) => {
            let rows = kept.own.size()[0];
            let word = kept.own.exp().constant_pad_nd([0, labels - own]);
            // Many corrections count together as much as the kept rows, few count as much each.
            let each = f64::min(1.0, rows as f64 / truth.len() as f64);
            let weights = [(rows, 1.0), (truth.len() as i64, each)];
            let weights = weights.map(|(rows, each)| Tensor::full([rows], each, (Kind::Float, tch::Device::Cpu)));
            (
                Tensor::cat(&[&kept.features, &corrections.features], 0),
                Tensor::cat(&[&kept.own, &corrections.own], 0),
                Tensor::cat(&[&word, &answers], 0),
                Tensor::cat(&weights, 0),
            )
        }
    };
    let scale = features.square().sum_dim_intlist(1i64, false, Kind::Float).mean(Kind::Float).sqrt();
    let features = &features / &scale;
    let adapter = zero();
    let named = [("weight", &adapter.weight), ("bias", &adapter.bias)];
    let named = Vec::from(named.map(|(name, tensor)| (name.to_string(), tensor.shallow_clone())));
    let plain = WeightOptions { factor: 1.0, l1: 0.0 };
    let mut optimizer = Optimizer::new(OptimizerKind::Adam, named, vec![plain; 2], 0.0);
    for step in 0..STEPS {
        let logarithms = adapted(&own, Some(&adapter), &features).log_softmax(-1, Kind::Float);
        let losses = (targets.shallow_clone() * logarithms).sum_dim_intlist(1i64, false, Kind::Float) * &weights;
        let loss = adapter.weight.square().sum(Kind::Float) * PENALTY - losses.sum(Kind::Float);
        optimizer.step(&loss, cosine(RATE, step as f64, STEPS as f64));
    }
    no_grad(|| Dense { weight: adapter.weight.detach() / scale, bias: adapter.bias.detach() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::network::values;

    /// Rows with one feature each, and a head that says label 0 of 2 of all of them.
    fn rows(features: &[i64]) -> Rows {
        let features = Tensor::from_slice(features).one_hot(FEATURES as i64).to_kind(Kind::Float);
        let own = Tensor::from_slice(&[0.9f32, 0.1]).log().unsqueeze(0).repeat([features.size()[0], 1]);
        Rows { features, own }
    }

    #[test]
    fn corrections_are_learned_and_kept_rows_are_not_forgotten() {
        let (corrections, kept) = (rows(&[0, 0, 1, 1]), rows(&[2, 3, 4, 5]));
        let truth = [1, 1, 0, 0];
        let adapter = train(&Lesson { corrections: &corrections, truth: &truth, kept: Some(&kept), labels: 2 });
        assert_eq!(corrections.said(Some(&adapter)), [1, 1, 0, 0]);
        let found = values(&adapted(&kept.own, Some(&adapter), &kept.features).softmax(-1, Kind::Float)).unwrap();
        assert!(found.chunks(2).all(|row| (row[0] - 0.9).abs() < 0.05), "{found:?}");
        let again = train(&Lesson { corrections: &corrections, truth: &truth, kept: Some(&kept), labels: 2 });
        assert_eq!(values(&again.weight).unwrap(), values(&adapter.weight).unwrap());
    }

    #[test]
    fn a_new_label_is_learned_and_does_not_spread() {
        let (corrections, kept) = (rows(&[0, 0, 1, 1]), rows(&[2, 3, 4, 5]));
        let adapter = train(&Lesson { corrections: &corrections, truth: &[2, 2, 0, 0], kept: Some(&kept), labels: 3 });
        assert_eq!((corrections.said(Some(&adapter)), kept.said(Some(&adapter))), (vec![2, 2, 0, 0], vec![0; 4]));
    }

    #[test]
    fn without_corrections_that_differ_nothing_changes() {
        let corrections = rows(&[0, 1]);
        let adapter = train(&Lesson { corrections: &corrections, truth: &[0, 0], kept: None, labels: 2 });
        assert_eq!(values(&adapter.weight).unwrap(), vec![0.0; 2 * FEATURES]);
        assert_eq!(values(&adapter.bias).unwrap(), [0.0, 0.0]);
    }

    #[test]
    fn a_thousand_labels_are_learned() {
        let count = 1000;
        let features: Vec<i64> = (0..count).collect();
        let corrections = rows(&features);
        let truth: Vec<i64> = (2..count + 2).collect();
        let labels = truth.len() + 2;
        let adapter = train(&Lesson { corrections: &corrections, truth: &truth, kept: None, labels });
        let expected: Vec<usize> = truth.iter().map(|&label| label as usize).collect();
        assert_eq!(corrections.said(Some(&adapter)), expected);
    }
}
