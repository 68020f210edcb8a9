//! Intervals by resampling groups: pictures of one video, or frames of one visit, are alike.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Number of resamplings for an interval.
const ROUNDS: usize = 2000;

/// Draws `groups` of that many groups, with replacement, again and again: their indexes. The seed is fixed.
pub fn draws(groups: usize) -> impl Iterator<Item = Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    (0..ROUNDS).map(move |_| (0..groups).map(|_| rng.random_range(0..groups)).collect())
}

/// Returns the middle 95 % of the results of all draws.
pub fn middle(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let cut = values.len() / 40;
    match (values.get(cut), values.get(values.len().wrapping_sub(1 + cut))) {
        (Some(&low), Some(&high)) => (low, high),
        _ => (0.0, 0.0),
    }
}
