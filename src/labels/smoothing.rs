//! Smoothing: the mean of the predictions around a frame, so that the label does not flicker.

use std::collections::VecDeque;

use crate::labels::window::{MAX_PREDICTIONS, SmoothingWindow, WindowAlign};

/// Fractional bits of the running sums. A probability of at least 2⁻⁷⁶ is represented exactly (float32 has 24 bits of
/// precision), and 2²⁶ of them can be summed.
const FRACTION: i32 = 100;

/// A mean over a sliding window. Its cost does not depend on the window's length.
///
/// A trailing window ends with its frame. A centred one also covers the predictions after it, so its mean is known only
/// when these have been pushed.
///
/// Sums are in fixed point, so that subtracting the oldest prediction undoes its addition exactly. The mean therefore
/// does not drift, however long a stream runs.
#[derive(Clone, Debug)]
pub struct Smoothing {
    window: SmoothingWindow,
    align: WindowAlign,
    /// Maximum number of predictions after a frame that its mean waits for.
    max_ahead: usize,
    /// Whether a window would have covered more.
    limited: bool,
    /// The last frame, at its pts, if its window ended with `max_ahead` predictions, and may cover the next one.
    ended: Option<u64>,
    /// Oldest first: the predictions in the last window, and all after it.
    recent: VecDeque<Prediction>,
    /// How many of them are in the sums.
    summed: usize,
    /// Index of the next frame to smooth.
    next: usize,
    sums: Vec<i128>,
    mean: Vec<f64>,
    /// Whether a prediction has left the window.
    overflowed: bool,
    /// Memory of the prediction that left last, for the next one.
    spare: Vec<f32>,
}

#[derive(Clone, Debug)]
struct Prediction {
    /// In nanoseconds.
    pts: u64,
    probabilities: Vec<f32>,
}

impl Smoothing {
    /// Creates a mean over the predictions in `window`, of `labels` probabilities each. A centred window covers at most
    /// `max_ahead` predictions after its frame.
    pub fn new(window: SmoothingWindow, align: WindowAlign, labels: usize, max_ahead: usize) -> Self {
        Self {
            window,
            align,
            max_ahead: max_ahead.min(MAX_PREDICTIONS / 2),
            limited: false,
            ended: None,
            recent: VecDeque::new(),
            summed: 0,
            next: 0,
            sums: vec![0; labels],
            mean: vec![0.0; labels],
            overflowed: false,
            spare: Vec::new(),
        }
    }

    /// Adds the prediction for the frame at `pts`, in nanoseconds.
    pub fn push(&mut self, probabilities: &[f32], pts: u64) {
        self.limited |= self.ended.take().is_some_and(|frame| self.reaches(frame, pts));
        let mut entry = std::mem::take(&mut self.spare);
        entry.clear();
        entry.extend_from_slice(probabilities);
        self.recent.push_back(Prediction { pts, probabilities: entry });
    }

    /// Returns the mean for the next frame, in the order in which they were pushed. Returns `None` if there is no such
    /// frame, or if its window may cover predictions that are not pushed yet; with `last`, there are none.
    pub fn next(&mut self, last: bool) -> Option<&[f64]> {
        let frame = self.recent.get(self.next)?.pts;
        while let Some(prediction) = self.recent.get(self.summed).filter(|later| self.covers_later(frame, later.pts)) {
            self.sums.iter_mut().zip(&prediction.probabilities).for_each(|(sum, &value)| *sum += fixed(value));
            self.summed += 1;
        }
        if self.summed == self.recent.len() && !last {
            if !self.is_complete() {
                return None;
            }
            self.ended = (!self.is_whole()).then_some(frame);
        }
        while self.recent.front().is_some_and(|oldest| self.is_over(frame, oldest.pts)) {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.sums.iter_mut().zip(&oldest.probabilities).for_each(|(sum, &value)| *sum -= fixed(value));
            self.summed -= 1;
            self.next -= 1;
            self.spare = oldest.probabilities;
            self.overflowed = true;
        }
        self.next += 1;
        let count = self.summed as f64;
        let unit = f64::from(FRACTION).exp2().recip();
        for (mean, &sum) in self.mean.iter_mut().zip(&self.sums) {
            *mean = sum as f64 * unit / count;
        }
        Some(&self.mean)
    }

