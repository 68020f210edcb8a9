//! Colorimetry of pictures.

/// The weights of red, green and blue in luma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matrix {
    Bt601,
    Bt709,
    Bt2020,
}

impl Matrix {
    /// Returns the weights of red and blue: ITU-R BT.601, BT.709, BT.2020 (non-constant luminance).
    pub fn weights(self) -> (f64, f64) {
        match self {
            Matrix::Bt601 => (0.299, 0.114),
            Matrix::Bt709 => (0.2126, 0.0722),
            Matrix::Bt2020 => (0.2627, 0.0593),
        }
    }
}

/// The range of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Luma 16–235, chroma 16–240.
    Limited,
    /// 0–255.
    Full,
}

impl Range {
    /// Returns the value of black, and the width of luma's and of chroma's range.
    pub fn levels(self) -> (f64, f64, f64) {
        match self {
            Range::Limited => (16.0, 219.0, 224.0),
            Range::Full => (0.0, 255.0, 255.0),
        }
    }
}

/// Matrix and range of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colorimetry {
    pub matrix: Matrix,
    pub range: Range,
}

impl Colorimetry {
    pub const JPEG: Self = Self { matrix: Matrix::Bt601, range: Range::Full };
}
