//! One picture as a JPEG file's bytes.

use opencv::core::{Mat, Vector, VectorToVec};
use opencv::{imgcodecs, imgproc};

use crate::error::{Error, Result};
use crate::picture::{Colorimetry, OwnedPicture, Picture, convert};

const QUALITY: i32 = 95;

/// Encodes a picture in any colorimetry.
///
/// # Errors
/// Internal, where OpenCV refuses it.
pub fn jpeg(picture: &Picture) -> Result<Vec<u8>> {
    encode(picture).map_err(|cause| Error::internal("a picture cannot be encoded").because(cause))
}

fn encode(picture: &Picture) -> opencv::Result<Vec<u8>> {
    let (width, height) = (picture.width(), picture.height());
    let mut owned = OwnedPicture::new(width, height, Colorimetry::JPEG);
    convert(picture, &mut owned.view_mut());
    let view = owned.view();
    // Chroma is brought to full size first, which serves odd sizes too.
    let plane = |index: usize| -> opencv::Result<Mat> {
        let plane = &view.planes[index];
        let small = Mat::new_rows_cols_with_data(plane.height as i32, plane.width as i32, plane.data)?;
        let size = opencv::core::Size::new(width as i32, height as i32);
        let mut full = Mat::default();
        imgproc::resize(&small, &mut full, size, 0.0, 0.0, imgproc::INTER_LINEAR)?;
        Ok(full)
    };
    // OpenCV's YCrCb is full-range BT.601 with the red difference first.
    let planes: Vector<Mat> = Vector::from_iter([plane(0)?, plane(2)?, plane(1)?]);
    let (mut ycrcb, mut bgr) = (Mat::default(), Mat::default());
    opencv::core::merge(&planes, &mut ycrcb)?;
    imgproc::cvt_color_def(&ycrcb, &mut bgr, imgproc::COLOR_YCrCb2BGR)?;
    let mut bytes = Vector::new();
    imgcodecs::imencode(".jpg", &bgr, &mut bytes, &Vector::from_slice(&[imgcodecs::IMWRITE_JPEG_QUALITY, QUALITY]))?;
    Ok(bytes.to_vec())
}
