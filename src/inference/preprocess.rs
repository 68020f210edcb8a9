//! Converts a picture to a tensor, in the same way for training and for prediction.
//!
//! Each plane is resized to the model's input on its own, bilinear and ignoring the aspect ratio. Only the few
//! remaining pixels are converted to RGB. Both operations are linear, so apart from rounding the result is the same as
//! after converting the full picture first.

use ndarray::ArrayViewMut3;

use crate::error::{Error, Result};
use crate::inference::model::{Channels, InputSpec};
use crate::picture::{Colorimetry, Picture, PlaneMut, scale_plane};

/// Converts pictures to tensors; reuses its buffers.
pub struct Preprocessor {
    spec: InputSpec,
    /// The three resized planes. All have the input's size, so that chroma is interpolated once.
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
    /// Internal if OpenCV fails, or `tensor` is not contiguous in row-major order.
    ///
    /// # Panics
    /// If `tensor` does not have the shape of [`InputSpec::shape`].
    pub fn prepare(&mut self, picture: &Picture, tensor: ArrayViewMut3<f32>) -> Result<()> {
        assert_eq!(tensor.shape(), self.spec.shape());
        let values = tensor.into_slice().ok_or_else(|| Error::internal("a tensor is not contiguous"))?;
        let size = self.spec.size;
        for (plane, OwnedPlane(resized)) in picture.planes.iter().zip(&mut self.planes) {
            scale_plane(plane, &mut PlaneMut { data: resized, stride: size, width: size, height: size })
                .map_err(|cause| Error::internal("a picture cannot be resized").because(cause))?;
        }
        let [y, u, v] = &self.planes;
        to_channels(&self.spec, picture.colorimetry, [&y.0, &u.0, &v.0], values);
        Ok(())
    }
}

