//! Samples a clip whose predictions are all known, as a clip or as a camera.

use std::collections::VecDeque;

use crate::labels::labeler::Labeler;
use crate::labels::sampling::{Evidence, ForwardSampler, Sample, Sampler};
use crate::picture::LumaGrid;

/// Returns what `sampler` makes of `frames`, pts in nanoseconds and pictures, with the prediction of each; and the most
/// frames that it held. Results of the grid come `late` frames of the grid after their own.
pub fn replay(
    mut sampler: Sampler,
    frames: impl Iterator<Item = (u64, LumaGrid)>,
    prediction: impl Fn(usize) -> Vec<f32>,
    late: usize,
) -> (Vec<Sample>, usize) {
    let (mut samples, mut pending, mut most_held) = (Vec::new(), VecDeque::new(), 0);
    for (number, (pts, picture)) in frames.enumerate() {
        if sampler.push(pts, picture) {
            pending.push_back(number);
        }
        most_held = most_held.max(number + 1 - samples.len());
        while pending.len() > late
            && let Some(number) = pending.pop_front()
        {
            sampler.insert(number, prediction(number));
            settle(&mut sampler, &mut samples, &prediction, false);
        }
    }
    pending.extend(sampler.end());
    pending.into_iter().for_each(|number| sampler.insert(number, prediction(number)));
    settle(&mut sampler, &mut samples, &prediction, true);
    (samples, most_held)
}

/// Analyses what the sampler wants, until it wants more frames.
fn settle(sampler: &mut Sampler, samples: &mut Vec<Sample>, prediction: &impl Fn(usize) -> Vec<f32>, last: bool) {
    while let Some(wanted) = sampler.wanted(last) {
        if wanted.is_empty() {
            samples.extend(sampler.release(last));
        }
        wanted.into_iter().for_each(|number| sampler.insert(number, prediction(number)));
    }
}

/// Returns what a camera's `labeler` gets if a [`ForwardSampler`] chooses among `frames`, pts in nanoseconds and pictures,
/// with the prediction of each. Labels come `late` frames after their own.
pub fn replay_forwards(
    mut labeler: Labeler,
    frames: impl Iterator<Item = (u64, LumaGrid)>,
    prediction: impl Fn(usize) -> Vec<f32>,
    late: usize,
) -> Vec<Sample> {
    let (mut sampler, mut evidence) = (ForwardSampler::default(), Evidence::default());
    let (mut samples, mut waiting) = (Vec::new(), VecDeque::new());
    let mut label = |analysed: bool, number: usize, pts: u64, evidence: &mut Evidence| {
        labeler.push(analysed.then(|| prediction(number)), pts, pts);
        labeler.next(true);
        let (margin, window) = labeler.margin();
        evidence.update(analysed.then(|| labeler.prediction()), margin, window);
        samples.push(Sample { probabilities: labeler.prediction().to_vec(), analysed });
    };
    for (number, (pts, picture)) in frames.enumerate() {
        if waiting.len() > late
            && let Some((analysed, number, pts)) = waiting.pop_front()
        {
            label(analysed, number, pts, &mut evidence);
        }
        waiting.push_back((sampler.wants(pts, picture, true, &evidence), number, pts));
    }
    waiting.into_iter().for_each(|(analysed, number, pts)| label(analysed, number, pts, &mut evidence));
    samples
}
