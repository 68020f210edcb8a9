//! Deals visits into parts, each of which is once held out.

use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of parts.
pub const PARTS: usize = 5;

/// The frames of one visit.
#[derive(Clone, Debug)]
pub struct Visit {
    pub frames: usize,
    pub labels: BTreeSet<usize>,
}

/// Deals visits, which are ordered by time, into up to [`PARTS`] parts of neighbours. Returns each visit's part.
///
/// A label of several visits is divided first, so that its frames are not held out together; then the largest parts are,
/// in halves of frames.
pub fn deal(visits: &[Visit]) -> Vec<usize> {
    // A cut is the index of the first visit after it.
    let mut cuts: BTreeSet<usize> = BTreeSet::new();
    let mut places: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for (index, visit) in visits.iter().enumerate() {
        for &label in &visit.labels {
            places.entry(label).or_insert((index, index)).1 = index;
        }
    }
    let mut spans: Vec<(usize, usize)> = places.into_values().filter(|(first, last)| first < last).collect();
    spans.sort_by_key(|(first, last)| (last - first, *first));
    for (first, last) in spans {
        if cuts.len() + 1 < PARTS && cuts.range(first + 1..=last).next().is_none() {
            cuts.insert(middle(visits, first, last + 1));
        }
    }
    while cuts.len() + 1 < PARTS {
        let edges: Vec<usize> = std::iter::once(0).chain(cuts.iter().copied()).chain([visits.len()]).collect();
        let divisible = edges.windows(2).filter(|edge| edge[1] - edge[0] > 1);
        let frames = |edge: &&[usize]| visits[edge[0]..edge[1]].iter().map(|visit| visit.frames).sum::<usize>();
        // The first of equal ones.
        let Some(largest) = divisible.rev().max_by_key(frames) else { break };
        cuts.insert(middle(visits, largest[0], largest[1]));
    }
    (0..visits.len()).map(|index| cuts.range(..=index).count()).collect()
}

/// Returns the cut between `first` and `end` that divides their frames most evenly; the first of equal ones.
fn middle(visits: &[Visit], first: usize, end: usize) -> usize {
    let frames = |range: std::ops::Range<usize>| visits[range].iter().map(|visit| visit.frames).sum::<usize>();
    let uneven = |cut: &usize| frames(first..*cut).abs_diff(frames(*cut..end));
    (first + 1..end).min_by_key(uneven).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visits(given: &[(usize, &[usize])]) -> Vec<Visit> {
        given.iter().map(|&(frames, labels)| Visit { frames, labels: labels.iter().copied().collect() }).collect()
    }

    #[test]
    fn parts_are_neighbours_of_about_the_same_size() {
        let even = visits(&[(10, &[0][..]); 10]);
        assert_eq!(deal(&even), [0, 0, 1, 2, 2, 3, 3, 4, 4, 4]);
        assert_eq!(deal(&visits(&[(100, &[0]), (1, &[0]), (1, &[0])])), [0, 1, 2]);
        assert_eq!(deal(&visits(&[(5, &[0])])), [0]);
        assert_eq!(deal(&[]), Vec::<usize>::new());
    }

    #[test]
    fn a_label_of_two_visits_is_divided_first() {
        let mut given = vec![(10, &[0][..]); 12];
        given[10] = (10, &[0, 1]);
        given[11] = (10, &[1]);
        let parts = deal(&visits(&given));
        assert_eq!((parts[10], parts[11]), (3, 4));
        assert_eq!(parts.len(), 12);
    }
}
