//! The trait that a session's backends implement, and what they share.

use ndarray::ArrayView3;

use crate::error::{Error, Result};
use crate::inference::device::Device;
use crate::inference::model::Model;
use crate::inference::output::Output;
use crate::inference::watchdog::Watchdog;

/// How far a probability may be out of range by rounding.
const TOLERANCE: f32 = 1e-2;

/// A model that is loaded on a device.
pub trait Backend: Send {
    /// Returns the batch size of each run; `None` if any size runs.
    fn size(&self) -> Option<usize>;

    /// Returns whether the model has `output`.
    fn has(&self, output: Output) -> bool;

    /// Copies `tensors` to the first rows of a batch of `size` in the device's input memory. The content of the other
    /// rows is undefined.
    ///
    /// # Errors
    /// Failed, with the library's reason.
    fn put(&mut self, tensors: &[ArrayView3<f32>], size: usize) -> Result<()>;

    /// Runs the last batch that was put; appends the outputs of its first `count` frames to `rows`, one row for each.
    /// `watchdog` interrupts a run that takes too long, if the library supports that.
    ///
    /// # Errors
    /// Failed, with the library's reason, or if the run took too long.
    fn run(&mut self, count: usize, output: Output, rows: &mut Vec<f32>, watchdog: &Watchdog) -> Result<()>;

    /// Returns the same loaded model for another thread, which can run at the same time; `None` if each thread has to
    /// load its own.
    ///
    /// # Errors
    /// Unavailable if there is no memory for it.
    fn sibling(&self) -> Result<Option<Box<dyn Backend>>>;
}

/// Returns the error for a run that failed.
pub fn broken(cause: impl ToString) -> Error {
    Error::failed("the model could not be run").because(cause.to_string()).remedy("try --device cpu")
}

/// Copies `tensors` to the first rows of `batch`. Each row has the length of a tensor.
pub fn fill(batch: &mut [f32], tensors: &[ArrayView3<f32>]) {
    let Some(each) = tensors.first().map(|tensor| tensor.len()) else { return };
    for (tensor, row) in tensors.iter().zip(batch.chunks_exact_mut(each)) {
        match tensor.as_slice() {
            Some(values) => row.copy_from_slice(values),
            None => row.iter_mut().zip(tensor).for_each(|(to, from)| *to = *from),
        }
    }
}

/// Returns the outputs of the first `count` frames of a batch of `size`, `width` values for each.
///
/// # Errors
/// Input if `numbers` has another length, since rows would be split at the wrong places.
pub fn first(numbers: &[f32], size: usize, count: usize, width: usize) -> Result<&[f32]> {
    match numbers.get(..count * width) {
        Some(first) if numbers.len() == size * width => Ok(first),
        _ => Err(Error::input(format!(
            "the model outputs {} values for {size} pictures, but its file names {width} labels",
            numbers.len()
        ))
        .remedy("export the model again with its own labels")),
    }
}

/// Checks that values are probabilities: a model with broken weights would give all frames the same label.
///
/// # Errors
/// Failed, with the value.
pub fn check_probabilities(numbers: &[f32]) -> Result<()> {
    match numbers.iter().find(|number| !(-TOLERANCE..=1.0 + TOLERANCE).contains(*number)) {
        None => Ok(()),
        Some(number) => Err(Error::failed(format!("outputs {number}, which is not a probability"))
            .remedy("check the model with `livelabel model verify`, or export it again")),
    }
}

/// Returns the error for a device that cannot run `model`.
pub fn unusable(device: Device, model: &Model, cause: impl ToString) -> Error {
    Error::unavailable(format!("device {device} cannot run {}", model.name))
        .because(cause.to_string())
        .remedy("see `livelabel devices`, or use --device cpu")
}
