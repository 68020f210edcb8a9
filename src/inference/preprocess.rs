//! Picture in, tensor out: the one way from pixels to numbers, for training and for prediction alike.
//!
//! Each plane is resized to the network's input by itself, bilinear and with the aspect ratio ignored, and only the
//! few pixels that are left are converted to red, green and blue. For linear operations the order makes no
//! difference, so this equals converting the full picture first but for rounding.

use opencv::core::{Mat, MatTraitConst, MatTraitConstManual};
use opencv::imgproc;

use crate::error::{Error, Result};
use crate::inference::model::{Channels, InputSpec};
use crate::picture::{Colorimetry, Matrix, OwnedPicture, Picture, PlaneMut, scale_plane};

/// Turns pictures into tensors; keeps its buffers from one to the next.
pub struct Preprocessor {
    spec: InputSpec,
    /// The three planes, resized. All have full size, so that chroma is interpolated once.
    planes: [OwnedPlane; 3],
}

struct OwnedPlane(Vec<u8>);

impl Preprocessor {
    pub fn new(spec: &InputSpec) -> Self {
        let planes = [(); 3].map(|()| OwnedPlane(vec![0; spec.size * spec.size]));
        Self { spec: spec.clone(), planes }
    }

    /// Writes the picture's tensor, `[3, size, size]`, to `tensor`.
    ///
    /// # Errors
    /// Internal, where OpenCV refuses the picture.
    ///
    /// # Panics
    /// Where `tensor` has not [`InputSpec::len`] numbers.
    pub fn prepare(&mut self, picture: &Picture, tensor: &mut [f32]) -> Result<()> {
        assert_eq!(tensor.len(), self.spec.len());
        let size = self.spec.size;
        for (plane, OwnedPlane(resized)) in picture.planes.iter().zip(&mut self.planes) {
            scale_plane(plane, &mut PlaneMut { data: resized, stride: size, width: size, height: size })
                .map_err(|cause| Error::internal("a picture cannot be resized").because(cause))?;
        }
        let [y, u, v] = &self.planes;
        to_channels(&self.spec, picture.colorimetry, [&y.0, &u.0, &v.0], tensor);
        Ok(())
    }
}

/// Converts planes of one size to centred colour channels. ITU-R BT.601/709/2020 in floating point.
fn to_channels(spec: &InputSpec, colorimetry: Colorimetry, [y, u, v]: [&[u8]; 3], tensor: &mut [f32]) {
    let (kr, kb) = colorimetry.matrix.weights();
    let (black, luma, chroma) = colorimetry.range.levels();
    let kg = 1.0 - kr - kb;
    let gain = (255.0 / luma) as f32;
    let black = black as f32;
    let of_chroma = |factor: f64| (factor * 255.0 / chroma) as f32;
    let (red_v, blue_u) = (of_chroma(2.0 * (1.0 - kr)), of_chroma(2.0 * (1.0 - kb)));
    let (green_u, green_v) = (of_chroma(2.0 * (1.0 - kb) * kb / kg), of_chroma(2.0 * (1.0 - kr) * kr / kg));

    let area = spec.size * spec.size;
    let (first, rest) = tensor.split_at_mut(area);
    let (green, last) = rest.split_at_mut(area);
    // The means follow the channels' order in the tensor, whichever that is.
    let (red, blue, mean_red, mean_blue) = match spec.channels {
        Channels::Bgr => (last, first, spec.mean[2], spec.mean[0]),
        Channels::Rgb => (first, last, spec.mean[0], spec.mean[2]),
    };
    let centred = |value: f32, mean: f32| (value.clamp(0.0, 255.0) - mean) * spec.scale;
    for i in 0..area {
        let (y, u, v) = (gain * (f32::from(y[i]) - black), f32::from(u[i]) - 128.0, f32::from(v[i]) - 128.0);
        red[i] = centred(y + red_v * v, mean_red);
        green[i] = centred(y - green_u * u - green_v * v, spec.mean[1]);
        blue[i] = centred(y + blue_u * u, mean_blue);
    }
}

/// A picture file (JPEG, PNG, …) as the analyzer would see it in a video.
///
/// # Errors
/// An input error, where it cannot be read or decoded.
pub fn read_picture(path: &std::path::Path) -> Result<OwnedPicture> {
    let origin = path.display();
    let unreadable =
        || Error::input(format!("{origin}: not a picture that can be decoded")).remedy("give a JPEG or PNG");
    let bytes = std::fs::read(path)
        .map_err(|cause| Error::input(format!("{origin}: cannot be read")).because(cause).remedy("check the name"))?;
    let decoded = opencv::core::Vector::<u8>::from_slice(&bytes);
    let bgr = opencv::imgcodecs::imdecode(&decoded, opencv::imgcodecs::IMREAD_COLOR)
        .map_err(|cause| unreadable().because(cause))?;
    if bgr.empty() {
        return Err(unreadable());
    }
    from_bgr(&bgr).map_err(|cause| unreadable().because(cause))
}

/// An 8-bit BGR matrix as a full-range BT.601 picture, which is what JPEG holds.
fn from_bgr(bgr: &Mat) -> opencv::Result<OwnedPicture> {
    let (width, height) = (bgr.cols() as usize, bgr.rows() as usize);
    let mut picture = OwnedPicture::new(width, height, Colorimetry::JPEG);
    let (kr, kb) = Matrix::Bt601.weights();
    let half = opencv::core::Size::new(width.div_ceil(2) as i32, height.div_ceil(2) as i32);
    let mut small = Mat::default();
    imgproc::resize(bgr, &mut small, half, 0.0, 0.0, imgproc::INTER_AREA)?;
    let luma = |[b, g, r]: [u8; 3]| kr * f64::from(r) + (1.0 - kr - kb) * f64::from(g) + kb * f64::from(b);
    let [y, u, v] = picture.view_mut().planes;
    for (to, pixel) in y.data.iter_mut().zip(bgr.data_typed::<opencv::core::Vec3b>()?) {
        *to = luma(pixel.0).round() as u8;
    }
    let pixels = small.data_typed::<opencv::core::Vec3b>()?;
    for ((u, v), pixel) in u.data.iter_mut().zip(v.data).zip(pixels) {
        let luma = luma(pixel.0);
        let difference = |channel: u8, weight: f64| (f64::from(channel) - luma) / (2.0 * (1.0 - weight)) + 128.0;
        *u = difference(pixel.0[0], kb).round().clamp(0.0, 255.0) as u8;
        *v = difference(pixel.0[2], kr).round().clamp(0.0, 255.0) as u8;
    }
    Ok(picture)
}
