//! What people said of frames: reads the table, and leaves out what cannot be learned from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::onnx::head::check_labels;
use crate::shutdown::Shutdown;
use crate::system::words::count;
use crate::train::adaptable_model::AdaptableModel;
use crate::train::dataset::{Dataset, Item};
use crate::train::fit::Reporter;
use crate::train::network_rows::NetworkRow;
use crate::train::parts::Visit;
use crate::train::views::content;

/// Maximum number of frames: 160 MiB of features.
const MAX_FRAMES: usize = 20_000;

/// A frame that people labelled.
#[derive(Debug)]
pub struct Frame {
    /// Index into [`Corrections::labels`].
    pub label: usize,
    /// Number of its visit, in order of time.
    pub visit: usize,
    /// In milliseconds, from any origin; `None` if it is unknown.
    pub time: Option<i64>,
    /// Identifies the picture.
    pub content: [u8; 32],
    pub features: Vec<f32>,
}

#[derive(Debug)]
pub struct Corrections {
    /// The model's labels, then new ones in the order of the table.
    pub labels: Vec<String>,
    /// Number of labels that the model lacks.
    pub new_labels: usize,
    /// In order of visit and time.
    pub frames: Vec<Frame>,
}

impl Corrections {
    /// Reads `data`, and computes the features of its frames. Frames that cannot be read, pictures with two labels, and
    /// the oldest of too many are left out with a warning.
    ///
    /// # Errors
    /// `Input` if there is no frame to learn from; those of [`AdaptableModel::features`].
    pub fn read(
        data: &Path,
        model: &AdaptableModel,
        every: u64,
        reporter: &dyn Reporter,
        shutdown: &Shutdown,
    ) -> Result<Self> {
        let data_name = data.display();
        let data = Dataset::read_all(data)?;
        let mut labels = model.model.labels.clone();
        let known: BTreeSet<&String> = model.model.labels.iter().collect();
        labels.extend(data.labels.iter().filter(|label| !known.contains(label)).cloned());
        let new_labels = labels.len() - model.model.labels.len();
        check_labels(&labels)
            .map_err(|what| Error::input(format!("{data_name}: {what}")).remedy("give each class a name"))?;
        let index: BTreeMap<&str, usize> = labels.iter().enumerate().map(|(i, label)| (label.as_str(), i)).collect();
        let label = |item: &Item| index[data.labels[item.class].as_str()];

        let contents = contents(&data);
        let items = latest(consistent(&data, &contents));
        let (rows, _) = model.features(&items, every, reporter, shutdown)?;
        if rows.is_empty() {
            return Err(Error::input(format!("{data_name}: has no frame to learn from"))
                .remedy("correct some frames, each with one label, and check that their files are there"));
        }
        let moment = |row: &NetworkRow| {
            let began = row.item.time.map(|time| (time.unix_timestamp_nanos() / 1_000_000) as i64);
            began.or(row.time.map(|_| 0)).map(|began| began + row.time.unwrap_or(0) as i64)
        };
        let visits = visits(&rows);
        let frame = |row: NetworkRow| Frame {
            label: label(row.item),
            visit: visits[row.item.group.as_str()],
            time: moment(&row),
            content: identity(&contents[&row.item.path], row.time),
            features: row.values,
        };
        let mut frames: Vec<(String, Frame)> =
            rows.into_iter().map(|row| (row.item.name.clone(), frame(row))).collect();
        frames.sort_by(|(a, x), (b, y)| (x.visit, x.time, a).cmp(&(y.visit, y.time, b)));
        drop(visits);
        let frames = frames.into_iter().map(|(_, frame)| frame).collect();
        drop(index);
        Ok(Self { labels, new_labels, frames })
    }

    /// Returns the visits in order of time.
    pub fn visits(&self) -> Vec<Visit> {
        let mut visits: Vec<Visit> = Vec::new();
        for frame in &self.frames {
            visits.resize_with(visits.len().max(frame.visit + 1), || Visit { frames: 0, labels: BTreeSet::new() });
            visits[frame.visit].frames += 1;
            visits[frame.visit].labels.insert(frame.label);
        }
        visits
    }
}

/// Returns the SHA-256 of each file; zeros for one that cannot be read, which is reported when it is decoded.
fn contents(data: &Dataset) -> HashMap<std::path::PathBuf, [u8; 32]> {
    data.items.par_iter().map(|item| (item.path.clone(), content(&item.path).unwrap_or_default())).collect()
}

