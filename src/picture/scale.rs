//! Scales pictures with `cv::resize`: bilinear, plane by plane.

use super::opencv::{self, Interpolation, Pixels, PixelsMut};
use super::planes::{Picture, PictureMut, Plane, PlaneMut};

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
    let source = Pixels::new(from.data, (from.width, from.height), from.stride, 1);
    let mut target = PixelsMut::new(to.data, (to.width, to.height), to.stride, 1);
    opencv::resize(&source, &mut target, Interpolation::Linear)
}
