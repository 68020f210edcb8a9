//! The predictions between two analysed frames: interpolated, each with its expected error.

use crate::picture::LumaGrid;

/// The expected error of an interpolated probability, fitted on clips of which every frame was analysed: a floor, a
/// share of the difference of the predictions at both ends, and a share of their doubt.
const FLOOR: f64 = 0.003;
const OF_DIFFERENCE: f64 = 0.5;
const OF_DOUBT: f64 = 0.5;
/// How much the expected error grows with each level of luma by which the picture differs from those at both ends.
const OF_LUMA: f64 = 0.1;

/// Returns the largest difference of two predictions in a label.
pub(super) fn difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// An analysed frame at the end of a stretch.
#[derive(Clone, Copy)]
pub(super) struct End<'a> {
    pub probabilities: &'a [f32],
    pub picture: &'a LumaGrid,
}

/// Interpolates at `share` of the way from one end to the other, for a frame with `picture`. Writes the probabilities
/// and returns their expected error.
pub(super) fn interpolate(from: End, to: End, share: f32, picture: &LumaGrid, probabilities: &mut Vec<f32>) -> f64 {
    probabilities.clear();
    probabilities.extend(from.probabilities.iter().zip(to.probabilities).map(|(a, b)| a + (b - a) * share));
    let doubt = 1.0 - f64::from(probabilities.iter().copied().fold(0.0, f32::max));
    let change = f64::from(picture.difference(from.picture).min(picture.difference(to.picture)));
    let ends = f64::from(difference(from.probabilities, to.probabilities));
    (FLOOR + OF_DIFFERENCE * ends + OF_DOUBT * doubt) * (1.0 + OF_LUMA * change)
}