/// Identifies a picture by its file, and a clip's frame also by its time.
fn identity(content: &[u8; 32], time: Option<u64>) -> [u8; 32] {
    match time {
        None => *content,
        Some(time) => Sha256::new_with_prefix(content).chain_update(time.to_le_bytes()).finalize().into(),
    }
}

/// Returns each picture once, and none that has two labels.
fn consistent<'a>(data: &'a Dataset, contents: &HashMap<std::path::PathBuf, [u8; 32]>) -> Vec<&'a Item> {
    let mut by_content: BTreeMap<[u8; 32], Vec<&Item>> = BTreeMap::new();
    let mut items = Vec::new();
    for item in &data.items {
        match contents[&item.path] {
            // A file that cannot be read.
            none if none == [0; 32] => items.push(item),
            content => by_content.entry(content).or_default().push(item),
        }
    }
    for same in by_content.into_values() {
        let first = same[0];
        match same.iter().find(|item| item.class != first.class) {
            None => items.push(first),
            Some(other) => tracing::warn!(
                "{} is labelled {:?}, and the same picture {} {:?}; it is left out until one of them is corrected",
                first.name,
                data.labels[first.class],
                other.name,
                data.labels[other.class]
            ),
        }
    }
    items
}

/// Returns the items, or the latest of too many.
fn latest(mut items: Vec<&Item>) -> Vec<&Item> {
    items.sort_by(|a, b| (a.time, &a.name).cmp(&(b.time, &b.name)));
    if items.len() > MAX_FRAMES {
        let older = items.len() - MAX_FRAMES;
        tracing::warn!(
            "{} are more than {MAX_FRAMES}; the oldest {older} are left out",
            count(items.len() as u64, "frame")
        );
        items.drain(..older);
    }
    items
}

/// Numbers the visits by the time of their first frame, or else by name.
fn visits<'a>(rows: &[NetworkRow<'a>]) -> HashMap<&'a str, usize> {
    let mut first: BTreeMap<&str, Option<time::OffsetDateTime>> = BTreeMap::new();
    for row in rows {
        let time = row.item.time;
        let found = first.entry(row.item.group.as_str()).or_insert(time);
        *found = (*found).min(time);
    }
    let mut order: Vec<(Option<time::OffsetDateTime>, &str)> =
        first.into_iter().map(|(name, time)| (time, name)).collect();
    order.sort_unstable();
    order.into_iter().enumerate().map(|(number, (_, name))| (name, number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(rows: &[(&str, &str, &str)]) -> (tempfile::TempDir, Dataset) {
        let folder = tempfile::tempdir().unwrap();
        let mut table = "path\tclass\tsplit_group\n".to_string();
        for (path, class, content) in rows {
            std::fs::write(folder.path().join(path), content).unwrap();
            table.push_str(&format!("{path}\t{class}\tg\n"));
        }
        std::fs::write(folder.path().join("all.tsv"), table).unwrap();
        let data = Dataset::read_all(folder.path()).unwrap();
        (folder, data)
    }

    #[test]
    fn a_picture_with_two_labels_is_left_out_and_a_copy_counts_once() {
        let rows = [
            ("1.jpg", "drinking", "a"),
            ("2.jpg", "other", "a"),
            ("3.jpg", "other", "b"),
            ("4.jpg", "other", "b"),
            ("5.jpg", "../../etc", "c"),
        ];
        let (_folder, data) = data(&rows);
        assert_eq!(data.labels, ["drinking", "other", "../../etc"]);
        let mut names: Vec<&str> = consistent(&data, &contents(&data)).iter().map(|item| item.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["3.jpg", "5.jpg"]);
    }

    #[test]
    fn visits_are_numbered_by_time() {
        let at = |second: i64| time::OffsetDateTime::from_unix_timestamp(second).ok();
        let item = |group: &str, time| Item { group: group.into(), time, ..Item::default() };
        let items = [item("a", at(30)), item("b", at(10)), item("a", at(20)), item("c", at(15))];
        let rows: Vec<NetworkRow> =
            items.iter().map(|item| NetworkRow { item, time: None, values: Vec::new() }).collect();
        assert_eq!(visits(&rows), HashMap::from([("b", 0), ("c", 1), ("a", 2)]));
    }
}
