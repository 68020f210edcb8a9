//! What a session asks of whatever runs its network.

use crate::error::{Error, Result};
use crate::inference::device::Device;
use crate::inference::model::Model;
use crate::inference::output::Output;
use crate::inference::watchdog::Watchdog;

/// How far a probability may be out of its range by rounding.
const SLACK: f32 = 1e-2;

/// A network that is loaded on a device.
pub trait Backend: Send {
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
    /// each as the model gives. `watchdog` ends it where it takes too long, as far as the library can be stopped.
    ///
    /// # Errors
    /// Failed, with the library's reason, or where it took too long.
    fn run(&mut self, count: usize, output: Output, rows: &mut Vec<f32>, watchdog: &Watchdog) -> Result<()>;

    /// The same network for another thread, to be run at the same time; `None` where each has to load its own.
    ///
    /// # Errors
    /// Unavailable, where there is no memory for it.
    fn sibling(&self) -> Result<Option<Box<dyn Backend>>>;
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

/// The numbers of the first `count` pictures of a batch of `size`, `width` for each.
///
/// # Errors
/// Input, where there are more or fewer: rows would be cut at the wrong places.
pub fn first(numbers: &[f32], size: usize, count: usize, width: usize) -> Result<&[f32]> {
    match numbers.get(..count * width) {
        Some(first) if numbers.len() == size * width => Ok(first),
        _ => Err(Error::input(format!(
            "the network gives {} numbers for {size} pictures, where its file names {width} labels",
            numbers.len()
        ))
        .remedy("export the model again with its own labels")),
    }
}

/// Refuses what no probabilities are: a network of broken weights would label all frames alike.
///
/// # Errors
/// Failed, with the number.
pub fn check_probabilities(numbers: &[f32]) -> Result<()> {
    match numbers.iter().find(|number| !(-SLACK..=1.0 + SLACK).contains(*number)) {
        None => Ok(()),
        Some(number) => Err(Error::failed(format!("answers {number}, which is no probability"))
            .remedy("check the model with `livelabel model verify`, or export it again")),
    }
}

/// A device that will not have `model`.
pub fn unusable(device: Device, model: &Model, cause: impl ToString) -> Error {
    Error::unavailable(format!("device {device} cannot run {}", model.name))
        .because(cause.to_string())
        .remedy("see `livelabel devices`, or take --device cpu")
}
