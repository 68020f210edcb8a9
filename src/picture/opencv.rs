//! The functions of OpenCV that this program uses, through `opencv.cpp`. Bindings of the whole library take minutes to build.

use std::ffi::{CStr, CString, c_char, c_int};
use std::marker::PhantomData;

/// An error of OpenCV.
#[derive(Debug)]
pub struct Error(String);

pub type Result<T> = std::result::Result<T, Error>;

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Borrowed 8-bit pixels: rows are `stride` bytes apart, channels are interleaved.
#[repr(C)]
pub struct Pixels<'a> {
    data: *mut u8,
    stride: usize,
    width: c_int,
    height: c_int,
    channels: c_int,
    memory: PhantomData<&'a [u8]>,
}

/// Mutable [`Pixels`].
pub struct PixelsMut<'a>(Pixels<'a>);

impl<'a> Pixels<'a> {
    /// # Panics
    /// If `data` is too short for the size.
    pub fn new(data: &'a [u8], (width, height): (usize, usize), stride: usize, channels: usize) -> Self {
        // OpenCV only reads these pixels.
        Self::described(data.as_ptr().cast_mut(), data.len(), (width, height), stride, channels)
    }

    fn described(data: *mut u8, len: usize, size: (usize, usize), stride: usize, channels: usize) -> Self {
        let (width, height) = size;
        let row = width * channels;
        let holds = height == 0 || (stride >= row && stride * (height - 1) + row <= len);
        assert!(holds, "a plane is shorter than it says");
        let number = |value: usize| c_int::try_from(value).unwrap_or(c_int::MAX);
        assert!(number(width) < c_int::MAX && number(height) < c_int::MAX, "a plane is too large");
        let (width, height, channels) = (number(width), number(height), number(channels));
        Self { data, stride, width, height, channels, memory: PhantomData }
    }
}

impl<'a> PixelsMut<'a> {
    /// # Panics
    /// If `data` is too short for the size.
    pub fn new(data: &'a mut [u8], size: (usize, usize), stride: usize, channels: usize) -> Self {
        Self(Pixels::described(data.as_mut_ptr(), data.len(), size, stride, channels))
    }
}

/// Interpolation of a resize.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    Linear,
    Area,
}

// SAFETY: opencv.cpp, which build.rs compiles, defines these functions. `Pixels` has the same layout there.
unsafe extern "C" {
    fn livelabel_opencv_error() -> *const c_char;
    fn livelabel_opencv_resize(from: &Pixels, to: &Pixels, area: c_int) -> c_int;
    fn livelabel_opencv_bgr(y: &Pixels, cr: &Pixels, cb: &Pixels, bgr: &Pixels) -> c_int;
    fn livelabel_opencv_text_size(
        text: *const c_char,
        scale: f64,
        thickness: c_int,
        width: &mut c_int,
        descent: &mut c_int,
    ) -> c_int;
    fn livelabel_opencv_text(
        to: &Pixels,
        text: *const c_char,
        x: c_int,
        y: c_int,
        scale: f64,
        grey: c_int,
        thickness: c_int,
        smooth: c_int,
    ) -> c_int;
}

fn done(refused: c_int) -> Result<()> {
    if refused == 0 {
        return Ok(());
    }
    // SAFETY: the message belongs to this thread, ends in NUL, and is valid until the thread's next call.
    Err(Error(unsafe { CStr::from_ptr(livelabel_opencv_error()) }.to_string_lossy().trim().replace('\n', " ")))
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|cause| Error(cause.to_string()))
}

/// Scales `from` to the size of `to`.
///
/// # Errors
/// OpenCV's error for pictures without pixels.
pub fn resize(from: &Pixels, to: &mut PixelsMut, interpolation: Interpolation) -> Result<()> {
    assert_eq!(from.channels, to.0.channels, "channels stay");
    // SAFETY: both describe memory that they borrow, as they assert. The second has the right size and, with as many
    // channels as the first, the right type, so OpenCV writes in place.
    done(unsafe { livelabel_opencv_resize(from, &to.0, c_int::from(interpolation == Interpolation::Area)) })
}

/// Converts full-range BT.601 planes, each of the full size, to BGR.
///
/// # Errors
/// OpenCV's error for planes of different sizes.
pub fn bgr(y: &Pixels, cr: &Pixels, cb: &Pixels, bgr: &mut PixelsMut) -> Result<()> {
    let shape = |pixels: &Pixels| (pixels.width, pixels.height, pixels.channels);
    assert!([y, cr, cb].iter().all(|plane| shape(plane) == (bgr.0.width, bgr.0.height, 1)) && bgr.0.channels == 3);
    // SAFETY: all describe memory that they borrow, and the last has the right size and type.
    done(unsafe { livelabel_opencv_bgr(y, cr, cb, &bgr.0) })
}

/// Returns the width of [`text`] and its descent below the baseline, in pixels.
///
/// # Errors
/// OpenCV's error.
pub fn text_size(text: &str, scale: f64, thickness: i32) -> Result<(i32, i32)> {
    let (text, mut width, mut descent) = (c_string(text)?, 0, 0);
    // SAFETY: the string ends in NUL and lives within this call, as the numbers do.
    done(unsafe { livelabel_opencv_text_size(text.as_ptr(), scale, thickness, &mut width, &mut descent) })?;
    Ok((width, descent))
}

/// The style of a line: scale, stroke width, brightness, and whether its edges are anti-aliased.
#[derive(Clone, Copy)]
pub struct TextStyle {
    pub scale: f64,
    pub thickness: i32,
    pub grey: u8,
    pub smooth: bool,
}

/// Draws a line in Hershey Simplex with its baseline starting at `origin`.
///
/// # Errors
/// OpenCV's error.
pub fn text(to: &mut PixelsMut, text: &str, origin: (i32, i32), style: TextStyle) -> Result<()> {
    let text = c_string(text)?;
    let TextStyle { scale, thickness, grey, smooth } = style;
    let (x, y) = origin;
    // SAFETY: the pixels describe memory that they borrow, and the string ends in NUL and lives within this call.
    done(unsafe { livelabel_opencv_text(&to.0, text.as_ptr(), x, y, scale, grey.into(), thickness, smooth.into()) })
}
