//! Optimizers whose state can be saved and restored, which tch's own do not support.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad};

use crate::train::network::Named;

/// The momentum, as in the original.
const MOMENTUM: f64 = 0.9;
/// Adam's constants (Kingma and Ba, arXiv 1412.6980).
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Momentum 0.9, as in the original
    Sgd,
    Adam,
}

/// The hyperparameters of one weight.
#[derive(Clone, Copy, Debug)]
pub struct WeightOptions {
    /// Factor of the learning rate.
    pub factor: f64,
    /// Penalty on the sum of the absolute values, as Keras' L1 regularizer. Its gradient is the sign.
    pub l1: f64,
}

/// The trained weights, with the optimizer's state of each.
pub struct Optimizer {
    method: OptimizerKind,
    weights: Named,
    /// The moments of each weight: one for SGD, two for Adam.
    moments: Vec<Vec<Tensor>>,
    weight_options: Vec<WeightOptions>,
    /// Decoupled weight decay (arXiv 1711.05101), for a learning rate of 1.
    decay: f64,
    steps: i64,
}

impl Optimizer {
    /// Creates an optimizer for `weights`. `weight_options` has one entry for each.
    pub fn new(method: OptimizerKind, weights: Named, weight_options: Vec<WeightOptions>, decay: f64) -> Self {
        let moments = match method {
            OptimizerKind::Sgd => 1,
            OptimizerKind::Adam => 2,
        };
        let zeros = |weight: &Tensor| (0..moments).map(|_| weight.zeros_like()).collect();
        let moments = weights.iter().map(|(_, weight)| zeros(weight)).collect();
        for (_, weight) in &weights {
            let _ = weight.shallow_clone().set_requires_grad(true);
        }
        Self { method, weights, moments, weight_options, decay, steps: 0 }
    }

    pub fn steps(&self) -> i64 {
        self.steps
    }

    /// Updates the weights by one step down the gradient of `loss`.
    ///
    /// Works in place and with few passes over the weights: memory bandwidth dominates the cost of a head's million
    /// weights.
    pub fn step(&mut self, loss: &Tensor, rate: f64) {
        let learning: Vec<&Tensor> = self.weights.iter().map(|(_, weight)| weight).collect();
        let gradients = Tensor::run_backward(&[loss], &learning, false, false);
        self.steps += 1;
        let steps = self.steps as i32;
        no_grad(|| {
            let states = self.weights.iter_mut().zip(&mut self.moments).zip(&self.weight_options);
            for ((((_, weight), moments), options), mut gradient) in states.zip(gradients) {
                let shape = weight.dim();
                let rate = rate * options.factor;
                if let (OptimizerKind::Sgd, [velocity]) = (self.method, moments.as_mut_slice())
                    && let (Some(weight), Some(velocity), Some(gradient)) =
                        (float_slice(weight), float_slice(velocity), float_slice(&mut gradient))
                {
                    let decay = if shape > 1 { self.decay } else { 0.0 };
                    descend(weight, velocity, gradient, rate, options.l1, decay);
                    continue;
                }
                if options.l1 > 0.0 {
                    gradient += weight.sign().g_mul_scalar_(options.l1);
                }
                if self.decay > 0.0 && weight.dim() > 1 {
                    let _ = weight.g_mul_scalar_(1.0 - rate * self.decay);
                }
                match (self.method, moments.as_mut_slice()) {
                    (OptimizerKind::Sgd, [velocity]) => {
                        let _ = velocity.g_mul_scalar_(MOMENTUM).g_sub_(&gradient.g_mul_scalar_(rate));
                        let _ = weight.g_add_(velocity);
                    }
                    (OptimizerKind::Adam, [mean, square]) => {
                        let _ = mean.lerp_(&gradient, 1.0 - BETA1);
                        let scaled = gradient.g_mul_scalar_((1.0 - BETA2).sqrt());
                        let _ = square.g_mul_scalar_(BETA2).addcmul_(&scaled, &scaled);
                        // weight -= rate * mean / (sqrt(square) + epsilon), with sign and rate folded into the divisor.
                        let rate = -rate * (1.0 - BETA2.powi(steps)).sqrt() / (1.0 - BETA1.powi(steps));
                        if rate != 0.0 {
                            let mut divisor = square.sqrt();
                            let _ = divisor.g_mul_scalar_(1.0 / rate).g_add_scalar_(EPSILON / rate);
                            let _ = weight.addcdiv_(mean, &divisor);
                        }
                    }
                    _ => unreachable!("the number of moments depends on the method"),
                }
            }
        });
    }

