//! What this program uses of OpenCV, through `opencv.cpp`: bindings of the whole library would take minutes to build.

use std::ffi::{CStr, CString, c_char, c_int};
use std::marker::PhantomData;

/// What OpenCV says where it refuses.
#[derive(Debug)]
pub struct Error(String);

pub type Result<T> = std::result::Result<T, Error>;

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Pixels of bytes, in memory that is borrowed: rows `stride` bytes apart, channels beside each other.
#[repr(C)]
pub struct Pixels<'a> {
    data: *mut u8,
    stride: usize,
    width: c_int,
    height: c_int,
    channels: c_int,
    memory: PhantomData<&'a [u8]>,
}

/// Like [`Pixels`], to be written.
pub struct PixelsMut<'a>(Pixels<'a>);

impl<'a> Pixels<'a> {
    /// # Panics
    /// Where `data` is shorter than it must be.
    pub fn new(data: &'a [u8], (width, height): (usize, usize), stride: usize, channels: usize) -> Self {
        // OpenCV only reads what it gets by this.
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
    /// Where `data` is shorter than it must be.
    pub fn new(data: &'a mut [u8], size: (usize, usize), stride: usize, channels: usize) -> Self {
        Self(Pixels::described(data.as_mut_ptr(), data.len(), size, stride, channels))
    }
}

/// How pixels that are made from several ones, or lie between, are found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    Linear,
    Area,
}

// SAFETY: these are the functions of opencv.cpp, which build.rs compiles. `Pixels` has the layout of its namesake there.
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
    // SAFETY: the message is the thread's own, ends in NUL, and stays until the thread's next call.
    Err(Error(unsafe { CStr::from_ptr(livelabel_opencv_error()) }.to_string_lossy().trim().replace('\n', " ")))
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|cause| Error(cause.to_string()))
}

/// Scales `from` to the size of `to`.
///
/// # Errors
/// OpenCV's, for pictures without pixels.
pub fn resize(from: &Pixels, to: &mut PixelsMut, interpolation: Interpolation) -> Result<()> {
    assert_eq!(from.channels, to.0.channels, "channels stay");
    // SAFETY: both describe memory that they borrow, as they assert. The second has the right size and, with as many
    // channels as the first, the right type, so OpenCV writes in place.
    done(unsafe { livelabel_opencv_resize(from, &to.0, c_int::from(interpolation == Interpolation::Area)) })
}

/// Full-range BT.601 planes of luma, red and blue difference, each of the full size, as pixels with blue first.
///
/// # Errors
/// OpenCV's, for planes that do not fit together.
pub fn bgr(y: &Pixels, cr: &Pixels, cb: &Pixels, bgr: &mut PixelsMut) -> Result<()> {
    let shape = |pixels: &Pixels| (pixels.width, pixels.height, pixels.channels);
    assert!([y, cr, cb].iter().all(|plane| shape(plane) == (bgr.0.width, bgr.0.height, 1)) && bgr.0.channels == 3);
    // SAFETY: all describe memory that they borrow, and the last has the right size and type.
    done(unsafe { livelabel_opencv_bgr(y, cr, cb, &bgr.0) })
}

/// The width that [`text`] takes, and how far it reaches below its line, in pixels.
///
/// # Errors
/// OpenCV's.
pub fn text_size(text: &str, scale: f64, thickness: i32) -> Result<(i32, i32)> {
    let (text, mut width, mut descent) = (c_string(text)?, 0, 0);
    // SAFETY: the string ends in NUL and lives within this call, as the numbers do.
    done(unsafe { livelabel_opencv_text_size(text.as_ptr(), scale, thickness, &mut width, &mut descent) })?;
    Ok((width, descent))
}

/// A line's look: size, width of its strokes, brightness, and whether its edges are smooth.
#[derive(Clone, Copy)]
pub struct TextStyle {
    pub scale: f64,
    pub thickness: i32,
    pub grey: u8,
    pub smooth: bool,
}

/// Writes a line in Hershey Simplex, whose baseline begins at `origin`.
///
/// # Errors
/// OpenCV's.
pub fn text(to: &mut PixelsMut, text: &str, origin: (i32, i32), style: TextStyle) -> Result<()> {
    let text = c_string(text)?;
    let TextStyle { scale, thickness, grey, smooth } = style;
    let (x, y) = origin;
    // SAFETY: the pixels describe memory that they borrow, and the string ends in NUL and lives within this call.
    done(unsafe { livelabel_opencv_text(&to.0, text.as_ptr(), x, y, scale, grey.into(), thickness, smooth.into()) })
}
