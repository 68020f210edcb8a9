//! Recognises the files that a model learned from: a Bloom filter of their content, small enough for the model file.
//!
//! It never overlooks a file, but takes some others for known ones. Their share is computed from the filter, so that
//! a warning can allow for them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest, Sha256};

/// Maximum size in bytes: 8 KiB as text.
const MAX_BYTES: usize = 6144;
/// Bits for each file, if there is space: below 1 % of other files are then taken for known.
const BITS: usize = 10;
/// Standard deviations that a number of known files must be above the expected number of mistakes.
const SURE: f64 = 3.0;

/// The files of a training.
#[derive(Debug, PartialEq)]
pub struct LearnedFiles {
    /// Number of bits that each file sets.
    hashes: u32,
    bits: Vec<u8>,
}

impl LearnedFiles {
    /// Records files by the SHA-256 of their content.
    pub fn of(contents: &[[u8; 32]]) -> Self {
        let bytes = (contents.len() * BITS).div_ceil(8).clamp(8, MAX_BYTES);
        let each = 8.0 * bytes as f64 / contents.len().max(1) as f64;
        let hashes = (each * std::f64::consts::LN_2).round().clamp(1.0, 7.0) as u32;
        let mut files = Self { hashes, bits: vec![0; bytes] };
        for content in contents {
            for bit in files.positions(content) {
                files.bits[bit / 8] |= 1 << (bit % 8);
            }
        }
        files
    }

    fn contains(&self, content: &[u8; 32]) -> bool {
        self.positions(content).all(|bit| self.bits[bit / 8] & 1 << (bit % 8) != 0)
    }

    fn positions(&self, content: &[u8; 32]) -> impl Iterator<Item = usize> + use<> {
        let (content, count) = (*content, self.bits.len() as u64 * 8);
        (0..self.hashes).map(move |number| {
            let hash = Sha256::new_with_prefix(content).chain_update(number.to_le_bytes()).finalize();
            let first = hash.iter().take(8).fold(0, |value, &byte| value << 8 | u64::from(byte));
            (first % count) as usize
        })
    }

    /// Returns how many of these files the model learned from, if they are more than mistakes explain.
    pub fn known(&self, contents: &[[u8; 32]]) -> Option<usize> {
        let found = contents.iter().filter(|content| self.contains(content)).count();
        let set: u32 = self.bits.iter().map(|byte| byte.count_ones()).sum();
        let share = (f64::from(set) / (8 * self.bits.len()) as f64).powi(self.hashes as i32);
        let mistakes = contents.len() as f64 * share;
        (found as f64 > mistakes + SURE * (mistakes * (1.0 - share)).sqrt()).then_some(found)
    }

    /// Returns the text for the model's metadata.
    pub fn text(&self) -> String {
        format!("bloom {} {}", self.hashes, STANDARD_NO_PAD.encode(&self.bits))
    }

    /// Reads the text of a model's metadata; nothing if another version wrote it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let (Some("bloom"), Some(hashes), Some(bits), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let (hashes, bits) = (hashes.parse().ok()?, STANDARD_NO_PAD.decode(bits).ok()?);
        ((1..=7).contains(&hashes) && (1..=MAX_BYTES).contains(&bits.len())).then_some(Self { hashes, bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(range: std::ops::Range<u32>) -> Vec<[u8; 32]> {
        range.map(|number| Sha256::digest(number.to_le_bytes()).into()).collect()
    }

    #[test]
    fn files_are_recognised_and_others_are_not() {
        for count in [1, 24, 1000, 8000, 20_000] {
            let files = LearnedFiles::of(&contents(0..count));
            assert_eq!(files.known(&contents(0..count)), Some(count as usize));
            assert_eq!(files.known(&contents(100_000..102_000)), None, "{count}");
            assert_eq!(LearnedFiles::parse(&files.text()).unwrap(), files);
            assert!(files.text().len() <= 8200, "{}", files.text().len());
        }
    }

    #[test]
    fn a_few_known_files_among_others_are_noticed() {
        let files = LearnedFiles::of(&contents(0..1000));
        let mixed = [contents(990..1000), contents(5000..5100)].concat();
        assert!((10..14).contains(&files.known(&mixed).unwrap()));
    }

    #[test]
    fn so_many_files_that_nothing_can_be_said_give_no_warning() {
        let files = LearnedFiles::of(&contents(0..300_000));
        assert_eq!(files.known(&contents(0..24)), None);
    }

    #[test]
    fn a_text_of_another_form_is_not_read() {
        for text in ["", "bloom", "bloom 0 AAAA", "bloom 3 ", "bloom 3 *", "sketch 3 AAAA", "bloom 3 AAAA x"] {
            assert_eq!(LearnedFiles::parse(text), None, "{text}");
        }
    }
}
