//! Temperature scaling (Guo et al. 2017, arXiv 1706.04599), which calibrates confidences.

/// The range of temperatures to search.
const RANGE: (f64, f64) = (0.05, 20.0);
const STEPS: usize = 60;

/// Returns the softmax of `logits / temperature`.
pub fn softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|&logit| (f64::from(logit - most) / temperature).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// Returns the temperature that maximises the likelihood of `classes`, by golden-section search on its logarithm; 1 if
/// there are no logits.
pub fn temperature(logits: &[Vec<f32>], classes: &[usize]) -> f64 {
    if logits.is_empty() {
        return 1.0;
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
    ((low + high) / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temperature_maximises_the_likelihood() {
        // With one logit x against 0, right three times of four: x / T = ln 3.
        let logits = vec![vec![4.0, 0.0]; 4];
        let found = temperature(&logits, &[0, 0, 0, 1]);
        assert!((found - 4.0 / 3f64.ln()).abs() < 1e-6, "{found}");
    }

    #[test]
    fn the_temperature_stays_within_its_range() {
        assert_eq!(temperature(&[], &[]), 1.0);
        let sure = temperature(&[vec![1.0, 0.0], vec![0.0, 1.0]], &[0, 1]);
        assert!((sure - RANGE.0).abs() < 1e-6, "{sure}");
    }

    #[test]
    fn softmax_sums_to_one() {
        let found = softmax(&[1000.0, 999.0], 1.0);
        assert!((found[0] - 1.0 / (1.0 + (-1f64).exp())).abs() < 1e-12 && (found[0] + found[1] - 1.0).abs() < 1e-12);
    }
}
