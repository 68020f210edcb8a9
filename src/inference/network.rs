//! What a session asks of whatever runs its network.

use crate::error::{Error, Result};
use crate::inference::device::Device;
use crate::inference::model::Model;
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

/// A network that is loaded on a device.
pub trait Network: Send {
    /// The pictures that each run has; `None` runs any number.
    fn size(&self) -> Option<usize>;

    fn gives(&self, output: Output) -> bool;

    /// Puts `tensors` in the first places of a batch of `size`, where the device reads them. What stands in the places
    /// behind them belongs to nobody.
    ///
    /// # Errors
    /// Failed, with the library's reason.
    fn put(&mut self, tensors: &[&[f32]], size: usize) -> Result<()>;

    /// Runs the batch that was put in last; appends the numbers of its first `count` pictures to `rows`: as many for
    /// each as the model gives.
    ///
    /// # Errors
    /// Failed, with the library's reason.
    fn run(&mut self, count: usize, output: Output, rows: &mut Vec<f32>) -> Result<()>;

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

/// Copies `tensors` to the first of `places`, which are of their length.
pub fn fill(places: &mut [f32], tensors: &[&[f32]]) {
    let Some(each) = tensors.first().map(|tensor| tensor.len()) else { return };
    tensors.iter().zip(places.chunks_exact_mut(each)).for_each(|(from, to)| to.copy_from_slice(from));
}

/// The numbers of the first `count` pictures, `width` for each.
///
/// # Errors
/// Failed, where there are fewer.
pub fn first(numbers: &[f32], count: usize, width: usize) -> Result<&[f32]> {
    numbers.get(..count * width).ok_or_else(|| broken("it gives fewer numbers than its labels"))
}

/// A device that will not have `model`.
pub fn unusable(device: Device, model: &Model, cause: impl ToString) -> Error {
    Error::unavailable(format!("device {device} cannot run {}", model.name))
        .because(cause.to_string())
        .remedy("see `livelabel devices`, or take --device cpu")
}
