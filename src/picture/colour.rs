//! Converts pictures to JPEG's colorimetry.
//!
//! JPEG (JFIF 1.02) has one colorimetry only: BT.601's matrix in the full range. Most video has another, so frames are
//! converted while they are copied for drawing, in one pass and without leaving I420. Between two YCbCr matrices luma
//! never influences chroma, which keeps the pass short: with both sides' RGB equal, `Y' = Y + a·U + b·V` and
//! `(U', V')` is a 2×2 matrix times `(U, V)`.

use multiversion::multiversion;

use super::colorimetry::{Colorimetry, Matrix};
use super::planes::{Picture, PictureMut, Plane, PlaneMut};

/// Fractional bits of the coefficients.
const SHIFT: u32 = 14;
const HALF: i32 = 1 << (SHIFT - 1);

/// Fixed-point coefficients from a picture's colorimetry to JPEG's.
struct Coefficients {
    black: i32,
    /// Luma from luma, U and V.
    luma: [i32; 3],
    /// U from U and V, V from U and V.
    chroma: [[i32; 2]; 2],
}

impl Coefficients {
    fn to_jpeg(from: Colorimetry) -> Self {
        let (kr, kb) = from.matrix.weights();
        let (tr, tb) = Matrix::Bt601.weights();
        let (black, luma, chroma) = from.range.levels();
        let kg = 1.0 - kr - kb;
        let tg = 1.0 - tr - tb;
        // R−Y, G−Y and B−Y of the source, from (U, V) in −½…½.
        let red = [0.0, 2.0 * (1.0 - kr)];
        let blue = [2.0 * (1.0 - kb), 0.0];
        let green = [-blue[0] * kb / kg, -red[1] * kr / kg];
        // The difference between the target's and the source's luma.
        let shift = [0, 1].map(|i| tr * red[i] + tg * green[i] + tb * blue[i]);
        let u = [0, 1].map(|i| (blue[i] - shift[i]) / (2.0 * (1.0 - tb)));
        let v = [0, 1].map(|i| (red[i] - shift[i]) / (2.0 * (1.0 - tr)));
        let fixed = |value: f64| (value * f64::from(1 << SHIFT)).round() as i32;
        Self {
            black: black as i32,
            luma: [fixed(255.0 / luma), fixed(shift[0] * 255.0 / chroma), fixed(shift[1] * 255.0 / chroma)],
            chroma: [u.map(|c| fixed(c * 255.0 / chroma)), v.map(|c| fixed(c * 255.0 / chroma))],
        }
    }
}

/// Copies `from` into `to`, converted to [`Colorimetry::JPEG`].
///
/// # Panics
/// If the sizes differ.
pub fn convert(from: &Picture, to: &mut PictureMut) {
    assert_eq!((from.width(), from.height()), (to.planes[0].width, to.planes[0].height));
    if from.colorimetry == Colorimetry::JPEG {
        for (source, target) in from.planes.iter().zip(&mut to.planes) {
            for y in 0..source.height {
                target.row_mut(y).copy_from_slice(source.row(y));
            }
        }
        return;
    }
    let coefficients = Coefficients::to_jpeg(from.colorimetry);
    let [y, u, v] = &from.planes;
    let [to_y, to_u, to_v] = &mut to.planes;
    if from.colorimetry.matrix == Matrix::Bt601 {
        scale_plane(y, to_y, coefficients.luma[0], coefficients.black, 0);
        scale_plane(u, to_u, coefficients.chroma[0][0], 128, 128);
        scale_plane(v, to_v, coefficients.chroma[1][1], 128, 128);
        return;
    }
    let mut shifts = vec![0; 2 * u.width];
    for row in 0..u.height {
        let (u, v) = (u.row(row), v.row(row));
        luma_shifts(u, v, &mut shifts, &coefficients);
        for row in (2 * row..y.height).take(2) {
            convert_luma(y.row(row), &shifts, to_y.row_mut(row), &coefficients);
        }
        convert_chroma(u, v, to_u.row_mut(row), to_v.row_mut(row), &coefficients);
    }
}

fn scale_plane(from: &Plane, to: &mut PlaneMut, factor: i32, zero: i32, to_zero: i32) {
    for y in 0..from.height {
        scale_row(from.row(y), to.row_mut(y), factor, zero, to_zero);
    }
}

