//! The sampler of one stream.

use std::collections::VecDeque;
use std::ops::Range;

use crate::labels::labeler::LabelState;
use crate::labels::sampling::grid::Grid;
use crate::labels::sampling::plan::Plan;
use crate::labels::sampling::stretch::{self, End};
use crate::picture::LumaGrid;

/// Share of a stretch's squared error that is expected to remain after the frame in its middle is analysed. More would
/// halve more stretches at once than needed; measured.
const AFTER_SPLIT: f64 = 0.1;

/// The final prediction for one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub probabilities: Vec<f32>,
    /// Whether the frame was analysed. Otherwise the prediction is interpolated.
    pub analysed: bool,
}

/// Chooses the frames to analyse. No I/O: the caller analyses.
///
/// Frames are numbered from 0 in the order in which they are pushed.
pub struct Sampler {
    plan: Plan,
    initial: LabelState,
    grid: Grid,
    /// The state of a labeler that has got the released predictions only, and the number of labels it decided.
    labels: LabelState,
    labelled: usize,
    /// Number of labels that no error can change.
    decided: usize,
    /// The frames that are not released. The first is analysed; `first` is its number.
    frames: VecDeque<Frame>,
    first: usize,
    /// Number of frames up to the last of the grid with a result. All of them have a prediction.
    known: usize,
    /// Number of the first frame that labels not decided yet depend on.
    needed: usize,
    /// The errors of the released frames from `needed` on.
    errors: VecDeque<f64>,
}

struct Frame {
    pts: u64,
    picture: LumaGrid,
    on_grid: bool,
    analysed: bool,
    /// Empty until the frame is known.
    probabilities: Vec<f32>,
    /// The frame's share of the squared error of its stretch; 0 if analysed.
    error: f64,
}

/// Frames between two analysed ones, as indices of `Sampler::frames`.
#[derive(Clone, Copy, PartialEq)]
struct Stretch {
    from: usize,
    to: usize,
}

impl Sampler {
    /// `initial` is the state of the stream's labeler before its first frame.
    pub fn new(initial: LabelState, plan: Plan) -> Self {
        Self {
            grid: Grid::new(&plan),
            plan,
            labels: initial.clone(),
            initial,
            labelled: 0,
            decided: 0,
            frames: VecDeque::new(),
            first: 0,
            known: 0,
            needed: 0,
            errors: VecDeque::new(),
        }
    }

    /// Forgets all frames. The next one has the number 0.
    pub fn reset(&mut self) {
        *self = Self::new(self.initial.clone(), self.plan);
    }

    /// Adds a frame. Returns whether it is on the grid and must be analysed. At most [`IN_FLIGHT`](super::IN_FLIGHT)
    /// frames of the grid may wait for their result.
    pub fn push(&mut self, pts: u64, picture: LumaGrid) -> bool {
        let on_grid = self.grid.next();
        let (probabilities, analysed) = (Vec::new(), false);
        self.frames.push_back(Frame { pts, picture, on_grid, analysed, probabilities, error: 0.0 });
        on_grid
    }

    /// Puts the last frame on the grid, since no other follows. Returns its number if it must be analysed.
    pub fn end(&mut self) -> Option<usize> {
        let last = self.frames.back_mut().filter(|last| !last.on_grid)?;
        last.on_grid = true;
        Some(self.first + self.frames.len() - 1)
    }

    /// Adds the result for a frame. Those of the grid come in order.
    pub fn insert(&mut self, number: usize, probabilities: Vec<f32>) {
        let index = number - self.first;
        let frame = &mut self.frames[index];
        (frame.analysed, frame.error, frame.probabilities) = (true, 0.0, probabilities);
        if frame.on_grid {
            self.grid.insert(&frame.probabilities);
            self.known = number + 1;
        }
        let known = self.known - self.first;
        let analysed = |&index: &usize| self.frames[index].analysed;
        let (from, to) = ((0..index).rev().find(analysed), (index + 1..known).find(analysed));
        if let Some(from) = from {
            self.interpolate(Stretch { from, to: index });
        }
        if let Some(to) = to {
            self.interpolate(Stretch { from: index, to });
        }
    }

    fn interpolate(&mut self, Stretch { from, to }: Stretch) {
        let mut sum = 0.0;
        for index in from + 1..to {
            let mut probabilities = std::mem::take(&mut self.frames[index].probabilities);
            let end =
                |at: usize| End { probabilities: &self.frames[at].probabilities, picture: &self.frames[at].picture };
            let share = (index - from) as f32 / (to - from) as f32;
            let picture = &self.frames[index].picture;
            let error = stretch::interpolate(end(from), end(to), share, picture, &mut probabilities);
            (self.frames[index].probabilities, self.frames[index].error) = (probabilities, error);
            sum += error;
        }
        // The errors of one stretch have the same cause and add up; those of two are independent.
        (from + 1..to).for_each(|index| self.frames[index].error *= sum);
    }