/// Converts planes of one size to normalised colour channels. ITU-R BT.601/709/2020 in floating point.
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
    // The means are in the order of the channels in the tensor.
    let (red, blue, r, b) = match spec.channels {
        Channels::Bgr => (last, first, 2, 0),
        Channels::Rgb => (first, last, 0, 2),
    };
    let (mean, scale) = (spec.mean, spec.scale);
    let centred = |value: f32, channel: usize| (value.clamp(0.0, 255.0) - mean[channel]) * scale[channel];
    for i in 0..area {
        let (y, u, v) = (gain * (f32::from(y[i]) - black), f32::from(u[i]) - 128.0, f32::from(v[i]) - 128.0);
        red[i] = centred(y + red_v * v, r);
        green[i] = centred(y - green_u * u - green_v * v, 1);
        blue[i] = centred(y + blue_u * u, b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::file::read_picture;
    use crate::picture::{Matrix, OwnedPicture, Range};

    fn spec(size: usize, channels: Channels) -> InputSpec {
        InputSpec { name: "pixels".into(), size, channels, mean: [10.0, 20.0, 30.0], scale: [0.5; 3] }
    }

    fn tensor(spec: &InputSpec, picture: &OwnedPicture) -> Vec<f32> {
        let mut tensor = spec.tensor();
        Preprocessor::new(spec).prepare(&picture.view(), tensor.view_mut()).unwrap();
        tensor.into_raw_vec_and_offset().0
    }

    /// Returns a picture with three different smooth planes.
    fn smooth(width: usize, height: usize, colorimetry: Colorimetry) -> OwnedPicture {
        let mut picture = OwnedPicture::new(width, height, colorimetry);
        for (index, plane) in picture.view_mut().planes.into_iter().enumerate() {
            for y in 0..plane.height {
                for x in 0..plane.width {
                    let (x, y) = (x as f64 / plane.width as f64, y as f64 / plane.height as f64);
                    let value = 128.0 + [60.0, 30.0, -25.0][index] * (x + (index as f64 + 1.0) * y - 1.0);
                    plane.data[(y * plane.height as f64).round() as usize * plane.stride
                        + (x * plane.width as f64).round() as usize] = value as u8;
                }
            }
        }
        picture
    }

    /// The definition in floating point: converts every pixel, then interpolates between pixel centres.
    fn plain(spec: &InputSpec, picture: &OwnedPicture) -> Vec<f64> {
        let view = picture.view();
        let (kr, kb) = picture.colorimetry.matrix.weights();
        let (black, luma, chroma) = picture.colorimetry.range.levels();
        let at = |plane: usize, x: f64, y: f64| {
            let plane = &view.planes[plane];
            let clamp = |value: f64, most: usize| value.clamp(0.0, most as f64 - 1.0);
            let (x, y) = (clamp(x, plane.width), clamp(y, plane.height));
            let (left, top) = (x.floor() as usize, y.floor() as usize);
            let (right, bottom) = ((left + 1).min(plane.width - 1), (top + 1).min(plane.height - 1));
            let (fx, fy) = (x - x.floor(), y - y.floor());
            let value = |x: usize, y: usize| f64::from(plane.row(y)[x]);
            (value(left, top) * (1.0 - fx) + value(right, top) * fx) * (1.0 - fy)
                + (value(left, bottom) * (1.0 - fx) + value(right, bottom) * fx) * fy
        };
        let mut channels = [Vec::new(), Vec::new(), Vec::new()];
        for y in 0..spec.size {
            for x in 0..spec.size {
                let position = |size: usize, i: usize| (i as f64 + 0.5) * size as f64 / spec.size as f64 - 0.5;
                let of = |plane: usize| {
                    at(plane, position(view.planes[plane].width, x), position(view.planes[plane].height, y))
                };
                let (y, u, v) = (
                    (of(0) - black) * 255.0 / luma,
                    (of(1) - 128.0) * 255.0 / chroma,
                    (of(2) - 128.0) * 255.0 / chroma,
                );
                let (r, b) = (y + 2.0 * (1.0 - kr) * v, y + 2.0 * (1.0 - kb) * u);
                let g = (y - kr * r - kb * b) / (1.0 - kr - kb);
                for (channel, value) in [b, g, r].into_iter().enumerate() {
                    channels[channel].push((value.clamp(0.0, 255.0) - f64::from(spec.mean[channel])) * 0.5);
                }
            }
        }
        channels.concat()
    }

    #[test]
    fn equals_the_definition_up_to_rounding_of_each_plane() {
        for matrix in [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020] {
            for range in [Range::Limited, Range::Full] {
                let picture = smooth(101, 67, Colorimetry { matrix, range });
                let spec = spec(32, Channels::Bgr);
                for (made, expected) in tensor(&spec, &picture).iter().zip(plain(&spec, &picture)) {
                    // Half a level of luma and of chroma, the latter times two and more, at half scale.
                    assert!((f64::from(*made) - expected).abs() < 1.3, "{matrix:?} {range:?}: {made} for {expected}");
                }
            }
        }
    }

    #[test]
    fn channels_are_in_the_models_order() {
        let picture = smooth(64, 48, Colorimetry::JPEG);
        let bgr = tensor(&spec(16, Channels::Bgr), &picture);
        let rgb = tensor(&spec(16, Channels::Rgb), &picture);
        for i in 0..256 {
            // The means belong to positions: 10 to the first channel, 30 to the last.
            assert!((bgr[i] + 5.0 - (rgb[512 + i] + 15.0)).abs() < 1e-4);
            assert!((bgr[512 + i] + 15.0 - (rgb[i] + 5.0)).abs() < 1e-4);
        }
    }

    #[test]
    fn a_picture_file_and_a_frame_of_it_give_the_same_tensor() {
        // JPEG and a full-range frame have the same colorimetry, so encoding and decoding changes little.
        let picture = smooth(128, 96, Colorimetry::JPEG);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frame.jpg");
        std::fs::write(&path, crate::picture::file::jpeg(&picture.view()).unwrap()).unwrap();
        let spec = spec(32, Channels::Bgr);
        let (frame, file) = (tensor(&spec, &picture), tensor(&spec, &read_picture(&path).unwrap()));
        let furthest = frame.iter().zip(&file).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(furthest < 3.0, "{furthest}");
    }
}