#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn scale_row(from: &[u8], to: &mut [u8], factor: i32, zero: i32, to_zero: i32) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = clamp((((i32::from(from) - zero) * factor + HALF) >> SHIFT) + to_zero);
    }
}

/// Computes what a row of chroma adds to its two rows of luma, one value for each luma column.
#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn luma_shifts(u: &[u8], v: &[u8], shifts: &mut [i32], k: &Coefficients) {
    for ((pair, &u), &v) in shifts.chunks_exact_mut(2).zip(u).zip(v) {
        pair.fill((i32::from(u) - 128) * k.luma[1] + (i32::from(v) - 128) * k.luma[2] + HALF);
    }
}

#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn convert_luma(y: &[u8], shifts: &[i32], to: &mut [u8], k: &Coefficients) {
    for ((to, &y), &shift) in to.iter_mut().zip(y).zip(shifts) {
        *to = clamp(((i32::from(y) - k.black) * k.luma[0] + shift) >> SHIFT);
    }
}

#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn convert_chroma(u: &[u8], v: &[u8], to_u: &mut [u8], to_v: &mut [u8], k: &Coefficients) {
    for (((to_u, to_v), &u), &v) in to_u.iter_mut().zip(to_v).zip(u).zip(v) {
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        *to_u = clamp(((u * k.chroma[0][0] + v * k.chroma[0][1] + HALF) >> SHIFT) + 128);
        *to_v = clamp(((u * k.chroma[1][0] + v * k.chroma[1][1] + HALF) >> SHIFT) + 128);
    }
}

#[inline(always)]
fn clamp(value: i32) -> u8 {
    value.clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::super::colorimetry::Range;
    use super::super::planes::OwnedPicture;
    use super::*;

    /// Encodes one colour by the definition of YCbCr, in floating point.
    fn encode(rgb: [f64; 3], colorimetry: Colorimetry) -> [u8; 3] {
        let (kr, kb) = colorimetry.matrix.weights();
        let (black, luma, chroma) = colorimetry.range.levels();
        let [r, g, b] = rgb;
        let y = kr * r + (1.0 - kr - kb) * g + kb * b;
        let (u, v) = ((b - y) / (2.0 * (1.0 - kb)), (r - y) / (2.0 * (1.0 - kr)));
        [black + luma * y, 128.0 + chroma * u, 128.0 + chroma * v].map(|value| value.round().clamp(0.0, 255.0) as u8)
    }

    fn flat(numbers: [u8; 3], colorimetry: Colorimetry) -> OwnedPicture {
        let mut picture = OwnedPicture::new(37, 21, colorimetry);
        for (plane, number) in picture.view_mut().planes.into_iter().zip(numbers) {
            plane.data.fill(number);
        }
        picture
    }

    #[test]
    fn every_matrix_and_range_is_converted_to_jpegs() {
        for matrix in [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020] {
            for range in [Range::Limited, Range::Full] {
                let colorimetry = Colorimetry { matrix, range };
                for code in 0..125 {
                    let rgb = [code % 5, code / 5 % 5, code / 25].map(|step| f64::from(step) / 4.0);
                    let from = flat(encode(rgb, colorimetry), colorimetry);
                    let mut to = OwnedPicture::new(37, 21, Colorimetry::JPEG);
                    convert(&from.view(), &mut to.view_mut());
                    let expected = encode(rgb, Colorimetry::JPEG);
                    for (plane, expected) in to.view().planes.iter().zip(expected) {
                        let first = plane.data[0];
                        assert!(plane.data.iter().all(|&value| value == first), "{colorimetry:?} {rgb:?} is not flat");
                        assert!(first.abs_diff(expected) <= 2, "{colorimetry:?} {rgb:?}: {first} for {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn jpegs_own_colorimetry_is_only_copied() {
        let mut from = OwnedPicture::new(5, 3, Colorimetry::JPEG);
        for plane in from.view_mut().planes {
            plane.data.iter_mut().enumerate().for_each(|(i, byte)| *byte = (7 * i) as u8);
        }
        let mut to = OwnedPicture::new(5, 3, Colorimetry::JPEG);
        convert(&from.view(), &mut to.view_mut());
        assert_eq!(from, to);
    }
}
