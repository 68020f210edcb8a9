//! What a session asks of whatever runs its network.

use crate::error::{Error, Result};
use crate::inference::device::Device;
use crate::inference::model::Model;
use crate::onnx::build::{LOGITS, PROBABILITIES};

/// What a network can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Probabilities,
    /// The numbers before the softmax.
    Logits,
}

impl Output {
    pub fn name(self) -> &'static str {
        match self {
            Output::Probabilities => PROBABILITIES,
            Output::Logits => LOGITS,
        }
    }
}

/// A network that is loaded on a device.
pub trait Network: Send {
    /// The pictures that each run has; `None` runs any number.
    fn size(&self) -> Option<usize>;

    fn gives(&self, output: Output) -> bool;

    /// Runs `tensors` as the first places of a batch of `size`; appends their numbers to `rows`, `classes` for each.
    /// What stands in the places behind them belongs to nobody.
    ///
    /// # Errors
    /// Failed, with the library's reason.
    fn run(&mut self, tensors: &[&[f32]], size: usize, output: Output, rows: &mut Vec<f32>) -> Result<()>;

    /// The same network for another thread, to be run at the same time; `None` where each has to load its own.
    ///
    /// # Errors
    /// Unavailable, where there is no memory for it.
    fn sibling(&self) -> Result<Option<Box<dyn Network>>>;
}

/// A network that broke off.
pub fn broken(cause: impl ToString) -> Error {
    Error::failed("the network could not be run").because(cause.to_string()).remedy("try --device cpu")
}

/// A device that will not have `model`.
pub fn unusable(device: Device, model: &Model, cause: impl ToString) -> Error {
    Error::unavailable(format!("device {device} cannot run {}", model.name))
        .because(cause.to_string())
        .remedy("see `livelabel devices`, or take --device cpu")
}