    /// Returns the frames to analyse before the next labels are decided; none of them if they are decided. Returns `None`
    /// if that takes more frames or results. With `last`, no more come.
    pub fn wanted(&mut self, last: bool) -> Option<Vec<usize>> {
        let until = if last { self.known } else { self.decided + self.plan.block };
        if self.frames.is_empty() || self.known < until || (self.decided == until && !last) {
            return None;
        }
        let known = self.known - self.first;
        let mut labels = self.labels.clone();
        self.frames.range(..known).for_each(|frame| labels.smoothing.push(&frame.probabilities, frame.pts));
        let sums = self.error_sums(known);
        let origin = self.first - self.errors.len();
        let mut splits = Vec::new();
        let mut needed = self.needed;
        for number in self.labelled..until {
            let margin = labels.next_margin(last)?;
            let (before, after) = labels.smoothing.around();
            let window = number - before..number + after + 1;
            needed = window.start;
            let error = sums[window.end - origin] - sums[window.start.saturating_sub(origin)];
            // The squared error of the sum over the window that the label stands.
            let allowed = (margin * window.len() as f64 / self.plan.strictness).powi(2);
            if error > 0.0 && error >= allowed {
                let held = window.start.saturating_sub(self.first)..window.end.saturating_sub(self.first);
                self.split(held, error - allowed, &mut splits);
            }
        }
        if splits.is_empty() {
            (self.decided, self.needed) = (until, needed);
        }
        Some(splits.iter().map(|stretch| self.first + (stretch.from + stretch.to) / 2).collect())
    }

    /// Returns the sums of the errors up to each frame, from the first of `errors` to the first `known` of `frames`.
    fn error_sums(&self, known: usize) -> Vec<f64> {
        let errors = self.errors.iter().copied().chain(self.frames.range(..known).map(|frame| frame.error));
        let mut sum = 0.0;
        let sums = errors.map(|error| {
            sum += error;
            sum
        });
        std::iter::once(0.0).chain(sums).collect()
    }

    /// Adds the stretches in `window` with the largest errors, until halving them removes `excess`.
    fn split(&self, window: Range<usize>, mut excess: f64, splits: &mut Vec<Stretch>) {
        let mut others = Vec::new();
        for (stretch, error) in self.stretches(window) {
            if splits.contains(&stretch) {
                excess -= (1.0 - AFTER_SPLIT) * error;
            } else {
                others.push((stretch, error));
            }
        }
        others.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        for (stretch, error) in others {
            if excess < 0.0 {
                break;
            }
            excess -= (1.0 - AFTER_SPLIT) * error;
            splits.push(stretch);
        }
    }

    /// Returns the stretches of interpolated frames that reach into `window`, and their errors there.
    fn stretches(&self, window: Range<usize>) -> Vec<(Stretch, f64)> {
        let mut stretches = Vec::new();
        let mut from = (0..=window.start).rev().find(|&index| self.frames[index].analysed).unwrap_or(0);
        while from < window.end {
            let Some(to) = (from + 1..self.frames.len()).find(|&index| self.frames[index].analysed) else { break };
            let inside = from.max(window.start)..to.min(window.end);
            let error: f64 = self.frames.range(inside).map(|frame| frame.error).sum();
            if to > from + 1 && error > 0.0 {
                stretches.push((Stretch { from, to }, error));
            }
            from = to;
        }
        stretches
    }

    /// Returns the final predictions of the next frames, in order: those that no label which is not decided depends on,
    /// and those for which there is no memory. With `last`, all of them.
    pub fn release(&mut self, last: bool) -> Vec<Sample> {
        if self.frames.is_empty() {
            return Vec::new();
        }
        let keep = self.needed.max(self.decided.saturating_sub(self.plan.behind)).saturating_sub(self.first);
        // A stretch is released as a whole, so that its rest can still be halved.
        let count = match last && self.decided == self.first + self.frames.len() {
            true => self.frames.len(),
            false => {
                (0..=keep.min(self.frames.len() - 1)).rev().find(|&index| self.frames[index].analysed).unwrap_or(0)
            }
        };
        let mut samples = Vec::with_capacity(count);
        for frame in self.frames.drain(..count) {
            self.labels.smoothing.push(&frame.probabilities, frame.pts);
            self.errors.push_back(frame.error);
            samples.push(Sample { probabilities: frame.probabilities, analysed: frame.analysed });
        }
        self.first += count;
        while self.labels.next_margin(false).is_some() {
            self.labelled += 1;
        }
        let over = self.errors.len().saturating_sub(self.first.saturating_sub(self.needed));
        self.errors.drain(..over);
        samples
    }
}
