//! What a network can be asked for.

use crate::onnx::build::{FROZEN, LOGITS, PROBABILITIES};

/// What a network can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Probabilities,
    /// The numbers before the softmax.
    Logits,
    /// What the frozen layers of a network make of a picture, for the trainer.
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
