//! Which groups are learned from and which are kept to check with.

use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::train::dataset::{Dataset, count_classes};

/// What may not stand on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Pictures of one video, person or scene
    #[default]
    Group,
    /// Single pictures, as in the original: neighbours of one video on both sides flatter the figures
    Frame,
    /// Nothing is kept: all is learned from, and nothing tells how good the model is on what is new
    None,
}

/// The names of the groups (of the pictures, for [`By::Frame`]) on either side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    pub by: By,
    pub train: BTreeSet<String>,
    pub validation: BTreeSet<String>,
}

impl Split {
    /// Deals the groups into `folds` hands so that each class is spread evenly, largest groups first; hand number `fold` is
    /// kept for validation. Equal seeds give equal splits.
    ///
    /// # Errors
    /// An input error, where a class has fewer than two groups: it could stand on one side only.
    pub fn deal(data: &Dataset, by: By, folds: usize, fold: usize, seed: u64) -> Result<Self> {
        if by == By::None {
            let train = data.items.iter().map(|item| item.group.clone()).collect();
            return Ok(Self { by, train, validation: BTreeSet::new() });
        }
        let classes = data.labels.len();
        let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for item in &data.items {
            let name = match by {
                By::Frame => &item.name,
                By::Group | By::None => &item.group,
            };
            groups.entry(name).or_insert_with(|| vec![0; classes])[item.class] += 1;
        }
        for (class, label) in data.labels.iter().enumerate() {
            let count = groups.values().filter(|counts| counts[class] > 0).count();
            if count < 2 {
                let picture = data.items.iter().find(|item| item.class == class).map_or("", |item| &item.group);
                return Err(Error::input(format!("class {label} has only one group, {picture}")).remedy(
                    "add pictures or clips from another source, so that what is learned can be checked on what is new",
                ));
            }
        }
        let totals: Vec<f64> =
            (0..classes).map(|class| groups.values().map(|counts| counts[class] as f64).sum::<f64>()).collect();
        let mut order: Vec<_> = groups.iter().collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        order.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.iter().sum::<usize>()));

        let dealt: Vec<f64> =
            (0..classes).map(|class| groups.values().filter(|counts| counts[class] > 0).count() as f64).collect();
        // Shares of the pictures and of the groups of each class that a hand holds.
        let mut hands = vec![vec![0.0; classes]; folds];
        let mut validation = BTreeSet::new();
        for (name, counts) in order {
            // The hand that lacks most of what this group brings; the first of equals.
            let need = |hand: &Vec<f64>| -> f64 {
                (0..classes).map(|class| counts[class] as f64 / totals[class] * hand[class]).sum()
            };
            let best = (0..folds).min_by(|&a, &b| need(&hands[a]).total_cmp(&need(&hands[b]))).unwrap_or(0);
            for (class, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                hands[best][class] += count as f64 / totals[class] + 1.0 / dealt[class];
            }
            if best == fold {
                validation.insert((*name).to_string());
            }
        }
        cover(&groups, &mut validation, classes);
        let train = groups.keys().map(ToString::to_string).filter(|name| !validation.contains(name)).collect();
        Ok(Self { by, train, validation })
    }

    /// Which items of `data` are kept for validation.
    pub fn validates(&self, data: &Dataset) -> Vec<bool> {
        let side = |item: &crate::train::dataset::Item| match self.by {
            By::Frame => self.validation.contains(&item.name),
            By::Group | By::None => self.validation.contains(&item.group),
        };
        data.items.iter().map(side).collect()
    }

    /// A table for people: pictures and groups of each class on either side.
    pub fn describe(&self, data: &Dataset) -> String {
        let kept = self.validates(data);
        let side = |wanted: bool| {
            let items: Vec<_> =
                data.items.iter().zip(&kept).filter(|(_, kept)| **kept == wanted).map(|(i, _)| i).collect();
            let mut groups = vec![BTreeSet::new(); data.labels.len()];
            for item in &items {
                groups[item.class].insert(&item.group);
            }
            (count_classes(items), groups)
        };
        let ((train, train_groups), (validation, validation_groups)) = (side(false), side(true));
        let mut lines = vec![format!("{:<16}{:>22}{:>22}", "class", "learned from", "checked on")];
        for (class, label) in data.labels.iter().enumerate() {
            let cell = |counts: &BTreeMap<usize, usize>, groups: &[BTreeSet<&String>]| {
                format!("{} in {} groups", counts.get(&class).unwrap_or(&0), groups[class].len())
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

/// Moves groups so that both sides have every class: few groups may all have been dealt to one.
fn cover(groups: &BTreeMap<&str, Vec<usize>>, validation: &mut BTreeSet<String>, classes: usize) {
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
                path: "".into(),
                name: format!("{group}_{class}_{i}"),
                clip: false,
                class,
                group: group.into(),
                note: String::new(),
            })
        });
        Dataset { labels: vec!["a".into(), "b".into()], items: items.collect(), alone: 0, grouped_by: String::new() }
    }

    #[test]
    fn a_quarter_of_each_class_is_kept_and_no_group_is_cut() {
        let names: Vec<String> = (0..40).map(|i| format!("g{i}")).collect();
        let groups: Vec<_> = names.iter().enumerate().map(|(i, name)| (name.as_str(), i % 2, 5 + i % 3)).collect();
        let data = data(&groups);
        for seed in 0..5 {
            let split = Split::deal(&data, By::Group, 4, 0, seed).unwrap();
            assert!(split.train.is_disjoint(&split.validation) && split.train.len() + split.validation.len() == 40);
            for class in 0..2 {
                let kept = split.validates(&data);
                let of = |side| data.items.iter().zip(&kept).filter(|(i, k)| i.class == class && **k == side).count();
                let share = of(true) as f64 / (of(true) + of(false)) as f64;
                assert!((share - 0.25).abs() < 0.06, "{share}");
            }
            assert_eq!(split, Split::deal(&data, By::Group, 4, 0, seed).unwrap());
        }
    }

    #[test]
    fn every_group_is_kept_in_one_fold() {
        let names: Vec<String> = (0..21).map(|i| format!("g{i}")).collect();
        let groups: Vec<_> = names.iter().enumerate().map(|(i, name)| (name.as_str(), i % 2, 1 + i % 7)).collect();
        let data = data(&groups);
        let kept: Vec<_> =
            (0..3).flat_map(|fold| Split::deal(&data, By::Group, 3, fold, 1).unwrap().validation).collect();
        assert_eq!((kept.len(), kept.iter().collect::<BTreeSet<_>>().len()), (21, 21));
    }

    #[test]
    fn few_groups_stand_on_both_sides() {
        let data = data(&[("v", 0, 9), ("w", 0, 3), ("x", 1, 4), ("y", 1, 5)]);
        for fold in 0..4 {
            let split = Split::deal(&data, By::Group, 4, fold, 42).unwrap();
            for side in [&split.train, &split.validation] {
                assert!(side.contains("v") || side.contains("w"), "{split:?}");
                assert!(side.contains("x") || side.contains("y"), "{split:?}");
            }
        }
    }

    #[test]
    fn nothing_is_kept_where_all_is_to_be_learned_from() {
        let data = data(&[("v", 0, 9), ("w", 1, 3)]);
        let split = Split::deal(&data, By::None, 4, 0, 42).unwrap();
        assert!(split.train.len() == 2 && split.validates(&data).iter().all(|kept| !kept));
    }

    #[test]
    fn one_group_is_refused() {
        let error = Split::deal(&data(&[("v", 0, 9), ("x", 1, 4), ("y", 1, 5)]), By::Group, 4, 0, 1).unwrap_err();
        assert!(error.to_string().starts_with("class a has only one group, v;"), "{error}");
    }
}
