//! Smoothing: the mean of the last n predictions, so that the label does not flicker.

use std::collections::VecDeque;

/// Fractional bits of the running sums. A probability of at least 2⁻⁷⁶ is represented exactly (float32 has 24 bits of
/// precision), and 2²⁶ of them can be summed.
const FRACTION: i32 = 100;

/// A mean over a sliding window. Its cost does not depend on the window's length.
///
/// Sums are in fixed point, so that subtracting the oldest prediction undoes its addition exactly. The mean therefore
/// does not drift, however long a stream runs.
#[derive(Clone, Debug)]
pub struct Smoothing {
    window: usize,
    recent: VecDeque<Vec<f32>>,
    sums: Vec<i128>,
    mean: Vec<f64>,
}

impl Smoothing {
    /// Creates a mean over at most `window` predictions of `labels` probabilities each.
    ///
    /// # Panics
    /// Panics if `window` is 0.
    pub fn new(window: usize, labels: usize) -> Self {
        assert!(window > 0, "a window holds at least one prediction");
        Self { window, recent: VecDeque::new(), sums: vec![0; labels], mean: vec![0.0; labels] }
    }

    /// Adds a prediction and returns the mean of the last `window` ones, or of all if there are fewer.
    pub fn push(&mut self, probabilities: &[f32]) -> &[f64] {
        let mut entry = Vec::new();
        if self.recent.len() == self.window
            && let Some(oldest) = self.recent.pop_front()
        {
            self.sums.iter_mut().zip(&oldest).for_each(|(sum, &value)| *sum -= fixed(value));
            entry = oldest;
        }
        entry.clear();
        entry.extend_from_slice(probabilities);
        self.sums.iter_mut().zip(probabilities).for_each(|(sum, &value)| *sum += fixed(value));
        self.recent.push_back(entry);
        let count = self.recent.len() as f64;
        let unit = f64::from(FRACTION).exp2().recip();
        for (mean, &sum) in self.mean.iter_mut().zip(&self.sums) {
            *mean = sum as f64 * unit / count;
        }
        &self.mean
    }
}

/// Converts to fixed point. Infinities saturate and NaN counts as zero, so a broken prediction does not corrupt the
/// sums.
fn fixed(value: f32) -> i128 {
    (f64::from(value).clamp(-1e6, 1e6) * f64::from(FRACTION).exp2()) as i128
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deterministic numbers that resemble a model's output.
    fn predictions(count: usize, labels: usize) -> Vec<Vec<f32>> {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 24) as f32
        };
        (0..count).map(|_| (0..labels).map(|_| next().powi(8)).collect()).collect()
    }

    #[test]
    fn equals_the_plain_mean_of_the_last_n() {
        let all = predictions(1000, 3);
        for window in [1, 2, 128, 5000] {
            let mut smoothing = Smoothing::new(window, 3);
            for (i, prediction) in all.iter().enumerate() {
                let mean = smoothing.push(prediction);
                let recent = &all[(i + 1).saturating_sub(window)..=i];
                for label in 0..3 {
                    let plain = recent.iter().map(|p| f64::from(p[label])).sum::<f64>() / recent.len() as f64;
                    assert!((mean[label] - plain).abs() <= 1e-15, "frame {i}, window {window}");
                }
            }
        }
    }

    #[test]
    fn does_not_drift() {
        let mut smoothing = Smoothing::new(3, 1);
        for prediction in predictions(100_000, 1) {
            smoothing.push(&prediction);
        }
        smoothing.push(&[0.25]);
        smoothing.push(&[0.25]);
        assert_eq!(smoothing.push(&[0.25]), [0.25]);
        assert_eq!(smoothing.sums, [3 * fixed(0.25)]);
    }

    #[test]
    fn a_broken_prediction_has_no_effect_after_it_leaves_the_window() {
        let mut smoothing = Smoothing::new(2, 1);
        smoothing.push(&[f32::INFINITY]);
        smoothing.push(&[f32::NAN]);
        smoothing.push(&[0.5]);
        assert_eq!(smoothing.push(&[0.5]), [0.5]);
    }
}
