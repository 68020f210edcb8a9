//! Tables of the trainer.

use crate::fuzz::files::{Scratch, split};
use crate::learning::files::TABLE;
use crate::learning::store::Store;
use crate::train::dataset::Dataset;
use crate::train::{kept_features::KeptFeatures, subclasses};

/// A table of pictures; and behind a zero byte the rules of subclasses. The table is also one of answers, and the file one of features.
pub fn dataset(bytes: &[u8]) {
    Scratch::with(|scratch| {
        let (table, rules) = split(bytes, 0);
        let rules = subclasses::read(&scratch.file("rules.tsv", rules)).unwrap_or_default();
        if let Ok(data) = Dataset::read_all(&scratch.file("fuzz.tsv", table)) {
            assert!(data.items.iter().all(|item| item.class < data.labels.len()));
            assert!(data.items.is_sorted_by(|one, next| one.name <= next.name));
            for item in &data.items {
                subclasses::subclass(&rules, &data.labels[item.class], item);
            }
        }
        let _ = KeptFeatures::read(&scratch.file("fuzz.features", bytes));
        let folder = tempfile::tempdir_in(scratch.path()).expect("a folder");
        std::fs::write(folder.path().join(TABLE), table).expect("a table");
        let store = Store::open(folder.path(), 1 << 30).expect("a folder with any table can be opened");
        assert!(store.counts().is_ok());
    });
}