    /// Returns the state for a checkpoint: the weights, and the moments as `momentN.NAME`.
    pub fn state(&self) -> Named {
        let moments = self.weights.iter().zip(&self.moments).flat_map(|((name, _), moments)| {
            moments
                .iter()
                .enumerate()
                .map(move |(order, moment)| (format!("moment{order}.{name}"), moment.shallow_clone()))
        });
        self.weights.iter().map(|(name, weight)| (name.clone(), weight.shallow_clone())).chain(moments).collect()
    }

    /// Restores a saved state.
    pub fn restore(
        &mut self,
        mut saved: impl FnMut(&str) -> crate::error::Result<Tensor>,
        steps: i64,
    ) -> crate::error::Result<()> {
        for (name, tensor) in self.state() {
            let value = saved(&name)?.to_device(tensor.device());
            no_grad(|| tensor.shallow_clone().copy_(&value));
        }
        self.steps = steps;
        Ok(())
    }

    pub fn weights(&self) -> &Named {
        &self.weights
    }
}

/// Returns the values of a contiguous float32 tensor in main memory; `None` for any other.
fn float_slice(tensor: &mut Tensor) -> Option<&mut [f32]> {
    let plain = tensor.device() == Device::Cpu && tensor.kind() == Kind::Float && tensor.is_contiguous();
    // SAFETY: such a tensor owns `numel` contiguous floats at its data pointer, and stays borrowed as long as the
    // slice.
    plain.then(|| unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel()) })
}

/// One SGD step in a single pass over memory, where torch's operators would take seven. Memory bandwidth dominates the
/// cost of a head's step.
fn descend(weight: &mut [f32], velocity: &mut [f32], gradient: &[f32], rate: f64, l1: f64, decay: f64) {
    let (momentum, kept, rate, l1) = (MOMENTUM as f32, (1.0 - rate * decay) as f32, rate as f32, l1 as f32);
    for ((weight, velocity), gradient) in weight.iter_mut().zip(velocity).zip(gradient) {
        let sign = if *weight > 0.0 {
            l1
        } else if *weight < 0.0 {
            -l1
        } else {
            0.0
        };
        *velocity = momentum * *velocity - rate * (gradient + sign);
        *weight = kept * *weight + *velocity;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minimises (w - 3)² + 0.3·|w| from 1, and compares each step with the definition in plain arithmetic.
    fn check(method: OptimizerKind, plain: impl Fn(f64, i32, &mut [f64; 2]) -> f64) {
        let weight = Tensor::ones([1], (Kind::Float, Device::Cpu));
        let mut optimizer = Optimizer::new(
            method,
            vec![("w".into(), weight.shallow_clone())],
            vec![WeightOptions { factor: 0.5, l1: 0.3 }],
            0.0,
        );
        let (mut expected, mut moments) = (1.0, [0.0; 2]);
        for step in 1..=20 {
            let loss = (&weight - 3.0).square().sum(Kind::Float);
            optimizer.step(&loss, 0.2);
            expected += plain(2.0 * (expected - 3.0) + 0.3, step, &mut moments);
            let found = weight.double_value(&[0]);
            assert!((found - expected).abs() < 1e-4, "step {step}: {found} for {expected}");
        }
    }

    #[test]
    fn each_method_follows_its_definition() {
        check(OptimizerKind::Sgd, |gradient, _, [velocity, _]| {
            *velocity = 0.9 * *velocity - 0.1 * gradient;
            *velocity
        });
        check(OptimizerKind::Adam, |gradient, step, [mean, square]| {
            *mean = 0.9 * *mean + 0.1 * gradient;
            *square = 0.999 * *square + 0.001 * gradient * gradient;
            let (mean, square) = (*mean / (1.0 - 0.9f64.powi(step)), *square / (1.0 - 0.999f64.powi(step)));
            -0.1 * mean / (square.sqrt() + 1e-8)
        });
    }
}