    /// Returns the last mean.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Returns the prediction for the frame of the last mean; empty before the first mean.
    pub fn prediction(&self) -> &[f32] {
        let of_frame = self.next.checked_sub(1).and_then(|index| self.recent.get(index));
        of_frame.map_or(&[], |prediction| &prediction.probabilities)
    }

    /// Returns whether the last window was filled: with as many predictions, or as much time, as it covers. A centred
    /// one is not longer than its stream.
    pub fn is_filled(&self) -> bool {
        let enough = matches!(self.window, SmoothingWindow::Predictions(count) if self.summed >= count);
        self.align == WindowAlign::Centred || self.overflowed || enough
    }

    /// Returns the predictions in the window of the last mean, oldest first: pts in nanoseconds and probabilities.
    pub fn window(&self) -> impl DoubleEndedIterator<Item = (u64, &[f32])> {
        self.recent.iter().take(self.summed).map(|prediction| (prediction.pts, prediction.probabilities.as_slice()))
    }

    /// Returns how many predictions before and after its frame the window of the last mean covers.
    pub fn around(&self) -> (usize, usize) {
        (self.next.saturating_sub(1), self.summed - self.next)
    }

    /// Returns how many predictions ahead the window was limited to, if it would have covered more.
    pub fn ahead_limit(&self) -> Option<usize> {
        self.limited.then_some(self.max_ahead)
    }

    /// Returns the length of the window in nanoseconds. A number of predictions is measured in the stream: `None`
    /// until there are two, and for a window of one, whose length does not matter.
    pub fn length(&self) -> Option<u64> {
        match self.window {
            SmoothingWindow::Time(time) => u64::try_from(time.as_nanos()).ok(),
            SmoothingWindow::Predictions(1) => None,
            SmoothingWindow::Predictions(count) => {
                let (first, last) = (self.recent.front()?.pts, self.recent.back()?.pts);
                (count as u64).saturating_mul(last.saturating_sub(first)).checked_div(self.recent.len() as u64 - 1)
            }
        }
    }

    /// Returns whether [`Smoothing::length`] is measured over as much as the window covers.
    pub fn is_whole_length(&self) -> bool {
        match self.window {
            SmoothingWindow::Time(_) => true,
            SmoothingWindow::Predictions(count) => self.overflowed || self.recent.len() >= count,
        }
    }

    /// Returns whether the window of the frame at `frame` covers a prediction at `pts` that is not summed yet.
    fn covers_later(&self, frame: u64, pts: u64) -> bool {
        let ahead = self.summed.saturating_sub(self.next);
        match (self.align, self.window) {
            (WindowAlign::Trailing, _) => ahead == 0,
            (WindowAlign::Centred, _) if ahead > self.max_ahead => false,
            (WindowAlign::Centred, SmoothingWindow::Predictions(count)) => ahead <= (count - 1) / 2,
            (WindowAlign::Centred, SmoothingWindow::Time(_)) => self.reaches(frame, pts),
        }
    }

    /// Returns whether a centred window of the frame at `frame` is long enough for a prediction at `pts`, if that is the
    /// next one.
    fn reaches(&self, frame: u64, pts: u64) -> bool {
        match self.window {
            SmoothingWindow::Predictions(_) => true,
            SmoothingWindow::Time(time) => u128::from(pts.saturating_sub(frame)) <= time.as_nanos() / 2,
        }
    }

    /// Returns whether the window of the next frame can cover no prediction after those that are summed.
    fn is_complete(&self) -> bool {
        self.is_whole() || self.summed - 1 - self.next >= self.max_ahead
    }

