//! Scales pictures with `cv::resize`: bilinear, plane by plane.

use std::ffi::c_void;

use opencv::core::{Mat, Size};
use opencv::imgproc;

use super::{Picture, PictureMut, Plane, PlaneMut};

/// Scales `from` to the size of `to`, ignoring the aspect ratio. The colorimetry is unchanged.
///
/// # Errors
/// OpenCV's error for a picture without pixels.
pub fn scale(from: &Picture, to: &mut PictureMut) -> opencv::Result<()> {
    for (source, target) in from.planes.iter().zip(&mut to.planes) {
        scale_plane(source, target)?;
    }
    Ok(())
}

/// Scales one plane, like [`scale`].
pub fn scale_plane(from: &Plane, to: &mut PlaneMut) -> opencv::Result<()> {
    let holds = |stride: usize, width: usize, height: usize, bytes: usize| {
        stride >= width && height > 0 && stride * (height - 1) + width <= bytes
    };
    assert!(holds(from.stride, from.width, from.height, from.data.len()), "the source plane is too short for its size");
    assert!(holds(to.stride, to.width, to.height, to.data.len()), "the target plane is too short for its size");
    let size = Size::new(to.width as i32, to.height as i32);
    // SAFETY: both matrices live within this call and describe memory that the planes borrow, as asserted above;
    // `resize` only reads the source. The target already has the right size and type, so OpenCV writes in place.
    unsafe {
        let source = mat(from.data.as_ptr().cast_mut().cast(), from.width, from.height, from.stride)?;
        let mut target = mat(to.data.as_mut_ptr().cast(), to.width, to.height, to.stride)?;
        imgproc::resize(&source, &mut target, size, 0.0, 0.0, imgproc::INTER_LINEAR)
    }
}

/// Wraps a plane in a matrix without a copy.
///
/// # Safety
/// `data` must be valid for `height` rows of `stride` bytes while the matrix exists.
unsafe fn mat(data: *mut c_void, width: usize, height: usize, stride: usize) -> opencv::Result<Mat> {
    // SAFETY: guaranteed by the caller.
    unsafe { Mat::new_rows_cols_with_data_unsafe(height as i32, width as i32, opencv::core::CV_8UC1, data, stride) }
}
