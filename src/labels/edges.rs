//! Onset and offset: where the single predictions change, which smoothing shows late or not at all.
//!
//! A trailing window shows a label only when the label fills enough of it, and drops it as late. The predictions in the
//! window say when the activity itself began or ended.

/// Returns the pts at which the evidence changes most clearly from `from` to `to`, labels or `None` for no label:
/// the split of the window with the largest sum of evidence for `to` after it less that before it. Returns `None` if
/// the whole window speaks for `from`.
///
/// `window` holds pts and probabilities, oldest first. No label is shown below `threshold`, so a prediction speaks for
/// a label as far as it exceeds both the threshold and every other label.
pub fn change<'a>(
    window: impl DoubleEndedIterator<Item = (u64, &'a [f32])>,
    from: Option<usize>,
    to: Option<usize>,
    threshold: f64,
) -> Option<u64> {
    let (mut sum, mut best, mut at) = (0.0, 0.0, None);
    for (pts, probabilities) in window.rev() {
        sum += evidence(probabilities, from, to, threshold);
        if sum > best {
            (best, at) = (sum, Some(pts));
        }
    }
    at
}

/// Returns how much more a prediction speaks for `to` than for `from`.
fn evidence(probabilities: &[f32], from: Option<usize>, to: Option<usize>, threshold: f64) -> f64 {
    let of = |label: usize| f64::from(probabilities[label]);
    let rest = |label: usize| {
        let others = probabilities.iter().enumerate().filter(|&(other, _)| other != label);
        others.map(|(_, &probability)| f64::from(probability)).fold(threshold, f64::max)
    };
    match (from, to) {
        (Some(from), Some(to)) => of(to) - of(from),
        (None, Some(to)) => of(to) - rest(to),
        (Some(from), None) => rest(from) - of(from),
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(values: &[f32], from: Option<usize>, to: Option<usize>) -> Option<u64> {
        let rows: Vec<[f32; 2]> = values.iter().map(|&value| [value, 1.0 - value]).collect();
        change(rows.iter().enumerate().map(|(pts, row)| (pts as u64, row.as_slice())), from, to, 0.6)
    }

    #[test]
    fn the_change_is_where_the_evidence_turns() {
        let values = [0.1, 0.0, 0.2, 0.9, 0.9, 0.8];
        assert_eq!(at(&values, Some(1), Some(0)), Some(3));
        assert_eq!(at(&values, None, Some(0)), Some(3));
        let values = [0.9, 0.9, 0.9, 0.9, 0.1];
        assert_eq!(at(&values, Some(0), Some(1)), Some(4));
        assert_eq!(at(&values, Some(0), None), Some(4));
    }

    #[test]
    fn a_single_outlier_is_no_change() {
        assert_eq!(at(&[0.0, 0.9, 0.0, 0.0, 0.9, 0.9, 0.9, 0.1, 0.9], Some(1), Some(0)), Some(4));
    }

    #[test]
    fn a_prediction_below_the_threshold_does_not_speak_for_a_label() {
        assert_eq!(at(&[0.55, 0.55, 0.7], None, Some(0)), Some(2));
        assert_eq!(at(&[0.7, 0.55, 0.55], Some(0), None), Some(1));
    }

    #[test]
    fn without_evidence_there_is_no_change() {
        assert_eq!(at(&[0.1, 0.1], Some(1), Some(0)), None);
        assert_eq!(at(&[], Some(1), Some(0)), None);
    }
}
