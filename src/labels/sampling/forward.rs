//! Sampling of a camera: whether a frame is analysed depends on the frames before it only, since nobody waits for those
//! after it.
//!
//! A frame that is not analysed is held: it gets the last prediction. How wrong that may be is estimated from the change
//! of the picture since the last analysed frame, and from how sure and how steady the predictions are. A frame is
//! analysed when the errors of all held frames in the smoothing window could change the label.

use std::collections::VecDeque;

use crate::labels::sampling::stretch::difference;
use crate::picture::LumaGrid;

/// The error of a held prediction, fitted on clips of which every frame was analysed: a floor, and a part that grows with
/// each level of luma by which the picture changed.
const FLOOR: f64 = 0.001;
const OF_LUMA: f64 = 0.02;
/// How much both grow with the doubt of the last prediction.
const OF_DOUBT: f64 = 40.0;
/// The share of the difference of the last two predictions, if the picture changed by more than [`STILL`] levels of luma.
const OF_DIFFERENCE: f64 = 1.0;
const STILL: f64 = 0.3;
/// How many times its error a label must stand. Large, because labels change by the rare large errors. Chosen with
/// `livelabel bench sampling`; see docs/benchmarks.md.
const STRICTNESS: f64 = 75.0;
/// If the picture changed by more levels of luma while the last prediction is not known yet, the next frame is analysed.
const LIVELY: f32 = 3.0;
/// Longest time without an analysed frame, in nanoseconds.
const MAX_HOLD: u64 = 1_000_000_000;

/// What is known of the frames so far. Updated after each label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Number of predictions that are known.
    analysed: u64,
    last: Vec<f32>,
    /// Largest difference of the last two predictions in a label.
    difference: f64,
    /// The margin of the last decision, and the number of predictions that it is the mean of.
    margin: f64,
    window: usize,
}

impl Evidence {
    /// Adds a label: its frame's `prediction`, unless that is held, and the [margin](crate::labels::decision::Decider::margin)
    /// of the decision on the mean of `window` predictions.
    pub fn update(&mut self, prediction: Option<&[f32]>, margin: f64, window: usize) {
        (self.margin, self.window) = (margin, window);
        let Some(prediction) = prediction else { return };
        self.difference = if self.analysed == 0 { 1.0 } else { f64::from(difference(&self.last, prediction)) };
        self.analysed += 1;
        self.last.clear();
        self.last.extend_from_slice(prediction);
    }

    fn doubt(&self) -> f64 {
        1.0 - f64::from(self.last.iter().copied().fold(0.0, f32::max))
    }
}

/// Chooses the frames of one camera to analyse. No I/O.
#[derive(Default)]
pub struct ForwardSampler {
    /// Pts and picture of the last frame that was chosen.
    last: Option<(u64, LumaGrid)>,
    /// Number of frames that were chosen, and how many of them before the last reset.
    chosen: u64,
    chosen_before: u64,
    /// The hold since the last chosen frame, and those before it in the window, oldest first.
    hold: Hold,
    earlier: VecDeque<Hold>,
    /// The sums over `earlier`: frames, and squared errors.
    frames: usize,
    squares: f64,
}

/// Frames in a row with the same prediction: the chosen one and those held after it. Their errors have one cause and add
/// up; those of different holds are independent.
#[derive(Clone, Copy, Default)]
struct Hold {
    frames: usize,
    error: f64,
}

impl ForwardSampler {
    /// Returns whether to analyse the next frame, at `pts` in nanoseconds. If it is not `due`, it is held in any case.
    pub fn wants(&mut self, pts: u64, picture: LumaGrid, due: bool, evidence: &Evidence) -> bool {
        let error = self.error(&picture, evidence);
        let wanted = due && self.is_needed(pts, &picture, error, evidence);
        if wanted {
            self.begin_hold(evidence.window);
            self.chosen += 1;
            self.last = Some((pts, picture));
        } else {
            self.hold.error += error;
        }
        self.hold.frames += 1;
        self.slide(evidence.window);
        wanted
    }

    /// Forgets the frames so far, after a gap. The next one is needed.
    pub fn reset(&mut self) {
        *self = Self { chosen: self.chosen, chosen_before: self.chosen, ..Self::default() };
    }

    /// Returns the error expected if the frame is held.
    fn error(&self, picture: &LumaGrid, evidence: &Evidence) -> f64 {
        let Some((_, last)) = &self.last else { return 0.0 };
        let change = f64::from(picture.difference(last));
        let differs = OF_DIFFERENCE * evidence.difference * (change / STILL).min(1.0);
        (FLOOR + OF_LUMA * change) * (1.0 + OF_DOUBT * evidence.doubt()) + differs
    }

