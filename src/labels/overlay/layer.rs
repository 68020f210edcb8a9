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
        for (row, covered) in shape.values.chunks_exact(shape.width).enumerate().take(self.height.saturating_sub(at.1))
        {
            let pixels = (at.1 + row) * self.width + at.0..(at.1 + row + 1) * self.width;
            for ((y, luma), &covered) in y[pixels.clone()].iter_mut().zip(&mut luma[pixels]).zip(covered) {
                if covered > 0 {
                    let alpha = scaled(covered, opacity);
                    over(y, colour[0], alpha);
                    over(luma, 255, alpha);
                }
            }
        }
        // A chroma pixel gets the mean coverage of its four luma pixels.
        for row in at.1 / 2..(at.1 + shape.height).div_ceil(2).min(self.height / 2) {
            for column in at.0 / 2..(at.0 + shape.width).div_ceil(2).min(self.width / 2) {
                let (x, y) = ((2 * column) as isize - at.0 as isize, (2 * row) as isize - at.1 as isize);
                let four = [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)].map(|(x, y)| u16::from(shape.at(x, y)));
                let sum = four.iter().sum::<u16>();
                if sum == 0 {
                    continue;
                }
                let alpha = scaled(((sum + 2) / 4) as u8, opacity);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Colorimetry, OwnedPicture};

    #[test]
    fn colours_are_those_of_jpeg() {
        assert_eq!(ycbcr([255, 255, 255]), [255, 128, 128]);
        assert_eq!(ycbcr([0, 0, 0]), [0, 128, 128]);
        assert_eq!(ycbcr([0, 255, 0]), [150, 44, 21]);
        assert_eq!(ycbcr([255, 0, 0]), [76, 85, 255]);
        assert_eq!(ycbcr([0, 0, 255]), [29, 255, 107]);
    }

    #[test]
    fn opaque_pixels_get_the_colour_and_chroma_the_mean_coverage() {
        let mut picture = OwnedPicture::new(8, 8, Colorimetry::JPEG);
        picture.view_mut().planes.into_iter().for_each(|plane| plane.data.fill(100));
        let mut layer = Layer::new(4, 4);
        let shape = Coverage { width: 3, height: 2, values: vec![255; 6] };
        layer.paint(&shape, (1, 0), [200, 20, 240], 255);
        layer.blend(&mut picture.view_mut(), (2, 4));
        let view = picture.view();
        assert_eq!(view.planes[0].row(4), [100, 100, 100, 200, 200, 200, 100, 100]);
        assert_eq!(view.planes[0].row(6), [100; 8]);
        // Half of the first chroma pixel is covered, and all of the second.
        assert_eq!(view.planes[1].row(2), [100, 60, 20, 100]);
        assert_eq!(view.planes[2].row(2), [100, 170, 240, 100]);
        assert_eq!(view.planes[1].row(3), [100; 4]);
    }

    #[test]
    fn a_translucent_colour_is_mixed_with_what_is_there() {
        for (below, opacity, expected) in [(0, 128, 100), (255, 128, 227), (255, 0, 255), (7, 255, 200)] {
            let mut picture = OwnedPicture::new(2, 2, Colorimetry::JPEG);
            picture.view_mut().planes.into_iter().for_each(|plane| plane.data.fill(below));
            let mut layer = Layer::new(2, 2);
            layer.paint(&Coverage { width: 2, height: 2, values: vec![255; 4] }, (0, 0), [200; 3], opacity);
            layer.blend(&mut picture.view_mut(), (0, 0));
            assert!(picture.view().planes.iter().all(|plane| plane.data.iter().all(|&value| value == expected)));
        }
    }
}
