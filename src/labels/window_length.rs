//! The length of a smoothing window in time, steady enough to be shown.
//!
//! The time of N predictions is measured, and frames of a camera do not come evenly. Only a change that matters is taken
//! over, so that the figures made from it do not flicker.

use crate::labels::smoothing::Smoothing;

/// Relative change that is taken over, if it is larger.
const STEP: f64 = 0.1;

/// The length last taken over.
#[derive(Debug, Default)]
pub struct WindowLength {
    /// In nanoseconds.
    pub known: Option<u64>,
    /// Whether it was measured over a whole window.
    whole: bool,
}

impl WindowLength {
    /// Takes over the present length: the first one, the first of a whole window, and then those of a whole window that
    /// differ by more than [`STEP`]. After a reset the window must fill again before it says something new.
    pub fn update(&mut self, smoothing: &Smoothing) {
        let Some(measured) = smoothing.length() else { return };
        let whole = smoothing.is_whole_length();
        let differs = |known: u64| measured.abs_diff(known) as f64 > STEP * known as f64;
        let first_whole = whole && !self.whole;
        if first_whole || (whole == self.whole && self.known.is_none_or(differs)) {
            (self.known, self.whole) = (Some(measured), whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::window::{SmoothingWindow, WindowAlign};

    const MS: u64 = 1_000_000;

    fn smoothing() -> Smoothing {
        Smoothing::new(SmoothingWindow::Predictions(10), WindowAlign::Trailing, 1, 0)
    }

    /// Adds frames that are so many milliseconds apart, and returns the lengths that were known, in milliseconds, without
    /// repetitions.
    fn lengths(
        length: &mut WindowLength,
        smoothing: &mut Smoothing,
        pauses: impl IntoIterator<Item = u64>,
    ) -> Vec<u64> {
        let mut pts = smoothing.window().last().map_or(0, |(pts, _)| pts);
        let mut seen = Vec::new();
        for pause in pauses {
            pts += pause * MS;
            smoothing.push(&[1.0], pts);
            smoothing.next(false);
            length.update(smoothing);
            seen.extend(length.known.map(|known| known / MS));
        }
        seen.dedup();
        seen
    }

    #[test]
    fn uneven_frames_do_not_change_it() {
        let (mut length, mut smoothing) = (WindowLength::default(), smoothing());
        // The second frame says 420 ms; the tenth completes the window.
        let start = [0, 42, 38, 41, 39, 42, 38, 41, 39, 40];
        assert_eq!(lengths(&mut length, &mut smoothing, start), [420, 400]);
        let uneven = (0..1000).map(|i| [44, 36, 40, 47, 33, 43][i % 6]);
        assert_eq!(lengths(&mut length, &mut smoothing, uneven), [400]);
    }

    #[test]
    fn another_frame_rate_changes_it() {
        let (mut length, mut smoothing) = (WindowLength::default(), smoothing());
        lengths(&mut length, &mut smoothing, [40; 20]);
        // It follows in steps of more than a tenth, and ends within a tenth of 800 ms.
        let seen = lengths(&mut length, &mut smoothing, [80; 20]);
        assert_eq!(seen, [444, 533, 622, 711, 800]);
    }

    #[test]
    fn a_reset_keeps_it_until_the_window_is_filled_again() {
        let mut length = WindowLength::default();
        lengths(&mut length, &mut smoothing(), [40; 20]);
        // After a reconnect a camera sends what it kept, at once.
        assert_eq!(lengths(&mut length, &mut smoothing(), [1; 9]), [400]);
        assert_eq!(lengths(&mut length, &mut smoothing(), [20; 10]), [400, 200]);
    }

    #[test]
    fn a_time_is_known_from_the_first_frame() {
        let time = SmoothingWindow::Time(std::time::Duration::from_millis(1200));
        let mut smoothing = Smoothing::new(time, WindowAlign::Trailing, 1, 0);
        let mut length = WindowLength::default();
        assert_eq!(lengths(&mut length, &mut smoothing, [40, 80]), [1200]);
    }
}
