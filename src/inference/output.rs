//! The outputs of a model.

use crate::onnx::build::{FROZEN, LOGITS, PROBABILITIES};

/// An output of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Probabilities,
    /// The values before the softmax.
    Logits,
    /// The output of the frozen layers, for the trainer.
    Features,
}

impl Output {
    pub fn name(self) -> &'static str {
        match self {
            Output::Probabilities => PROBABILITIES,
            Output::Logits => LOGITS,
            Output::Features => FROZEN,
        }
    }
}
