//! I420 pictures: planes with their strides and colorimetry.
//!
//! I420 is a full-size luma plane and two chroma planes of half its width and height, rounded up.

use super::colorimetry::Colorimetry;

/// One plane: rows of `width` bytes, `stride` bytes apart.
#[derive(Clone, Copy)]
pub struct Plane<'a> {
    pub data: &'a [u8],
    pub stride: usize,
    pub width: usize,
    pub height: usize,
}

impl<'a> Plane<'a> {
    pub fn row(&self, y: usize) -> &'a [u8] {
        &self.data[y * self.stride..][..self.width]
    }
}

/// A mutable [`Plane`].
pub struct PlaneMut<'a> {
    pub data: &'a mut [u8],
    pub stride: usize,
    pub width: usize,
    pub height: usize,
}

impl PlaneMut<'_> {
    pub fn row_mut(&mut self, y: usize) -> &mut [u8] {
        &mut self.data[y * self.stride..][..self.width]
    }
}

/// An I420 picture: luma, blue difference, red difference.
#[derive(Clone, Copy)]
pub struct Picture<'a> {
    pub planes: [Plane<'a>; 3],
    pub colorimetry: Colorimetry,
}

impl Picture<'_> {
    pub fn width(&self) -> usize {
        self.planes[0].width
    }

    pub fn height(&self) -> usize {
        self.planes[0].height
    }
}

/// A mutable [`Picture`] in JPEG's colorimetry.
pub struct PictureMut<'a> {
    pub planes: [PlaneMut<'a>; 3],
}

/// Returns the width or height of a chroma plane.
pub fn chroma(luma: usize) -> usize {
    luma.div_ceil(2)
}

/// An I420 picture that owns its bytes, without padding between rows.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedPicture {
    pub width: usize,
    pub height: usize,
    pub colorimetry: Colorimetry,
    bytes: Vec<u8>,
}

impl OwnedPicture {
    /// Creates a picture whose bytes are all zero.
    pub fn new(width: usize, height: usize, colorimetry: Colorimetry) -> Self {
        let bytes = vec![0; width * height + 2 * chroma(width) * chroma(height)];
        Self { width, height, colorimetry, bytes }
    }

    pub fn view(&self) -> Picture<'_> {
        let (cw, ch) = (chroma(self.width), chroma(self.height));
        let (y, rest) = self.bytes.split_at(self.width * self.height);
        let (u, v) = rest.split_at(cw * ch);
        let plane = |data, width, height| Plane { data, stride: width, width, height };
        Picture {
            planes: [plane(y, self.width, self.height), plane(u, cw, ch), plane(v, cw, ch)],
            colorimetry: self.colorimetry,
        }
    }

    pub fn view_mut(&mut self) -> PictureMut<'_> {
        let (cw, ch) = (chroma(self.width), chroma(self.height));
        let (y, rest) = self.bytes.split_at_mut(self.width * self.height);
        let (u, v) = rest.split_at_mut(cw * ch);
        let plane = |data, width, height| PlaneMut { data, stride: width, width, height };
        PictureMut { planes: [plane(y, self.width, self.height), plane(u, cw, ch), plane(v, cw, ch)] }
    }
}
