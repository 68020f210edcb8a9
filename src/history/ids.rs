//! Ids of rows. They are made from what a row is about, so that an index made again has the same ones.

use sha2::{Digest, Sha256};

/// Ids of the counts that are of no label.
pub const WATCHED: i64 = 1;
pub const RECORDED: i64 = 2;
/// The smallest id of a name.
const FIRST: i64 = 16;
/// SQLite stores a number of up to 47 bits and a sign in six bytes.
const MASK: i64 = (1 << 47) - 1;

/// Returns the id of `parts`.
pub fn of(parts: &[&str]) -> i64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let hash: [u8; 32] = hash.finalize().into();
    let bytes = [hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]];
    (i64::from_le_bytes(bytes) & MASK).max(FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_tell_parts_apart() {
        assert_eq!(of(&["door"]), of(&["door"]));
        assert_ne!(of(&["a", "bc"]), of(&["ab", "c"]));
        assert!((FIRST..=MASK).contains(&of(&[""])));
    }
}
