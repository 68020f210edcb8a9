//! Compares two models on the same rows: how many each labels right, and how sure the difference is.

use std::collections::BTreeMap;

use crate::train::bootstrap;

/// A row with a known label, and what both models say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Its visit, or its group.
    pub group: usize,
    pub label: usize,
    pub old: usize,
    pub new: usize,
}

/// What one model labels right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Score {
    pub right: usize,
    /// Of each label that occurs: rows labelled right, and all of its rows.
    pub recall: BTreeMap<usize, (usize, usize)>,
}

/// Both models' scores, and the difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub rows: usize,
    pub groups: usize,
    pub old: Score,
    pub new: Score,
    /// How many more rows the new model labels right: the middle 95 % when groups are drawn again.
    pub difference: (f64, f64),
    /// The same for each label that occurs.
    pub of_labels: BTreeMap<usize, (f64, f64)>,
}

impl Comparison {
    pub fn of(rows: &[Compared]) -> Self {
        let score = |said: fn(&Compared) -> usize| {
            let mut score = Score::default();
            for row in rows {
                let right = usize::from(said(row) == row.label);
                let (found, all) = score.recall.entry(row.label).or_default();
                (*found, *all, score.right) = (*found + right, *all + 1, score.right + right);
            }
            score
        };
        let (old, new) = (score(|row| row.old), score(|row| row.new));
        let groups = by_group(rows);
        let all: Vec<Difference> = groups
            .iter()
            .map(|labels| labels.values().fold(Difference::default(), |sum, of_label| sum.plus(of_label)))
            .collect();
        let mut of_labels = BTreeMap::new();
        for &label in old.recall.keys() {
            let groups: Vec<Difference> = groups.iter().filter_map(|labels| labels.get(&label)).copied().collect();
            of_labels.insert(label, interval(&groups));
        }
        Self { rows: rows.len(), groups: groups.len(), old, new, difference: interval(&all), of_labels }
    }
}

/// The rows of a group, and how many more of them the new model labels right.
#[derive(Clone, Copy, Debug, Default)]
struct Difference {
    rows: usize,
    more: i64,
}

impl Difference {
    fn plus(self, other: &Self) -> Self {
        Self { rows: self.rows + other.rows, more: self.more + other.more }
    }
}

/// Returns for each group the difference in each of its labels.
fn by_group(rows: &[Compared]) -> Vec<BTreeMap<usize, Difference>> {
    let mut groups: BTreeMap<usize, BTreeMap<usize, Difference>> = BTreeMap::new();
    for row in rows {
        let right = |said: usize| i64::from(said == row.label);
        let difference = groups.entry(row.group).or_default().entry(row.label).or_default();
        *difference = difference.plus(&Difference { rows: 1, more: right(row.new) - right(row.old) });
    }
    groups.into_values().collect()
}

/// Returns the interval of the difference, for as many rows as there are: groups have different sizes, so those drawn may
/// have more or fewer.
fn interval(groups: &[Difference]) -> (f64, f64) {
    if groups.iter().all(|group| group.more == 0) {
        return (0.0, 0.0);
    }
    let rows: usize = groups.iter().map(|group| group.rows).sum();
    let difference = |drawn: Vec<usize>| {
        let sum = drawn.into_iter().fold(Difference::default(), |sum, group| sum.plus(&groups[group]));
        sum.more as f64 * rows as f64 / sum.rows as f64
    };
    bootstrap::middle(bootstrap::draws(groups.len()).map(difference).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_counted_for_each_label() {
        let row = |group, label, old, new| Compared { group, label, old, new };
        let rows = [row(0, 0, 0, 0), row(0, 0, 1, 0), row(1, 0, 1, 0), row(1, 2, 2, 1)];
        let found = Comparison::of(&rows);
        assert_eq!((found.rows, found.groups), (4, 2));
        assert_eq!(found.old, Score { right: 2, recall: BTreeMap::from([(0, (1, 3)), (2, (1, 1))]) });
        assert_eq!(found.new, Score { right: 3, recall: BTreeMap::from([(0, (3, 3)), (2, (0, 1))]) });
        // Group 0 gains one of two rows, group 1 none of two.
        assert_eq!(found.difference, (0.0, 2.0));
        // Of label 0, group 0 gains one of two and group 1 one of one.
        assert_eq!(found.of_labels, BTreeMap::from([(0, (1.5, 3.0)), (2, (-1.0, -1.0))]));
    }

    #[test]
    fn equal_models_do_not_differ() {
        let rows: Vec<Compared> =
            (0..6).map(|group| Compared { group, label: 0, old: group % 2, new: group % 2 }).collect();
        let found = Comparison::of(&rows);
        assert_eq!((found.difference, found.of_labels[&0]), ((0.0, 0.0), (0.0, 0.0)));
        assert_eq!(Comparison::of(&[]).difference, (0.0, 0.0));
    }
}
