//! One part of the inputs, for several machines that need not know of each other.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Most shards of a run.
const MAX_COUNT: u64 = 100_000;

/// The option `--shard`: a part of all inputs, by their names. Whichever machine looks, and whichever inputs are added, an
/// input belongs to the same shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Shard {
    /// From 0.
    index: u64,
    count: u64,
}

impl Shard {
    /// Returns whether the shard has the input with this name.
    pub fn contains(self, name: &str) -> bool {
        let hash = Sha256::digest(name);
        let number = hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        number % self.count == self.index
    }

    /// Returns a file's path for this shard, like `all.3-of-16.csv` for `all.csv`.
    pub fn path(self, path: &Path) -> PathBuf {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
        path.with_file_name(format!("{stem}.{}-of-{}{}", self.index, self.count, extension.unwrap_or_default()))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        let Some((index, count)) = numbers else { return Err(format!("{text:?} is no shard like 3/16")) };
        match count {
            0 => Err("a run has at least one shard".into()),
            _ if count > MAX_COUNT => Err(format!("a run has at most {MAX_COUNT} shards")),
            _ if index >= count => Err(format!("shards are counted from 0: the last one is {}/{count}", count - 1)),
            _ => Ok(Self { index, count }),
        }
    }
}

impl TryFrom<String> for Shard {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_input_is_in_one_shard() {
        let shards: Vec<Shard> = (0..16).map(|index| Shard { index, count: 16 }).collect();
        let names: Vec<String> = (0..1600).map(|number| format!("clip-{number}.mp4")).collect();
        let mut sizes = [0; 16];
        for name in &names {
            let having: Vec<usize> = (0..16).filter(|&index| shards[index].contains(name)).collect();
            assert_eq!(having.len(), 1, "{name}");
            sizes[having[0]] += 1;
        }
        assert!(sizes.iter().all(|size| (70..=130).contains(size)), "{sizes:?}");
        // On every machine, and in every version.
        assert_eq!((0..16).find(|&index| shards[index].contains("monday.mp4")), Some(4));
    }

    #[test]
    fn shards_are_counted_from_0() {
        assert_eq!("3/16".parse(), Ok(Shard { index: 3, count: 16 }));
        assert_eq!("16/16".parse::<Shard>().unwrap_err(), "shards are counted from 0: the last one is 15/16");
        for invalid in ["", "3", "3/", "/16", "-1/16", "a/b", "0/0", "0/100001", "1/2/3"] {
            assert!(invalid.parse::<Shard>().is_err(), "{invalid}");
        }
    }

    #[test]
    fn files_of_a_shard_have_its_number() {
        let shard: Shard = "3/16".parse().unwrap();
        assert_eq!(shard.path(Path::new("results/all.csv")), Path::new("results/all.3-of-16.csv"));
        assert_eq!(shard.path(Path::new("overview.html")), Path::new("overview.3-of-16.html"));
    }
}
