//! Draws the ribbon on the lower edge of the plate.

use super::coverage::Coverage;
use super::layer::{Colour, mix_row};
use super::layout::Layout;
use super::ribbon::Ribbon;
use crate::picture::{PictureMut, PlaneMut};

const OPACITY: u32 = 235;

/// The part of a rounded plate that the ribbon covers, and buffers for one row of it.
pub struct Strip {
    /// Upper left corner on the frame; even.
    at: (usize, usize),
    /// Opacity of luma and chroma pixels.
    opacity: [Coverage; 2],
    /// A row of Y, U and V.
    row: [Vec<u8>; 3],
    /// U and V of each column, before two are averaged.
    full: [Vec<u8>; 2],
}

impl Strip {
    /// Creates the strip of a plate of this shape.
    pub fn new(layout: &Layout, plate: &Coverage) -> Self {
        let (width, rows) = (plate.width, layout.ribbon);
        let top = plate.height - rows;
        let luma = |x: usize, y: usize| u32::from(plate.values[(top + y) * width + x]) * OPACITY / 255;
        let mut full = Coverage::new(width, rows);
        full.values.iter_mut().enumerate().for_each(|(i, value)| *value = luma(i % width, i / width) as u8);
        let halved = full.halved();
        let half = halved.width;
        Self {
            at: (layout.origin.0, layout.origin.1 + top),
            opacity: [full, halved],
            row: [vec![0; width], vec![0; half], vec![0; half]],
            full: [vec![0; width], vec![0; width]],
        }
    }

    /// Draws the ribbon; `empty` where nothing was shown.
    pub fn draw(&mut self, picture: &mut PictureMut, ribbon: &Ribbon<Colour>, empty: Colour) {
        let [y, u, v] = &mut self.row;
        let [full_u, full_v] = &mut self.full;
        ribbon.columns(y.len(), |columns, shown| {
            let colour = shown.unwrap_or(empty);
            y[columns.clone()].fill(colour[0]);
            full_u[columns.clone()].fill(colour[1]);
            full_v[columns].fill(colour[2]);
        });
        for (row, full) in [(u, full_u), (v, full_v)] {
            for (value, pair) in row.iter_mut().zip(full.chunks_exact(2)) {
                *value = pair[0].midpoint(pair[1]);
            }
        }
        let [luma, chroma] = &self.opacity;
        let (left, top) = self.at;
        mix(&mut picture.planes[0], (left, top), luma, &self.row[0]);
        mix(&mut picture.planes[1], (left / 2, top / 2), chroma, &self.row[1]);
        mix(&mut picture.planes[2], (left / 2, top / 2), chroma, &self.row[2]);
    }
}

fn mix(plane: &mut PlaneMut, (left, top): (usize, usize), opacity: &Coverage, colours: &[u8]) {
    for (row, opacity) in opacity.values.chunks_exact(opacity.width).enumerate() {
        mix_row(&mut plane.row_mut(top + row)[left..left + opacity.len()], opacity, colours);
    }
}