    fn is_needed(&self, pts: u64, picture: &LumaGrid, error: f64, evidence: &Evidence) -> bool {
        let Some((last_pts, last)) = &self.last else { return true };
        let unknown = evidence.analysed <= self.chosen_before;
        let is_pending = self.chosen > evidence.analysed;
        if unknown || pts.saturating_sub(*last_pts) >= MAX_HOLD || (is_pending && picture.difference(last) >= LIVELY) {
            return true;
        }
        let held = Hold { frames: self.hold.frames + 1, error: self.hold.error + error };
        let expected = (self.squares + held.error_in(evidence.window).max(error).powi(2)).sqrt();
        STRICTNESS * expected >= evidence.margin * evidence.window as f64
    }

    /// Begins a hold with the frame that was chosen.
    fn begin_hold(&mut self, window: usize) {
        let ended = Hold { error: self.hold.error_in(window), ..self.hold };
        self.earlier.push_back(ended);
        self.frames += ended.frames;
        self.squares += ended.error.powi(2);
        self.hold = Hold::default();
    }

    /// Forgets the holds that have left the window.
    fn slide(&mut self, window: usize) {
        while let Some(oldest) = self.earlier.front()
            && self.frames - oldest.frames + self.hold.frames >= window
        {
            self.frames -= oldest.frames;
            self.squares = (self.squares - oldest.error.powi(2)).max(0.0);
            self.earlier.pop_front();
        }
    }
}

impl Hold {
    /// Returns the error of as many of its frames as are in the window.
    fn error_in(self, window: usize) -> f64 {
        self.error * (window as f64 / self.frames.max(1) as f64).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: u64 = 40_000_000;

    /// Returns the numbers of the frames that are analysed. Each label is known before the next frame.
    fn analysed(levels: &[u8], prediction: &[f32], margin: f64, due: impl Fn(usize) -> bool) -> Vec<usize> {
        let (mut sampler, mut evidence) = (ForwardSampler::default(), Evidence::default());
        let mut wanted = |number: usize, level: u8| {
            let wants = sampler.wants(number as u64 * FRAME, LumaGrid::flat(level), due(number), &evidence);
            evidence.update(wants.then_some(prediction), margin, 36);
            wants
        };
        (0..levels.len()).filter(|&number| wanted(number, levels[number])).collect()
    }

    #[test]
    fn a_still_scene_is_analysed_once_a_second() {
        assert_eq!(analysed(&[50; 60], &[0.98, 0.02], 0.9, |_| true), [0, 25, 50]);
    }

    #[test]
    fn a_change_of_the_picture_is_analysed_at_once() {
        let mut levels = [50; 20];
        levels[10..].fill(90);
        assert_eq!(analysed(&levels, &[0.98, 0.02], 0.9, |_| true), [0, 10]);
    }

    #[test]
    fn the_less_sure_the_label_the_more_is_analysed() {
        let levels: Vec<u8> = (0..200).map(|number| 50 + number % 2).collect();
        let counts = [(0.99, 0.98), (0.8, 0.6), (0.55, 0.1), (0.5, 0.0)]
            .map(|(sure, margin)| analysed(&levels, &[sure, 1.0 - sure], margin, |_| true).len());
        assert!(counts.is_sorted() && counts[0] < 40 && counts[1] > 100 && counts[3] == 200, "{counts:?}");
    }

    #[test]
    fn a_frame_that_is_not_due_is_held() {
        let levels: Vec<u8> = (0..40).map(|number| if number % 2 == 0 { 20 } else { 200 }).collect();
        assert_eq!(analysed(&levels, &[0.6, 0.4], 0.2, |number| number % 10 == 0), [0, 10, 20, 30]);
    }

    #[test]
    fn after_a_reset_frames_are_analysed_until_a_prediction_is_known() {
        let (mut sampler, mut evidence) = (ForwardSampler::default(), Evidence::default());
        let mut wants =
            |number: u64, evidence: &Evidence| sampler.wants(number * FRAME, LumaGrid::flat(9), true, evidence);
        assert!(wants(0, &evidence));
        (0..2).for_each(|_| evidence.update(Some(&[1.0, 0.0]), 1.0, 36));
        assert!(!wants(1, &evidence));
        sampler.reset();
        let mut wants =
            |number: u64, evidence: &Evidence| sampler.wants(number * FRAME, LumaGrid::flat(9), true, evidence);
        assert!(wants(2, &evidence));
        evidence.update(Some(&[1.0, 0.0]), 1.0, 36);
        evidence.update(None, 1.0, 36);
        assert!(!wants(3, &evidence));
    }

    #[test]
    fn memory_is_bounded_by_the_window() {
        let (mut sampler, mut evidence) = (ForwardSampler::default(), Evidence::default());
        for number in 0..10_000 {
            sampler.wants(number * FRAME, LumaGrid::flat((number % 2) as u8 * 200), true, &evidence);
            evidence.update(Some(&[0.5, 0.5]), 0.0, 36);
        }
        assert!(sampler.earlier.len() <= 37, "{}", sampler.earlier.len());
    }
}
