//! A coarse copy of a picture's luma, to tell cheaply whether two pictures differ.

use crate::picture::{Picture, Plane};

const COLUMNS: usize = 32;
const ROWS: usize = 18;
/// Pixels averaged in each direction of a cell. More cost time and hardly change the difference.
const SAMPLES: usize = 4;

/// The mean luma of each cell of a grid of 32×18.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LumaGrid([u8; COLUMNS * ROWS]);

impl LumaGrid {
    /// Reads at most 16 pixels of each cell, whatever the picture's size.
    pub fn of(picture: &Picture) -> Self {
        let luma = &picture.planes[0];
        let (columns, rows) = (positions::<COLUMNS>(luma.width), positions::<ROWS>(luma.height));
        let mut cells = [0; COLUMNS * ROWS];
        for (cells, rows) in cells.chunks_exact_mut(COLUMNS).zip(&rows) {
            for (cell, columns) in cells.iter_mut().zip(&columns) {
                *cell = mean(luma, columns, rows);
            }
        }
        Self(cells)
    }

    /// The grid of a picture of one brightness.
    #[cfg(test)]
    pub fn flat(level: u8) -> Self {
        Self([level; COLUMNS * ROWS])
    }

    /// Returns the mean absolute difference of the cells, in levels of luma from 0 to 255.
    pub fn difference(&self, other: &Self) -> f32 {
        let sum: u32 = self.0.iter().zip(&other.0).map(|(&a, &b)| u32::from(a.abs_diff(b))).sum();
        sum as f32 / (COLUMNS * ROWS) as f32
    }
}

/// Returns the positions that are read in each of `N` cells of a line of `length` pixels.
fn positions<const N: usize>(length: usize) -> [[usize; SAMPLES]; N] {
    std::array::from_fn(|cell| {
        std::array::from_fn(|sample| (2 * (cell * SAMPLES + sample) + 1) * length / (2 * N * SAMPLES))
    })
}

fn mean(plane: &Plane, columns: &[usize; SAMPLES], rows: &[usize; SAMPLES]) -> u8 {
    let mut sum = 0;
    for &row in rows {
        let row = plane.row(row);
        sum += columns.iter().map(|&column| u32::from(row[column])).sum::<u32>();
    }
    (sum / (SAMPLES * SAMPLES) as u32) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Colorimetry, OwnedPicture};

    fn grid(width: usize, height: usize, luma: impl Fn(usize, usize) -> u8) -> LumaGrid {
        let mut picture = OwnedPicture::new(width, height, Colorimetry::JPEG);
        let plane = picture.view_mut().planes.into_iter().next().unwrap();
        for y in 0..height {
            for x in 0..width {
                plane.data[y * plane.stride + x] = luma(x, y);
            }
        }
        LumaGrid::of(&picture.view())
    }

    #[test]
    fn a_cell_is_the_mean_of_its_pixels() {
        let halves = grid(640, 360, |x, _| if x < 320 { 40 } else { 200 });
        assert!(halves.0.chunks(COLUMNS).all(|row| row[..16] == [40; 16] && row[16..] == [200; 16]));
        let stripes = grid(640, 360, |_, y| if y / 5 % 2 == 0 { 0 } else { 100 });
        assert!(stripes.0.iter().all(|&cell| cell == 50), "{stripes:?}");
    }

    #[test]
    fn the_difference_is_a_mean_over_the_picture() {
        let (dark, bright) = (grid(160, 90, |_, _| 10), grid(160, 90, |_, _| 40));
        assert_eq!(dark.difference(&bright), 30.0);
        assert_eq!(dark.difference(&dark), 0.0);
        let half = grid(160, 90, |_, y| if y < 45 { 10 } else { 40 });
        assert_eq!(half.difference(&dark), 15.0);
    }

    #[test]
    fn a_picture_may_be_smaller_than_the_grid() {
        assert_eq!(grid(1, 1, |_, _| 7), grid(7, 3, |_, _| 7));
    }
}
