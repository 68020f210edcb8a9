//! The split into training and validation groups.

use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::system::words::count;
use crate::train::dataset::{Dataset, count_classes};

/// What a split never divides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitBy {
    /// Groups: pictures of one video, person or scene
    #[default]
    Group,
    /// Single pictures, as in the original: neighbouring frames on both sides make the metrics too good
    Frame,
    /// No validation set: trains on all pictures, without a measure of accuracy on new ones
    None,
}

/// The names of the groups (for [`SplitBy::Frame`], of the pictures) on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    pub by: SplitBy,
    pub train: BTreeSet<String>,
    pub validation: BTreeSet<String>,
}

impl Split {
    /// Distributes the groups over `folds` parts, largest groups first, so that each class is spread evenly. Part
    /// `fold` is held out for validation. Equal seeds give equal splits.
    ///
    /// # Errors
    /// `Input` if a class has fewer than two groups, because it would be on one side only.
    pub fn new(data: &Dataset, by: SplitBy, folds: usize, fold: usize, seed: u64) -> Result<Self> {
        if by == SplitBy::None {
            let train = data.items.iter().map(|item| item.group.clone()).collect();
            return Ok(Self { by, train, validation: BTreeSet::new() });
        }
        let classes = data.labels.len();
        let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for item in &data.items {
            let name = match by {
                SplitBy::Frame => &item.name,
                SplitBy::Group | SplitBy::None => &item.group,
            };
            groups.entry(name).or_insert_with(|| vec![0; classes])[item.class] += 1;
        }
        for (class, label) in data.labels.iter().enumerate() {
            let count = groups.values().filter(|counts| counts[class] > 0).count();
            if count < 2 {
                let picture = data.items.iter().find(|item| item.class == class).map_or("", |item| &item.group);
                return Err(Error::input(format!("class {label} has only one group, {picture}")).remedy(
                    "add pictures or clips from another source, so that the model can be validated on new ones; pictures \
                     whose names differ only in the number after the last _ count as frames of one video, so name \
                     unrelated ones without it, as walk-1.jpg",
                ));
            }
        }
        let totals: Vec<f64> =
            (0..classes).map(|class| groups.values().map(|counts| counts[class] as f64).sum::<f64>()).collect();
        let mut order: Vec<_> = groups.iter().collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        order.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.iter().sum::<usize>()));

        let group_counts: Vec<f64> =
            (0..classes).map(|class| groups.values().filter(|counts| counts[class] > 0).count() as f64).collect();
        // For each part and class: its share of the pictures plus its share of the groups.
        let mut parts = vec![vec![0.0; classes]; folds];
        let mut validation = BTreeSet::new();
        for (name, counts) in order {
            // The part with the least of this group's classes; the first of equal ones.
            let load = |part: &Vec<f64>| -> f64 {
                (0..classes).map(|class| counts[class] as f64 / totals[class] * part[class]).sum()
            };
            let best = (0..folds).min_by(|&a, &b| load(&parts[a]).total_cmp(&load(&parts[b]))).unwrap_or(0);
            for (class, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                parts[best][class] += count as f64 / totals[class] + 1.0 / group_counts[class];
            }
            if best == fold {
                validation.insert((*name).to_string());
            }
        }
        balance_sides(&groups, &mut validation, classes);
        let train = groups.keys().map(ToString::to_string).filter(|name| !validation.contains(name)).collect();
        Ok(Self { by, train, validation })
    }

    /// Returns for each item of `data` whether it is held out for validation.
    pub fn validates(&self, data: &Dataset) -> Vec<bool> {
        let side = |item: &crate::train::dataset::Item| match self.by {
            SplitBy::Frame => self.validation.contains(&item.name),
            SplitBy::Group | SplitBy::None => self.validation.contains(&item.group),
        };
        data.items.iter().map(side).collect()
    }

    /// Formats a table with the number of pictures and groups of each class on both sides.
    pub fn describe(&self, data: &Dataset) -> String {
        let validation_items = self.validates(data);
        let side = |wanted: bool| {
            let items: Vec<_> = data
                .items
                .iter()
                .zip(&validation_items)
                .filter(|(_, validation_items)| **validation_items == wanted)
                .map(|(i, _)| i)
                .collect();
            let mut groups = vec![BTreeSet::new(); data.labels.len()];
            for item in &items {
                groups[item.class].insert(&item.group);
            }
            (count_classes(items), groups)
        };
        let ((train, train_groups), (validation, validation_groups)) = (side(false), side(true));
        let mut lines = vec![format!("{:<16}{:>22}{:>22}", "class", "training", "validation")];
        for (class, label) in data.labels.iter().enumerate() {
            let cell = |counts: &BTreeMap<usize, usize>, groups: &[BTreeSet<&String>]| {
                format!("{} in {}", counts.get(&class).unwrap_or(&0), count(groups[class].len() as u64, "group"))
            };
            lines.push(format!(
                "{label:<16}{:>22}{:>22}",
                cell(&train, &train_groups),
                cell(&validation, &validation_groups)
            ));
        }
        lines.join("\n")
    }
}

