//! A small translucent picture that shapes are painted on once, and that is then blended with many frames.

use multiversion::multiversion;

use super::coverage::Coverage;
use crate::picture::{PictureMut, PlaneMut};

/// Y, U and V in JPEG's colorimetry.
pub type Colour = [u8; 3];

/// Converts sRGB to JPEG's YCbCr: BT.601 in the full range.
pub const fn ycbcr([r, g, b]: [u8; 3]) -> Colour {
    let (r, g, b) = (r as i32, g as i32, b as i32);
    // Coefficients in 2⁻¹⁶, rounded.
    let y = (19_595 * r + 38_470 * g + 7_471 * b + 32_768) >> 16;
    let u = ((-11_059 * r - 21_709 * g + 32_768 * b + 32_767) >> 16) + 128;
    let v = ((32_768 * r - 27_439 * g - 5_329 * b + 32_767) >> 16) + 128;
    [y as u8, u as u8, v as u8]
}

/// A picture with opacity. Width, height and position on the frame are even, so chroma pixels lie on the frame's.
#[derive(Clone, Default)]
pub struct Layer {
    pub width: usize,
    pub height: usize,
    /// Opacity of luma pixels and of chroma pixels.
    opacity: [Vec<u8>; 2],
    /// Y, U and V, multiplied by the opacity.
    planes: [Vec<u8>; 3],
}

impl Layer {
    /// Creates a transparent layer. `width` and `height` are even.
    pub fn new(width: usize, height: usize) -> Self {
        let (luma, chroma) = (width * height, width * height / 4);
        let plane = |pixels| vec![0; pixels];
        Self { width, height, opacity: [luma, chroma].map(plane), planes: [luma, chroma, chroma].map(plane) }
    }

    /// Makes this layer equal to one of the same size.
    pub fn copy_from(&mut self, other: &Self) {
        (self.width, self.height) = (other.width, other.height);
        self.opacity.iter_mut().zip(&other.opacity).for_each(|(to, from)| to.clone_from(from));
        self.planes.iter_mut().zip(&other.planes).for_each(|(to, from)| to.clone_from(from));
    }

    /// Paints a shape whose upper left corner is `at`, in one colour with an opacity of up to 255.
    pub fn paint(&mut self, shape: &Coverage, at: (usize, usize), colour: Colour, opacity: u8) {
        let [luma, chroma] = &mut self.opacity;
        let [y, u, v] = &mut self.planes;
        for row in at.1..(at.1 + shape.height).min(self.height) {
            for column in at.0..(at.0 + shape.width).min(self.width) {
                let covered = shape.values[(row - at.1) * shape.width + column - at.0];
                let alpha = scaled(covered, opacity);
                let index = row * self.width + column;
                over(&mut y[index], colour[0], alpha);
                over(&mut luma[index], 255, alpha);
            }
        }
        // A chroma pixel gets the mean coverage of its four luma pixels.
        for row in at.1 / 2..(at.1 + shape.height).div_ceil(2).min(self.height / 2) {
            for column in at.0 / 2..(at.0 + shape.width).div_ceil(2).min(self.width / 2) {
                let (x, y) = ((2 * column) as isize - at.0 as isize, (2 * row) as isize - at.1 as isize);
                let four = [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)].map(|(x, y)| u16::from(shape.at(x, y)));
                let alpha = scaled(((four.iter().sum::<u16>() + 2) / 4) as u8, opacity);
                let index = row * (self.width / 2) + column;
                over(&mut u[index], colour[1], alpha);
                over(&mut v[index], colour[2], alpha);
                over(&mut chroma[index], 255, alpha);
            }
        }
    }

    /// Blends the layer with a picture that contains it, at an even position.
    pub fn blend(&self, picture: &mut PictureMut, (left, top): (usize, usize)) {
        let [luma, chroma] = &self.opacity;
        let [y, u, v] = &mut picture.planes;
        blend_plane(y, (left, top), self.width, luma, &self.planes[0]);
        blend_plane(u, (left / 2, top / 2), self.width / 2, chroma, &self.planes[1]);
        blend_plane(v, (left / 2, top / 2), self.width / 2, chroma, &self.planes[2]);
    }
}

fn blend_plane(plane: &mut PlaneMut, at: (usize, usize), width: usize, opacity: &[u8], colours: &[u8]) {
    let rows = opacity.chunks_exact(width).zip(colours.chunks_exact(width));
    for (row, (opacity, colours)) in rows.enumerate() {
        blend_row(&mut plane.row_mut(at.1 + row)[at.0..at.0 + width], opacity, colours);
    }
}

/// Blends colours that are multiplied by their opacity already.
#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn blend_row(pixels: &mut [u8], opacity: &[u8], colours: &[u8]) {
    for ((pixel, &opacity), &colour) in pixels.iter_mut().zip(opacity).zip(colours) {
        // At most 255: the colour is at most the opacity.
        *pixel = scaled(*pixel, 255 - opacity).wrapping_add(colour);
    }
}

/// Blends colours with one row of pixels.
#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
pub fn mix_row(pixels: &mut [u8], opacity: &[u8], colours: &[u8]) {
    for ((pixel, &opacity), &colour) in pixels.iter_mut().zip(opacity).zip(colours) {
        *pixel = scaled(*pixel, 255 - opacity).wrapping_add(scaled(colour, opacity));
    }
}

/// Puts `colour` over what is there.
fn over(pixel: &mut u8, colour: u8, alpha: u8) {
    *pixel = scaled(*pixel, 255 - alpha) + scaled(colour, alpha);
}

/// Returns `value · factor / 255`, rounded. The sums stay below 2¹⁶.
#[inline(always)]
fn scaled(value: u8, factor: u8) -> u8 {
    let product = u16::from(value).wrapping_mul(u16::from(factor)).wrapping_add(128);
    (product.wrapping_add(product >> 8) >> 8) as u8
}
