//! What sampling changes: the labels of predictions from some of the frames beside those from every frame.

use std::ops::Range;

use serde::Serialize;

use crate::bench::sampling::Track;
use crate::labels::rule::LabelRule;
use crate::labels::sampling::Sample;

/// An edge at least as many frames away belongs to another interval.
const NEAR: usize = 128;
/// Frames by which an edge may be off without being counted.
const TOLERATED: usize = 2;
/// An interval is lost or invented if it is longer than this, in nanoseconds, and the other side has no frame of it.
const LONG: u64 = 500_000_000;

/// Sums over clips.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LabelChange {
    pub frames: usize,
    pub analysed: usize,
    /// Frames with the same label.
    pub same: usize,
    /// Edges of labels on either side, counterparts counted once.
    pub edges: usize,
    /// Edges that are off by more than two frames, or have no counterpart.
    pub shifted: usize,
    /// Intervals of more than 0.5 s that only analysing every frame shows, and that only the samples show.
    pub lost: usize,
    pub invented: usize,
}

impl LabelChange {
    /// Adds the comparison of a clip's `samples` with analysing every frame.
    pub fn add(&mut self, rule: &LabelRule, track: &Track, samples: &[Sample]) {
        let full = labels(rule, track, track.frames.iter().map(|frame| frame.prediction.as_slice()));
        let sampled = labels(rule, track, samples.iter().map(|sample| sample.probabilities.as_slice()));
        let shifts = shifts(&full, &sampled);
        self.frames += track.frames.len();
        self.analysed += samples.iter().filter(|sample| sample.analysed).count();
        self.same += full.iter().zip(&sampled).filter(|(a, b)| a == b).count();
        self.edges += shifts.len();
        self.shifted += shifts.iter().filter(|&&shift| shift > TOLERATED).count();
        self.lost += missing(track, &full, &sampled);
        self.invented += missing(track, &sampled, &full);
    }
}

/// Returns the label of each frame.
fn labels<'a>(rule: &LabelRule, track: &Track, predictions: impl Iterator<Item = &'a [f32]>) -> Vec<usize> {
    let mut labeler = rule.labeler(track.frames[0].prediction.len(), usize::MAX);
    for (frame, prediction) in track.frames.iter().zip(predictions) {
        labeler.push(Some(prediction.to_vec()), frame.pts, frame.end);
    }
    std::iter::from_fn(|| labeler.next(true).map(|output| output.decision.label)).collect()
}

/// Returns how many long intervals of `labels` have no frame of their label in `others`.
fn missing(track: &Track, labels: &[usize], others: &[usize]) -> usize {
    let is_long = |run: &Range<usize>| track.frames[run.end - 1].end - track.frames[run.start].pts > LONG;
    runs(labels).filter(|(run, label)| is_long(run) && !others[run.clone()].contains(label)).count()
}

/// Returns the runs of frames with the same label.
fn runs(labels: &[usize]) -> impl Iterator<Item = (Range<usize>, usize)> {
    let mut begin = 0;
    labels.chunk_by(|a, b| a == b).map(move |run| {
        let range = begin..begin + run.len();
        begin = range.end;
        (range, run[0])
    })
}

/// Returns how many frames each edge lies from its counterpart; [`NEAR`] for those without one, on either side.
fn shifts(full: &[usize], sampled: &[usize]) -> Vec<usize> {
    let edges = |labels: &[usize]| -> Vec<(usize, usize, usize)> {
        (1..labels.len()).filter(|&i| labels[i] != labels[i - 1]).map(|i| (i, labels[i - 1], labels[i])).collect()
    };
    let mut others = edges(sampled);
    let mut shifts = Vec::new();
    for (at, from, to) in edges(full) {
        let like = others.iter().enumerate().filter(|(_, other)| (other.1, other.2) == (from, to));
        let nearest = like.map(|(index, other)| (other.0.abs_diff(at), index)).min();
        match nearest.filter(|&(shift, _)| shift < NEAR) {
            Some((shift, index)) => {
                others.remove(index);
                shifts.push(shift);
            }
            None => shifts.push(NEAR),
        }
    }
    shifts.extend(others.iter().map(|_| NEAR));
    shifts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_has_one_counterpart() {
        assert_eq!(shifts(&[0, 0, 1, 1, 0], &[0, 1, 1, 1, 0]), [1, 0]);
        assert_eq!(shifts(&[0, 1, 0, 0], &[0, 0, 0, 0]), [NEAR, NEAR]);
        assert_eq!(shifts(&[0, 0, 0], &[0, 2, 2]), [NEAR]);
    }
}
