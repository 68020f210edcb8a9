//! Coverage: how much of each pixel a shape covers, from 0 to 255.

use crate::picture::chroma;

/// Coverage of a rectangle of pixels, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Coverage {
    pub width: usize,
    pub height: usize,
    pub values: Vec<u8>,
}

impl Coverage {
    /// Creates a rectangle in which nothing is covered.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, values: vec![0; width * height] }
    }

    /// A rectangle of `size` pixels, rounded with `radius`, from the upper left corner of `area`.
    pub fn rounded(area: (usize, usize), size: (f32, f32), radius: f32) -> Self {
        let mut coverage = Self::new(area.0, area.1);
        let centre = (size.0 / 2.0, size.1 / 2.0);
        let radius = radius.min(centre.0).min(centre.1);
        for (y, row) in coverage.values.chunks_exact_mut(area.0).enumerate() {
            for (x, value) in row.iter_mut().enumerate() {
                // The distance of the pixel's centre from the edge, negative inside.
                let dx = (x as f32 + 0.5 - centre.0).abs() - (centre.0 - radius);
                let dy = (y as f32 + 0.5 - centre.1).abs() - (centre.1 - radius);
                let distance = dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - radius;
                *value = ((0.5 - distance).clamp(0.0, 1.0) * 255.0).round() as u8;
            }
        }
        coverage
    }

    /// Adds the coverage of a glyph, `width` pixels wide, whose upper left corner is `at`. What lies outside is cut off.
    pub fn add(&mut self, values: &[u8], width: usize, at: (i32, i32)) {
        for (row, values) in values.chunks_exact(width).enumerate() {
            let Some(y) = inside(at.1, row, self.height) else { continue };
            for (column, &value) in values.iter().enumerate() {
                let Some(x) = inside(at.0, column, self.width) else { continue };
                let pixel = &mut self.values[y * self.width + x];
                *pixel = pixel.saturating_add(value);
            }
        }
    }

    /// Averages squares of four pixels, for planes of half the size. At an odd edge the last pixels count twice.
    pub fn halved(&self) -> Self {
        let (width, height) = (chroma(self.width), chroma(self.height));
        let (right, bottom) = (self.width.saturating_sub(1), self.height.saturating_sub(1));
        let at = |x: usize, y: usize| u32::from(self.values[y.min(bottom) * self.width + x.min(right)]);
        let mean = |x: usize, y: usize| (at(x, y) + at(x + 1, y) + at(x, y + 1) + at(x + 1, y + 1) + 2) / 4;
        let values = (0..height).flat_map(|y| (0..width).map(move |x| mean(2 * x, 2 * y) as u8)).collect();
        Self { width, height, values }
    }

    /// Returns the coverage of a pixel; 0 outside.
    pub fn at(&self, x: isize, y: isize) -> u8 {
        match (usize::try_from(x), usize::try_from(y)) {
            (Ok(x), Ok(y)) if x < self.width && y < self.height => self.values[y * self.width + x],
            _ => 0,
        }
    }
}

fn inside(origin: i32, offset: usize, length: usize) -> Option<usize> {
    usize::try_from(origin.checked_add(i32::try_from(offset).ok()?)?).ok().filter(|&position| position < length)
}