/// Moves groups so that both sides have every class. With few groups, all may be on one side.
fn balance_sides(groups: &BTreeMap<&str, Vec<usize>>, validation: &mut BTreeSet<String>, classes: usize) {
    for class in 0..classes {
        let of_class: Vec<_> = groups.iter().filter(|(_, counts)| counts[class] > 0).collect();
        let inside = of_class.iter().filter(|(name, _)| validation.contains(**name)).count();
        let smallest = of_class.iter().min_by_key(|(_, counts)| counts[class]).map(|(name, _)| name.to_string());
        let Some(smallest) = smallest else { continue };
        if inside == 0 {
            validation.insert(smallest);
        } else if inside == of_class.len() {
            validation.remove(&smallest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::dataset::Item;

    fn data(groups: &[(&str, usize, usize)]) -> Dataset {
        let items = groups.iter().flat_map(|&(group, class, count)| {
            (0..count).map(move |i| Item {
                name: format!("{group}_{class}_{i}"),
                class,
                group: group.into(),
                ..Item::default()
            })
        });
        Dataset { labels: vec!["a".into(), "b".into()], items: items.collect(), alone: 0, grouped_by: String::new() }
    }

    #[test]
    fn a_quarter_of_each_class_is_held_out_and_no_group_is_divided() {
        let names: Vec<String> = (0..40).map(|i| format!("g{i}")).collect();
        let groups: Vec<_> = names.iter().enumerate().map(|(i, name)| (name.as_str(), i % 2, 5 + i % 3)).collect();
        let data = data(&groups);
        for seed in 0..5 {
            let split = Split::new(&data, SplitBy::Group, 4, 0, seed).unwrap();
            assert!(split.train.is_disjoint(&split.validation) && split.train.len() + split.validation.len() == 40);
            for class in 0..2 {
                let validation_items = split.validates(&data);
                let of = |side| {
                    data.items.iter().zip(&validation_items).filter(|(i, k)| i.class == class && **k == side).count()
                };
                let share = of(true) as f64 / (of(true) + of(false)) as f64;
                assert!((share - 0.25).abs() < 0.06, "{share}");
            }
            assert_eq!(split, Split::new(&data, SplitBy::Group, 4, 0, seed).unwrap());
        }
    }

    #[test]
    fn every_group_is_held_out_in_exactly_one_fold() {
        let names: Vec<String> = (0..21).map(|i| format!("g{i}")).collect();
        let groups: Vec<_> = names.iter().enumerate().map(|(i, name)| (name.as_str(), i % 2, 1 + i % 7)).collect();
        let data = data(&groups);
        let validation_items: Vec<_> =
            (0..3).flat_map(|fold| Split::new(&data, SplitBy::Group, 3, fold, 1).unwrap().validation).collect();
        assert_eq!((validation_items.len(), validation_items.iter().collect::<BTreeSet<_>>().len()), (21, 21));
    }

    #[test]
    fn with_few_groups_both_sides_have_every_class() {
        let data = data(&[("v", 0, 9), ("w", 0, 3), ("x", 1, 4), ("y", 1, 5)]);
        for fold in 0..4 {
            let split = Split::new(&data, SplitBy::Group, 4, fold, 42).unwrap();
            for side in [&split.train, &split.validation] {
                assert!(side.contains("v") || side.contains("w"), "{split:?}");
                assert!(side.contains("x") || side.contains("y"), "{split:?}");
            }
        }
    }

    #[test]
    fn without_a_validation_set_all_groups_are_for_training() {
        let data = data(&[("v", 0, 9), ("w", 1, 3)]);
        let split = Split::new(&data, SplitBy::None, 4, 0, 42).unwrap();
        assert!(split.train.len() == 2 && split.validates(&data).iter().all(|validation_items| !validation_items));
    }

    #[test]
    fn a_class_with_one_group_is_an_error() {
        let error = Split::new(&data(&[("v", 0, 9), ("x", 1, 4), ("y", 1, 5)]), SplitBy::Group, 4, 0, 1).unwrap_err();
        assert!(error.to_string().starts_with("class a has only one group, v;"), "{error}");
    }
}
