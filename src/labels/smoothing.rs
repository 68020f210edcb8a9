//! Smoothing: the mean of the last predictions, so that the label does not flicker.

use std::collections::VecDeque;

use crate::labels::window::{MAX_PREDICTIONS, SmoothingWindow};

/// Fractional bits of the running sums. A probability of at least 2⁻⁷⁶ is represented exactly (float32 has 24 bits of
/// precision), and 2²⁶ of them can be summed.
const FRACTION: i32 = 100;

/// A mean over a sliding window. Its cost does not depend on the window's length.
///
/// Sums are in fixed point, so that subtracting the oldest prediction undoes its addition exactly. The mean therefore
/// does not drift, however long a stream runs.
#[derive(Clone, Debug)]
pub struct Smoothing {
    window: SmoothingWindow,
    /// Pts in nanoseconds and probabilities, oldest first.
    recent: VecDeque<(u64, Vec<f32>)>,
    sums: Vec<i128>,
    mean: Vec<f64>,
    /// Whether a prediction has left the window.
    overflowed: bool,
}

impl Smoothing {
    /// Creates a mean over the predictions in `window`, of `labels` probabilities each.
    pub fn new(window: SmoothingWindow, labels: usize) -> Self {
        Self { window, recent: VecDeque::new(), sums: vec![0; labels], mean: vec![0.0; labels], overflowed: false }
    }

    /// Adds the prediction for the frame at `pts`, in nanoseconds, and returns the mean of those in the window.
    pub fn push(&mut self, probabilities: &[f32], pts: u64) -> &[f64] {
        let mut entry = Vec::new();
        while self.is_full(pts)
            && let Some((_, oldest)) = self.recent.pop_front()
        {
            self.sums.iter_mut().zip(&oldest).for_each(|(sum, &value)| *sum -= fixed(value));
            entry = oldest;
            self.overflowed = true;
        }
        entry.clear();
        entry.extend_from_slice(probabilities);
        self.sums.iter_mut().zip(probabilities).for_each(|(sum, &value)| *sum += fixed(value));
        self.recent.push_back((pts, entry));
        let count = self.recent.len() as f64;
        let unit = f64::from(FRACTION).exp2().recip();
        for (mean, &sum) in self.mean.iter_mut().zip(&self.sums) {
            *mean = sum as f64 * unit / count;
        }
        &self.mean
    }

    /// Returns the last mean.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Returns whether the window is filled: with as many predictions, or as much time, as it covers.
    pub fn is_filled(&self) -> bool {
        self.overflowed || matches!(self.window, SmoothingWindow::Predictions(count) if self.recent.len() >= count)
    }

    /// Returns whether the oldest prediction leaves the window when one at `pts` enters it.
    fn is_full(&self, pts: u64) -> bool {
        match self.window {
            SmoothingWindow::Predictions(count) => self.recent.len() >= count,
            SmoothingWindow::Time(time) => {
                let old = |(oldest, _): &(u64, _)| u128::from(pts.saturating_sub(*oldest)) >= time.as_nanos();
                self.recent.len() >= MAX_PREDICTIONS || self.recent.front().is_some_and(old)
            }
        }
    }
}

/// Converts to fixed point. Infinities saturate and NaN counts as zero, so a broken prediction does not corrupt the
/// sums.
fn fixed(value: f32) -> i128 {
    (f64::from(value).clamp(-1e6, 1e6) * f64::from(FRACTION).exp2()) as i128
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
            let mut smoothing = Smoothing::new(SmoothingWindow::Predictions(window), 3);
            for (i, prediction) in all.iter().enumerate() {
                let mean = smoothing.push(prediction, 0);
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
        let mut smoothing = Smoothing::new(SmoothingWindow::Predictions(3), 1);
        for prediction in predictions(100_000, 1) {
            smoothing.push(&prediction, 0);
        }
        smoothing.push(&[0.25], 0);
        smoothing.push(&[0.25], 0);
        assert_eq!(smoothing.push(&[0.25], 0), [0.25]);
        assert_eq!(smoothing.sums, [3 * fixed(0.25)]);
    }

    #[test]
    fn a_broken_prediction_has_no_effect_after_it_leaves_the_window() {
        let mut smoothing = Smoothing::new(SmoothingWindow::Predictions(2), 1);
        smoothing.push(&[f32::INFINITY], 0);
        smoothing.push(&[f32::NAN], 0);
        smoothing.push(&[0.5], 0);
        assert_eq!(smoothing.push(&[0.5], 0), [0.5]);
    }

    #[test]
    fn a_window_of_time_covers_the_same_time_at_any_frame_rate() {
        for rate in [10, 25, 60] {
            let mut smoothing = Smoothing::new(SmoothingWindow::Time(Duration::from_millis(1200)), 1);
            let frame = 1_000_000_000 / rate;
            let step = |frame: u64| if frame < 3 * rate { 0.0 } else { 1.0 };
            let means: Vec<f64> = (0..6 * rate).map(|i| smoothing.push(&[step(i)], i * frame)[0]).collect();
            // The mean rises for 1.2 s from the third second on.
            let half = means.iter().position(|&mean| mean >= 0.5).unwrap() as f64 / rate as f64;
            let full = means.iter().position(|&mean| mean == 1.0).unwrap() as f64 / rate as f64;
            let frame = 1.001 / rate as f64;
            assert!((half - 3.6).abs() <= frame && (full - 4.2).abs() <= frame, "{rate}: {half} {full}");
        }
    }

    #[test]
    fn a_gap_empties_a_window_of_time() {
        let mut smoothing = Smoothing::new(SmoothingWindow::Time(Duration::from_secs(1)), 1);
        smoothing.push(&[0.0], 0);
        assert_eq!(smoothing.push(&[1.0], 999_999_999), [0.5]);
        assert_eq!(smoothing.push(&[1.0], 1_000_000_000), [1.0]);
        assert_eq!(smoothing.push(&[0.0], 60_000_000_000), [0.0]);
    }
}
