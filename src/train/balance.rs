//! Balancing of classes and groups of different sizes.

use std::collections::HashMap;

use crate::train::dataset::Dataset;
use crate::train::features::Sample;

/// Returns class weights proportional to the inverse square root of the class sizes. Their mean over all pictures is 1.
pub fn root_weights(counts: &[f64]) -> Vec<f64> {
    let whole: f64 = counts.iter().sum();
    let scale = whole / counts.iter().map(|count| count.sqrt()).sum::<f64>();
    counts.iter().map(|count| scale / f64::max(*count, 1.0).sqrt()).collect()
}

/// Returns the cumulative sampling weights of all samples: equal for classes, proportional to the square root of the
/// size for groups within a class, and equal for samples within a group.
pub fn cumulative_weights(data: &Dataset, samples: &[Sample]) -> Vec<f64> {
    let mut sizes = HashMap::new();
    let key = |sample: &Sample| (data.items[sample.item].class, data.items[sample.item].group.as_str());
    for sample in samples {
        *sizes.entry(key(sample)).or_insert(0.0) += 1.0;
    }
    let mut totals = vec![0.0; data.labels.len()];
    for ((class, _), size) in &sizes {
        totals[*class] += f64::sqrt(*size);
    }
    let weight = |sample: &Sample| 1.0 / f64::sqrt(sizes[&key(sample)]) / totals[key(sample).0];
    samples
        .iter()
        .scan(0.0, |sum, sample| {
            *sum += weight(sample);
            Some(*sum)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::dataset::Item;

    #[test]
    fn classes_have_equal_weight_and_groups_the_root_of_their_size() {
        // Class 0 has a group of 9 and one of 1, class 1 one of 4.
        let groups = [("a", 0, 9), ("b", 0, 1), ("c", 1, 4)];
        let items = groups.iter().flat_map(|&(group, class, count)| {
            (0..count).map(move |i| Item { name: format!("{group}{i}"), class, group: group.into(), ..Item::default() })
        });
        let labels = vec!["x".into(), "y".into()];
        let data = Dataset { labels, items: items.collect(), alone: 0, grouped_by: String::new() };
        let samples: Vec<Sample> = (0..14).map(|item| Sample { item, time: 0, first_row: item, views: 1 }).collect();
        let sums = cumulative_weights(&data, &samples);
        // 3:1 within the class: the square root_weights of 9 and 1.
        for (index, expected) in [(8, 0.75), (9, 1.0), (13, 2.0)] {
            assert!((sums[index] - expected).abs() < 1e-12, "{sums:?}");
        }
    }

    #[test]
    fn root_weights_follow_their_definition() {
        let found = root_weights(&[1.0, 4.0, 25.0]);
        // 30 / (1 + 2 + 5) times 1, 1/2, 1/5.
        for (found, expected) in found.iter().zip([3.75, 1.875, 0.75]) {
            assert!((found - expected).abs() < 1e-12);
        }
    }
}
