//! Gradient descent whose whole state can be saved, which tch's own optimizers do not offer.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor, no_grad};

use crate::train::network::Named;

/// Share of the last step that the next one keeps, as in the original.
const MOMENTUM: f64 = 0.9;
/// Kingma and Ba's constants (arXiv 1412.6980).
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Momentum 0.9, as in the original
    Sgd,
    Adam,
}

impl Method {
    /// The rate that trains best here where none is asked for; the original's was 1e-4 with [`Method::Sgd`].
    pub fn default_rate(self) -> f64 {
        match self {
            Method::Sgd => 1e-2,
            Method::Adam => 1e-3,
        }
    }
}

/// Weights that learn, with what the method remembers of each.
pub struct Optimizer {
    method: Method,
    weights: Named,
    /// The moments of each weight: one for momentum, two for Adam.
    moments: Vec<Vec<Tensor>>,
    /// Factor of each weight's rate.
    factors: Vec<f64>,
    /// Share of each weight that a step of rate 1 takes away (decoupled, arXiv 1711.05101).
    decay: f64,
    steps: i64,
}

impl Optimizer {
    /// Lets `weights` learn; `factors` multiply the rate, one for each weight.
    pub fn new(method: Method, weights: Named, factors: Vec<f64>, decay: f64) -> Self {
        let moments = match method {
            Method::Sgd => 1,
            Method::Adam => 2,
        };
        let zeros = |weight: &Tensor| (0..moments).map(|_| weight.zeros_like()).collect();
        let moments = weights.iter().map(|(_, weight)| zeros(weight)).collect();
        for (_, weight) in &weights {
            let _ = weight.shallow_clone().set_requires_grad(true);
        }
        Self { method, weights, moments, factors, decay, steps: 0 }
    }

    pub fn steps(&self) -> i64 {
        self.steps
    }

    /// One step down the gradient of `loss`.
    pub fn step(&mut self, loss: &Tensor, rate: f64) {
        for (_, weight) in &mut self.weights {
            weight.zero_grad();
        }
        loss.backward();
        self.steps += 1;
        no_grad(|| {
            for ((index, (_, weight)), moments) in self.weights.iter_mut().enumerate().zip(&mut self.moments) {
                let (mut gradient, rate) = (weight.grad(), rate * self.factors[index]);
                if self.decay > 0.0 && weight.dim() > 1 {
                    let _ = weight.g_mul_scalar_(1.0 - rate * self.decay);
                }
                match (self.method, moments.as_mut_slice()) {
                    (Method::Sgd, [velocity]) => {
                        let _ = velocity.g_mul_scalar_(MOMENTUM);
                        *velocity -= gradient * rate;
                        let _ = weight.g_add_(velocity);
                    }
                    (Method::Adam, [mean, square]) => {
                        let _ = mean.lerp_(&gradient, 1.0 - BETA1);
                        let _ = square.g_mul_scalar_(BETA2);
                        *square += gradient.square_() * (1.0 - BETA2);
                        let steps = self.steps as i32;
                        let rate = rate * (1.0 - BETA2.powi(steps)).sqrt() / (1.0 - BETA1.powi(steps));
                        let step = square.sqrt().g_add_scalar_(EPSILON).reciprocal_().g_mul_(mean).g_mul_scalar_(rate);
                        *weight -= step;
                    }
                    _ => unreachable!("a method has its number of moments"),
                }
            }
        });
    }

    /// All that a later run needs to go on: the weights, and the moments as `MOMENT.NAME`.
    pub fn state(&self) -> Named {
        let moments = self.weights.iter().zip(&self.moments).flat_map(|((name, _), moments)| {
            moments
                .iter()
                .enumerate()
                .map(move |(order, moment)| (format!("moment{order}.{name}"), moment.shallow_clone()))
        });
        self.weights.iter().map(|(name, weight)| (name.clone(), weight.shallow_clone())).chain(moments).collect()
    }

    /// Takes up a saved state.
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

/// The sum of a weight's absolute values, for Keras' L1 penalty.
pub fn absolute_sum(weight: &Tensor) -> Tensor {
    weight.abs().sum(Kind::Float)
}
