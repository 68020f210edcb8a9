//! Scales pictures with `cv::resize`: bilinear, plane by plane.

use super::opencv::{self, Interpolation, Pixels, PixelsMut};
use super::planes::{OwnedPicture, Picture, PictureMut, Plane, PlaneMut};

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

/// Returns the picture scaled down so that it fits into `most`, width and height. It keeps its shape, and is never enlarged.
///
/// # Errors
/// OpenCV's error for a picture without pixels.
pub fn shrunk(picture: &Picture, most: (usize, usize)) -> opencv::Result<OwnedPicture> {
    let factor = (most.0 as f64 / picture.width() as f64).min(most.1 as f64 / picture.height() as f64).min(1.0);
    let scaled = |side: usize| ((side as f64 * factor).round() as usize).max(1);
    let mut small = OwnedPicture::new(scaled(picture.width()), scaled(picture.height()), picture.colorimetry);
    scale(picture, &mut small.view_mut())?;
    Ok(small)
}

/// Scales one plane, like [`scale`].
pub fn scale_plane(from: &Plane, to: &mut PlaneMut) -> opencv::Result<()> {
    let source = Pixels::new(from.data, (from.width, from.height), from.stride, 1);
    let mut target = PixelsMut::new(to.data, (to.width, to.height), to.stride, 1);
    opencv::resize(&source, &mut target, Interpolation::Linear)
}
