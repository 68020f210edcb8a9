//! `livelabel-train features`: keeps the features of pictures that a model learned from, for `adapt`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use sha2::{Digest, Sha256};
use tch::Kind;

use crate::error::{Error, Result};
use crate::onnx::resnet::FEATURES;
use crate::shutdown::Shutdown;
use crate::system::words::{self, count};
use crate::train::adaptable_model::{AdaptableModel, tensor};
use crate::train::adapter::adapted;
use crate::train::dataset::Dataset;
use crate::train::fit::Reporter;
use crate::train::kept_features::{KeptFeatures, KeptRow, Quantized};
use crate::train::merge::source;
use crate::train::network::values;

/// Computes the features of `data` and writes as many rows as fit into `max_bytes` to `output`.
///
/// # Errors
/// `Input` if the data lacks a label of the model or has others, or the model cannot be adapted; `Failed` if the file
/// cannot be written.
pub fn features(
    model: Option<&Path>,
    data: &Path,
    output: &Path,
    max_bytes: u64,
    every: u64,
    reporter: &dyn Reporter,
    shutdown: &Shutdown,
) -> Result<()> {
    let model = AdaptableModel::read(model)?;
    let data = Dataset::read(data, &model.model.labels)?;
    let labels = &model.model.labels;
    let capacity = KeptFeatures::capacity(max_bytes, labels.len());
    if capacity < labels.len() {
        return Err(Error::usage(format!("{} hold no row for each label", words::bytes(max_bytes)))
            .remedy("give more bytes with --max-bytes"));
    }
    let items: Vec<_> = data.items.iter().collect();
    let (rows, unreadable) = model.features(&items, every, reporter, shutdown)?;
    if rows.is_empty() {
        return Err(Error::input("no picture or clip could be read").remedy("check --data"));
    }
    let features = tensor(rows.iter().map(|row| row.values.as_slice()));
    let own = model.head.own(&features);
    let said = values(&adapted(&own, model.head.adapter.as_ref(), &features).softmax(-1, Kind::Float))?;
    let said: Vec<&[f32]> = said.chunks(labels.len()).collect();
    let mut groups: HashMap<&str, u32> = HashMap::new();
    let mut candidates = Vec::new();
    for (row, said) in rows.iter().zip(&said) {
        let label = labels.iter().position(|label| *label == data.labels[row.item.class]).unwrap_or(0);
        let next = groups.len() as u32;
        let group = *groups.entry(row.item.group.as_str()).or_insert(next);
        let kind = if row.item.subclass.is_empty() { source(&row.item.group) } else { &row.item.subclass };
        let others = (0..labels.len()).filter(|&other| other != label).map(|other| said[other]);
        let margin = said[label] - others.fold(0.0, f32::max);
        candidates.push(Candidate { label, kind, margin, identity: identity(&row.values), group });
    }
    let chosen = choose(&candidates, labels.len(), capacity);
    let kept = KeptFeatures {
        backbone: model.cut.backbone_sha256(),
        labels: labels.clone(),
        rows: chosen
            .iter()
            .map(|&index| KeptRow {
                features: Quantized::of(&rows[index].values),
                label: candidates[index].label,
                group: candidates[index].group,
                said: said[index].to_vec(),
            })
            .collect(),
    };
    kept.write(output)?;
    reporter.message(&summary(&kept, rows.len(), unreadable.len(), output));
    Ok(())
}

fn summary(kept: &KeptFeatures, rows: usize, unreadable: usize, output: &Path) -> String {
    let of_label = |label: usize| kept.rows.iter().filter(|row| row.label == label).count();
    let counts: Vec<String> =
        kept.labels.iter().enumerate().map(|(label, name)| format!("{} {name}", of_label(label))).collect();
    let skipped = if unreadable > 0 { format!("; {unreadable} files could not be read") } else { String::new() };
    let size = std::fs::metadata(output).map_or(0, |file| file.len());
    format!(
        "{}: {} of {}, {}: {}{skipped}",
        output.display(),
        kept.rows.len(),
        count(rows as u64, "row"),
        words::bytes(size),
        counts.join(", ")
    )
}

/// Something that depends on the features only, so that the choice does not depend on names or order.
fn identity(features: &[f32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    features.iter().take(FEATURES).for_each(|value| hash.update(value.to_le_bytes()));
    hash.finalize().into()
}

/// A row that may be kept.
struct Candidate<'a> {
    label: usize,
    /// What the picture shows within its label, or else where it comes from.
    kind: &'a str,
    /// How much surer the model is of the true label than of any other.
    margin: f32,
    identity: [u8; 32],
    group: u32,
}

/// Chooses up to `capacity` rows: of each label as many as of the others, of each kind in it as many as of the others, as
/// far as there are so many. Of a kind that does not fit, those come first of which the model is least sure. Returns
/// their indexes in rising order.
fn choose(candidates: &[Candidate], labels: usize, capacity: usize) -> Vec<usize> {
    let of_label = |label: usize| (0..candidates.len()).filter(move |&index| candidates[index].label == label);
    let counts: Vec<usize> = (0..labels).map(|label| of_label(label).count()).collect();
    let mut chosen = Vec::new();
    for (label, quota) in shares(&counts, capacity).into_iter().enumerate() {
        let mut kinds: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        of_label(label).for_each(|index| kinds.entry(candidates[index].kind).or_default().push(index));
        let sizes: Vec<usize> = kinds.values().map(Vec::len).collect();
        for (mut indexes, quota) in kinds.into_values().zip(shares(&sizes, quota)) {
            let key = |&index: &usize| (candidates[index].margin, candidates[index].identity);
            indexes.sort_by(|a, b| key(a).0.total_cmp(&key(b).0).then_with(|| key(a).1.cmp(&key(b).1)));
            chosen.extend_from_slice(&indexes[..quota]);
        }
    }
    chosen.sort_unstable();
    chosen
}

/// Divides `capacity` evenly; what one part cannot use goes to the others.
fn shares(sizes: &[usize], capacity: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&part| sizes[part]);
    let (mut shares, mut left) = (vec![0; sizes.len()], capacity);
    for (done, part) in order.into_iter().enumerate() {
        shares[part] = sizes[part].min(left / (sizes.len() - done));
        left -= shares[part];
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_parts_are_whole_and_large_ones_share_the_rest() {
        assert_eq!(shares(&[10, 2, 30], 20), [9, 2, 9]);
        assert_eq!(shares(&[10, 2, 3], 100), [10, 2, 3]);
        assert_eq!(shares(&[5, 5], 3), [1, 2]);
        assert_eq!(shares(&[], 3), Vec::<usize>::new());
    }

    #[test]
    fn rare_labels_and_kinds_come_first_then_what_the_model_is_least_sure_of() {
        let rows = [
            (0, "car", 0.9),
            (1, "street", 0.9),
            (1, "street", 0.1),
            (1, "street", 0.5),
            (1, "phone", 0.99),
            (1, "street", 0.2),
        ];
        let candidates: Vec<Candidate> = rows
            .iter()
            .enumerate()
            .map(|(number, &(label, kind, margin))| Candidate {
                label,
                kind,
                margin,
                identity: [number as u8; 32],
                group: 0,
            })
            .collect();
        assert_eq!(choose(&candidates, 2, 4), [0, 2, 4, 5]);
        assert_eq!(choose(&candidates, 2, 100), [0, 1, 2, 3, 4, 5]);
    }
}
