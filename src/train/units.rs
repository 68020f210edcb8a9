//! The output units of the network: one for each label, or several where the data has subclasses.
//!
//! A label such as "other" may cover activities that look nothing alike. With a unit for each, they need not share one
//! direction in feature space. A label's probability is the sum over its units.

use std::collections::BTreeSet;

use tch::{Device, Kind, Tensor};

use crate::train::dataset::{Dataset, Item};

/// The units, ordered by label; of each label first the unit of items without a subclass, then the subclasses by name.
pub struct Units {
    /// Label and subclass of each unit.
    units: Vec<(usize, String)>,
    /// `[units, labels]`: 0 where the unit belongs to the label, -inf elsewhere. The logarithm of a 0/1 matrix.
    membership: Tensor,
}

impl Units {
    pub fn new(data: &Dataset, device: Device) -> Self {
        let found: BTreeSet<(usize, &str)> =
            data.items.iter().map(|item| (item.class, item.subclass.as_str())).collect();
        let units: Vec<(usize, String)> = found.into_iter().map(|(class, name)| (class, name.to_string())).collect();
        let labels = data.labels.len();
        let logarithms: Vec<f32> = units
            .iter()
            .flat_map(|(of, _)| (0..labels).map(move |label| if label == *of { 0.0 } else { f32::NEG_INFINITY }))
            .collect();
        let membership = Tensor::from_slice(&logarithms).view([-1, labels as i64]).to_device(device);
        Self { units, membership }
    }

    pub fn count(&self) -> usize {
        self.units.len()
    }

    /// Returns the label of each unit, or nothing if every label has one unit.
    pub fn labels(&self) -> Option<Vec<usize>> {
        (!self.plain()).then(|| self.units.iter().map(|(label, _)| *label).collect())
    }

    fn plain(&self) -> bool {
        self.units.len() == self.membership.size()[1] as usize
    }

    /// Sums probabilities over the units of each label: maps log-probabilities `[n, units]` to `[n, labels]`.
    pub fn sum_by_label(&self, logarithms: &Tensor) -> Tensor {
        if self.plain() {
            return logarithms.shallow_clone();
        }
        (logarithms.unsqueeze(2) + self.membership.unsqueeze(0)).logsumexp(1i64, false)
    }

    /// Returns the log-probability `[n]` of what is known of each item: its subclass, or its label if it has none.
    pub fn of_items<'a>(&self, logarithms: &Tensor, items: impl Iterator<Item = &'a Item>) -> Tensor {
        let units = self.units.as_slice();
        let targets: Vec<f32> = items
            .flat_map(|item| {
                units.iter().map(|(label, subclass)| {
                    let known = item.subclass.is_empty() || item.subclass == *subclass;
                    if *label == item.class && known { 0.0 } else { f32::NEG_INFINITY }
                })
            })
            .collect();
        let targets = Tensor::from_slice(&targets).view([-1, units.len() as i64]).to_device(logarithms.device());
        (logarithms + targets).to_kind(Kind::Float).logsumexp(1i64, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::network::values;

    fn data(rows: &[(usize, &str)]) -> Dataset {
        let item = |&(class, subclass): &(usize, &str)| Item { class, subclass: subclass.into(), ..Item::default() };
        let labels = vec!["drinking".into(), "other".into()];
        Dataset { labels, items: rows.iter().map(item).collect(), alone: 0, grouped_by: String::new() }
    }

    fn logarithms(probabilities: &[f32]) -> Tensor {
        Tensor::from_slice(probabilities).log().unsqueeze(0)
    }

    #[test]
    fn a_label_has_the_sum_of_its_units() {
        let data = data(&[(0, ""), (1, "phone"), (1, ""), (1, "book")]);
        let units = Units::new(&data, Device::Cpu);
        assert_eq!((units.count(), units.labels()), (4, Some(vec![0, 1, 1, 1])));
        let log = logarithms(&[0.4, 0.1, 0.2, 0.3]);
        let folded = values(&units.sum_by_label(&log).exp()).unwrap();
        assert!((folded[0] - 0.4).abs() < 1e-6 && (folded[1] - 0.6).abs() < 1e-6, "{folded:?}");
        let of = |item: &Item| values(&units.of_items(&log, std::iter::once(item)).exp()).unwrap()[0];
        let found: Vec<f32> = data.items.iter().map(of).collect();
        // The units of "other" are: no subclass, book, phone.
        for (found, expected) in found.iter().zip([0.4, 0.3, 0.6, 0.2]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn without_subclasses_each_label_is_one_unit() {
        let units = Units::new(&data(&[(0, ""), (1, "")]), Device::Cpu);
        assert_eq!((units.count(), units.labels()), (2, None));
        let log = logarithms(&[0.25, 0.75]);
        assert_eq!(values(&units.sum_by_label(&log)).unwrap(), values(&log).unwrap());
    }
}
