//! A hash by which near-duplicates are found: copies in another size or quality keep most of it.

use super::planes::{Picture, Plane};

/// Side of the grid: 16 bits for each of 16 rows.
const SIDE: usize = 16;
/// Words of 64 bits.
const WORDS: usize = SIDE * SIDE / 64;

/// The difference hash of a picture, of 256 bits: whether each cell of a grid is brighter than its right neighbour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DifferenceHash([u64; WORDS]);

impl DifferenceHash {
    pub const BYTES: usize = 8 * WORDS;

    pub fn of(picture: &Picture) -> Self {
        let [luma, ..] = picture.planes;
        let cells = [SIDE, SIDE + 1];
        let mut hash = Self::default();
        for (bit, (row, column)) in (0..SIDE).flat_map(|row| (0..SIDE).map(move |column| (row, column))).enumerate() {
            let brighter = mean(&luma, cells, [row, column]) > mean(&luma, cells, [row, column + 1]);
            hash.0[bit / 64] |= u64::from(brighter) << (bit % 64);
        }
        hash
    }

    /// Returns in how many bits two hashes differ.
    pub fn distance(&self, other: &Self) -> u32 {
        self.0.iter().zip(&other.0).map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (part, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *part = word.to_le_bytes();
        }
        bytes
    }

    /// Reads what [`DifferenceHash::to_bytes`] wrote.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let mut hash = Self::default();
        for (word, part) in hash.0.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*part);
        }
        hash
    }
}

/// Returns the mean of one cell of a grid over a plane.
fn mean(plane: &Plane, [rows, columns]: [usize; 2], [row, column]: [usize; 2]) -> f64 {
    let part = |length: usize, parts: usize, index: usize| {
        let begin = index * length / parts;
        begin..((index + 1) * length / parts).max(begin + 1)
    };
    let across = part(plane.width, columns, column);
    let sum: u64 = part(plane.height, rows, row)
        .map(|y| plane.row(y)[across.clone()].iter().map(|&value| u64::from(value)).sum::<u64>())
        .sum();
    sum as f64 / (part(plane.height, rows, row).len() * across.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Colorimetry, OwnedPicture};

    #[test]
    fn a_bit_is_set_where_the_left_cell_is_brighter() {
        let mut picture = OwnedPicture::new(34, 16, Colorimetry::JPEG);
        let [luma, ..] = picture.view_mut().planes;
        // The second cell of the third row.
        luma.data[2 * 34 + 2] = 9;
        let hash = DifferenceHash::of(&picture.view());
        assert_eq!(hash, DifferenceHash([1 << 33, 0, 0, 0]));
        assert_eq!((hash.distance(&hash), hash.distance(&DifferenceHash::default())), (0, 1));
        assert_eq!(DifferenceHash::from_bytes(hash.to_bytes()), hash);
    }

    #[test]
    fn a_picture_smaller_than_the_grid_has_a_hash() {
        let hash = DifferenceHash::of(&OwnedPicture::new(1, 1, Colorimetry::JPEG).view());
        assert_eq!(hash, DifferenceHash::default());
    }
}