    /// Returns whether the sums hold all of the next frame's window, as far as the number of predictions tells.
    fn is_whole(&self) -> bool {
        match (self.align, self.window) {
            (WindowAlign::Trailing, _) => true,
            (WindowAlign::Centred, SmoothingWindow::Predictions(count)) => {
                self.summed - 1 - self.next >= (count - 1) / 2
            }
            (WindowAlign::Centred, SmoothingWindow::Time(_)) => false,
        }
    }

    /// Returns whether the oldest prediction, at `oldest`, is before the window of the next frame, at `frame`.
    fn is_over(&self, frame: u64, oldest: u64) -> bool {
        let age = u128::from(frame.saturating_sub(oldest));
        match (self.align, self.window) {
            (_, _) if self.next >= MAX_PREDICTIONS => true,
            (WindowAlign::Trailing, SmoothingWindow::Predictions(count)) => self.next >= count,
            (WindowAlign::Centred, SmoothingWindow::Predictions(count)) => self.next > count / 2,
            (WindowAlign::Trailing, SmoothingWindow::Time(time)) => age >= time.as_nanos(),
            (WindowAlign::Centred, SmoothingWindow::Time(time)) => age > time.as_nanos() / 2,
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

    fn trailing(window: SmoothingWindow, labels: usize) -> Smoothing {
        Smoothing::new(window, WindowAlign::Trailing, labels, 0)
    }

    /// Pushes a prediction and returns its mean.
    fn mean(smoothing: &mut Smoothing, probabilities: &[f32], pts: u64) -> Vec<f64> {
        smoothing.push(probabilities, pts);
        smoothing.next(false).unwrap().to_vec()
    }

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
            let mut smoothing = trailing(SmoothingWindow::Predictions(window), 3);
            for (i, prediction) in all.iter().enumerate() {
                let mean = mean(&mut smoothing, prediction, 0);
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
        let mut smoothing = trailing(SmoothingWindow::Predictions(3), 1);
        for prediction in predictions(100_000, 1) {
            mean(&mut smoothing, &prediction, 0);
        }
        mean(&mut smoothing, &[0.25], 0);
        mean(&mut smoothing, &[0.25], 0);
        assert_eq!(mean(&mut smoothing, &[0.25], 0), [0.25]);
        assert_eq!(smoothing.sums, [3 * fixed(0.25)]);
    }

    #[test]
    fn a_broken_prediction_has_no_effect_after_it_leaves_the_window() {
        let mut smoothing = trailing(SmoothingWindow::Predictions(2), 1);
        mean(&mut smoothing, &[f32::INFINITY], 0);
        mean(&mut smoothing, &[f32::NAN], 0);
        mean(&mut smoothing, &[0.5], 0);
        assert_eq!(mean(&mut smoothing, &[0.5], 0), [0.5]);
    }

    #[test]
    fn a_window_of_time_covers_the_same_time_at_any_frame_rate() {
        for rate in [10, 25, 60] {
            let mut smoothing = trailing(SmoothingWindow::Time(Duration::from_millis(1200)), 1);
            let frame = 1_000_000_000 / rate;
            let step = |frame: u64| if frame < 3 * rate { 0.0 } else { 1.0 };
            let means: Vec<f64> = (0..6 * rate).map(|i| mean(&mut smoothing, &[step(i)], i * frame)[0]).collect();
            // The mean rises for 1.2 s from the third second on.
            let half = means.iter().position(|&mean| mean >= 0.5).unwrap() as f64 / rate as f64;
            let full = means.iter().position(|&mean| mean == 1.0).unwrap() as f64 / rate as f64;
            let frame = 1.001 / rate as f64;
            assert!((half - 3.6).abs() <= frame && (full - 4.2).abs() <= frame, "{rate}: {half} {full}");
        }
    }

    #[test]
    fn a_gap_empties_a_window_of_time() {
        let mut smoothing = trailing(SmoothingWindow::Time(Duration::from_secs(1)), 1);
        mean(&mut smoothing, &[0.0], 0);
        assert_eq!(mean(&mut smoothing, &[1.0], 999_999_999), [0.5]);
        assert_eq!(mean(&mut smoothing, &[1.0], 1_000_000_000), [1.0]);
        assert_eq!(mean(&mut smoothing, &[0.0], 60_000_000_000), [0.0]);
    }

    /// Returns the means of all predictions, and how many later ones each waited for.
    fn centred(window: SmoothingWindow, values: &[f32], rate: u64, max_ahead: usize) -> Vec<(f64, usize)> {
        let mut smoothing = Smoothing::new(window, WindowAlign::Centred, 1, max_ahead);
        let mut means = Vec::new();
        for (i, &value) in values.iter().enumerate() {
            smoothing.push(&[value], i as u64 * 1_000_000_000 / rate);
            while let Some(&[mean]) = smoothing.next(false) {
                means.push((mean, i - means.len()));
            }
        }
        while let Some(&[mean]) = smoothing.next(true) {
            means.push((mean, values.len() - 1 - means.len()));
        }
        means
    }

    #[test]
    fn a_centred_window_looks_both_ways() {
        let values: Vec<f32> = predictions(200, 1).into_iter().map(|prediction| prediction[0]).collect();
        let plain = |from: usize, to: usize| {
            let window = &values[from..=to.min(values.len() - 1)];
            window.iter().map(|&value| f64::from(value)).sum::<f64>() / window.len() as f64
        };
        for count in [1, 2, 5, 128, 1000] {
            let means = centred(SmoothingWindow::Predictions(count), &values, 25, usize::MAX);
            assert_eq!(means.len(), values.len());
            for (i, (mean, waited)) in means.into_iter().enumerate() {
                let expected = plain(i.saturating_sub(count / 2), i + (count - 1) / 2);
                assert!((mean - expected).abs() < 1e-12, "frame {i}, window {count}");
                assert_eq!(waited, ((count - 1) / 2).min(values.len() - 1 - i));
            }
        }
        // At 25 frames a second, 0.2 s are the five frames on either side.
        for (i, (mean, _)) in
            centred(SmoothingWindow::Time(Duration::from_millis(400)), &values, 25, usize::MAX).into_iter().enumerate()
        {
            assert!((mean - plain(i.saturating_sub(5), i + 5)).abs() < 1e-12, "frame {i}");
        }
    }

    #[test]
    fn a_centred_window_waits_for_a_limited_number_of_frames() {
        let values = [0.0, 0.0, 1.0, 1.0, 1.0, 1.0];
        for window in [SmoothingWindow::Predictions(100), SmoothingWindow::Time(Duration::from_secs(100))] {
            let means = centred(window, &values, 25, 1);
            assert_eq!(means[0], (0.0, 1));
            assert_eq!(means[1], (1.0 / 3.0, 1));
            assert_eq!(means[5], (4.0 / 6.0, 0));
        }
    }

    #[test]
    fn a_window_is_limited_only_if_it_would_cover_more() {
        let limit = |window, max_ahead| {
            let mut smoothing = Smoothing::new(window, WindowAlign::Centred, 1, max_ahead);
            for number in 0..100 {
                smoothing.push(&[0.0], number * 40_000_000);
                while smoothing.next(false).is_some() {}
            }
            smoothing.ahead_limit()
        };
        // At 25 frames a second, half of 1.2 s are 15 frames.
        let time = SmoothingWindow::Time(Duration::from_millis(1200));
        assert_eq!([14, 15, 16].map(|max_ahead| limit(time, max_ahead)), [Some(14), None, None]);
        assert_eq!([14, 15].map(|max_ahead| limit(SmoothingWindow::Predictions(31), max_ahead)), [Some(14), None]);
    }

    #[test]
    fn a_window_of_predictions_is_as_long_as_its_frames() {
        let mut smoothing = trailing(SmoothingWindow::Predictions(128), 1);
        assert_eq!(smoothing.length(), None);
        mean(&mut smoothing, &[0.0], 0);
        assert_eq!(smoothing.length(), None);
        mean(&mut smoothing, &[0.0], 40_000_000);
        assert_eq!(smoothing.length(), Some(128 * 40_000_000));
    }
}
