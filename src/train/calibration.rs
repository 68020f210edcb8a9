//! Temperature scaling (Guo et al. 2017, arXiv 1706.04599), which calibrates confidences.

/// The range of temperatures to search.
const RANGE: (f64, f64) = (0.05, 20.0);
const STEPS: usize = 60;
/// Minimum number of validation groups. Pictures of one group are alike, so fewer say little about new ones: two groups
/// without a mistake give the lowest temperature, at which every later mistake is made with full confidence.
pub const MIN_GROUPS: usize = 10;

/// Returns what is said in place of a calibration on so few groups.
pub fn too_few(groups: usize) -> String {
    format!("too few groups to say ({groups}, at least {MIN_GROUPS} are needed)")
}

/// Returns the softmax of `logits / temperature`.
pub fn softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|&logit| (f64::from(logit - most) / temperature).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// Returns the temperature that maximises the likelihood of `classes`, by golden-section search on its logarithm;
/// nothing if the logits are from fewer than [`MIN_GROUPS`] groups.
pub fn temperature(logits: &[Vec<f32>], classes: &[usize], groups: usize) -> Option<f64> {
    if groups < MIN_GROUPS {
        return None;
    }
    let loss = |log: f64| -> f64 {
        let of = |(logits, &class): (&Vec<f32>, &usize)| -softmax(logits, log.exp())[class].max(1e-300).ln();
        logits.iter().zip(classes).map(of).sum()
    };
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (RANGE.0.ln(), RANGE.1.ln());
    for _ in 0..STEPS {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        if loss(left) <= loss(right) {
            high = right;
        } else {
            low = left;
        }
    }
    Some(((low + high) / 2.0).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temperature_maximises_the_likelihood() {
        // With one logit x against 0, right three times of four: x / T = ln 3.
        let logits = vec![vec![4.0, 0.0]; 4];
        let found = temperature(&logits, &[0, 0, 0, 1], MIN_GROUPS).unwrap();
        assert!((found - 4.0 / 3f64.ln()).abs() < 1e-6, "{found}");
    }

    #[test]
    fn few_groups_without_a_mistake_are_no_reason_for_confidence() {
        let (logits, classes) = (vec![vec![1.0, 0.0], vec![0.0, 1.0]], [0, 1]);
        assert_eq!(temperature(&logits, &classes, 2), None);
        assert_eq!(temperature(&logits, &classes, 9), None);
        assert_eq!(too_few(2), "too few groups to say (2, at least 10 are needed)");
        let sure = temperature(&logits, &classes, 10).unwrap();
        assert!((sure - RANGE.0).abs() < 1e-6, "{sure}");
    }

    #[test]
    fn softmax_sums_to_one() {
        let found = softmax(&[1000.0, 999.0], 1.0);
        assert!((found[0] - 1.0 / (1.0 + (-1f64).exp())).abs() < 1e-12 && (found[0] + found[1] - 1.0).abs() < 1e-12);
    }
}
