//! The predictions between two analysed frames: interpolated, each with its expected error.

use crate::picture::LumaGrid;

/// The expected error of an interpolated probability, fitted on clips of which every frame was analysed: a floor, a
/// share of the difference of the predictions at both ends, and a share of their doubt.
const FLOOR: f64 = 0.003;
const OF_DIFFERENCE: f64 = 0.5;
const OF_DOUBT: f64 = 0.5;
/// Below this difference from a picture at one end, in levels of luma, the picture hardly changed. If the predictions at
/// both ends agree, too, so does the one between: down to a share of the expected error for an equal picture.
const STILL: f64 = 0.3;
const OF_STILL: f64 = 0.05;
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

/// Interpolates between both ends for a frame with `picture`, at `share` of the time from one to the other. Writes the
/// probabilities and returns their expected error.
pub(super) fn interpolate(from: End, to: End, share: f32, picture: &LumaGrid, probabilities: &mut Vec<f32>) -> f64 {
    let (from_change, to_change) = (picture.difference(from.picture), picture.difference(to.picture));
    let changes = from_change + to_change;
    // Before a cut the picture is that of one end, after it that of the other.
    let share = if f64::from(changes) > 2.0 * STILL { from_change / changes } else { share };
    probabilities.clear();
    probabilities.extend(from.probabilities.iter().zip(to.probabilities).map(|(a, b)| a + (b - a) * share));
    let doubt = 1.0 - f64::from(probabilities.iter().copied().fold(0.0, f32::max));
    let change = f64::from(from_change.min(to_change));
    let ends = f64::from(difference(from.probabilities, to.probabilities));
    let still = (change / STILL).clamp(OF_STILL, 1.0);
    (OF_DIFFERENCE * ends + still * (FLOOR + OF_DOUBT * doubt)) * (1.0 + OF_LUMA * change)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(ends: [[f32; 2]; 2], levels: [u8; 3]) -> (Vec<f32>, f64) {
        let [from, picture, to] = levels.map(LumaGrid::flat);
        let mut probabilities = Vec::new();
        let end = |probabilities, picture| End { probabilities, picture };
        let error = interpolate(end(&ends[0], &from), end(&ends[1], &to), 0.25, &picture, &mut probabilities);
        (probabilities, error)
    }

    #[test]
    fn a_frame_like_one_end_has_its_prediction() {
        let ends = [[1.0, 0.0], [0.0, 1.0]];
        assert_eq!(error(ends, [10, 10, 90]).0, [1.0, 0.0]);
        assert_eq!(error(ends, [10, 90, 90]).0, [0.0, 1.0]);
        // Where the picture hardly changes, time decides.
        assert_eq!(error(ends, [10, 10, 10]).0, [0.75, 0.25]);
    }

    #[test]
    fn the_expected_error_grows_with_difference_doubt_and_change() {
        let sure = error([[1.0, 0.0], [1.0, 0.0]], [10, 11, 10]).1;
        let doubtful = error([[0.6, 0.4], [0.6, 0.4]], [10, 11, 10]).1;
        let different = error([[1.0, 0.0], [0.6, 0.4]], [10, 11, 10]).1;
        let changed = error([[1.0, 0.0], [1.0, 0.0]], [10, 40, 10]).1;
        let still = error([[1.0, 0.0], [1.0, 0.0]], [10, 10, 10]).1;
        assert!((sure - FLOOR * 1.1).abs() < 1e-6 && (still - FLOOR * OF_STILL).abs() < 1e-6);
        assert!(sure < changed && changed < doubtful && doubtful < different);
    }
}
