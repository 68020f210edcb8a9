//! Data augmentation: random geometric and colour transforms of a picture.

use rand::Rng;
use serde::{Deserialize, Serialize};

/// The ranges of all transforms. Each parameter is drawn uniformly from its range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Augmentation {
    /// Maximum angle in degrees, in both directions.
    pub rotation: f32,
    /// Height and width are scaled independently, by a factor from `1 - zoom` to `1 + zoom`.
    pub zoom: f32,
    /// Maximum shift, as a share of height and width, in both directions.
    pub shift: f32,
    /// Maximum angle in degrees, in both directions, as Keras' `shear_range`.
    pub shear: f32,
    /// Whether pictures are mirrored with a probability of one half.
    pub flip: bool,
    /// Smallest share of the area that a random crop keeps, with an aspect ratio up to 4:3 from the picture's; 1
    /// disables cropping. A side is limited to the picture's, so values near 1 may keep slightly less.
    pub crop: f32,
    /// With a probability of one half, detail is removed by shrinking to at least this share of the size; 1 disables
    /// it.
    pub shrink: f32,
    /// Range of the factors for brightness, contrast and saturation: `1 - jitter` to `1 + jitter`.
    pub jitter: f32,
}

/// A named augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AugmentationPreset {
    /// No augmentation
    None,
    /// The original's: rotation 30°, zoom 0.15, shifts 0.2, shear 0.15, flip
    #[default]
    Keras,
    /// Random crops, loss of detail, colour jitter, flip and slight rotation
    Strong,
}

impl AugmentationPreset {
    pub fn augmentation(self) -> Augmentation {
        let none = Augmentation {
            rotation: 0.0,
            zoom: 0.0,
            shift: 0.0,
            shear: 0.0,
            flip: false,
            crop: 1.0,
            shrink: 1.0,
            jitter: 0.0,
        };
        match self {
            AugmentationPreset::None => none,
            AugmentationPreset::Keras => {
                Augmentation { rotation: 30.0, zoom: 0.15, shift: 0.2, shear: 0.15, flip: true, ..none }
            }
            AugmentationPreset::Strong => {
                Augmentation { rotation: 15.0, flip: true, crop: 0.25, shrink: 0.35, jitter: 0.3, ..none }
            }
        }
    }
}

/// The drawn parameters of one augmented view.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Radians.
    pub rotation: f64,
    /// Rows and columns, as shares.
    pub shift: [f64; 2],
    /// Radians.
    pub shear: f64,
    pub zoom: [f64; 2],
    pub flip: bool,
    /// The crop: top, left, height and width as shares of the picture.
    pub crop: [f64; 4],
    pub shrink: f64,
    pub brightness: f32,
    pub contrast: f32,
    pub saturation: f32,
}

impl Augmentation {
    pub fn draw(&self, rng: &mut impl Rng) -> View {
        let mut within = |most: f32| f64::from(if most > 0.0 { rng.random_range(-most..=most) } else { 0.0 });
        let rotation = within(self.rotation).to_radians();
        let shift = [within(self.shift), within(self.shift)];
        let shear = within(self.shear).to_radians();
        let zoom = [1.0 + within(self.zoom), 1.0 + within(self.zoom)];
        let [brightness, contrast, saturation] = [(); 3].map(|()| 1.0 + within(self.jitter) as f32);
        let flip = self.flip && rng.random_bool(0.5);
        let crop = if self.crop < 1.0 { random_crop(f64::from(self.crop), rng) } else { [0.0, 0.0, 1.0, 1.0] };
        let shrinks = self.shrink < 1.0 && rng.random_bool(0.5);
        let shrink = if shrinks { f64::from(rng.random_range(self.shrink..=1.0)) } else { 1.0 };
        View { rotation, shift, shear, zoom, flip, crop, shrink, brightness, contrast, saturation }
    }
}

/// Returns a random crop of at least this share of the area.
fn random_crop(least: f64, rng: &mut impl Rng) -> [f64; 4] {
    let area = rng.random_range(least..=1.0);
    let aspect = rng.random_range((0.75f64).ln()..=(4.0f64 / 3.0).ln()).exp();
    let (height, width) = ((area / aspect).sqrt().min(1.0), (area * aspect).sqrt().min(1.0));
    [rng.random_range(0.0..=1.0 - height), rng.random_range(0.0..=1.0 - width), height, width]
}

impl View {
    /// The view without any transform.
    pub fn identity() -> Self {
        View {
            rotation: 0.0,
            shift: [0.0; 2],
            shear: 0.0,
            zoom: [1.0; 2],
            flip: false,
            crop: [0.0, 0.0, 1.0, 1.0],
            shrink: 1.0,
            brightness: 1.0,
            contrast: 1.0,
            saturation: 1.0,
        }
    }

    /// Writes the view `[3, size, size]` of a picture `[3, side, side]`. Both are BGR, with values from 0 to 255.
    ///
    /// # Panics
    /// Panics if a slice has another length.
    pub fn apply(&self, picture: &[f32], side: usize, view: &mut [f32], size: usize) {
        assert_eq!((picture.len(), view.len()), (3 * side * side, 3 * size * size));
        let map = self.map(side, size);
        sample(&map, picture, side, view, size);
        if self.shrink < 1.0 {
            view.chunks_exact_mut(size * size).for_each(|plane| remove_detail(plane, size, self.shrink));
        }
        self.adjust_colours(view, size * size);
    }

    /// Returns the 2×3 matrix from (row, column) of the view to (row, column) of the picture.
    ///
    /// Within a square of the view's size it is Keras' affine transform: rows first, about the centre of the pixels
    /// (Keras releases differ in both). It is rotation · shift · shear · zoom about the centre, each from the position
    /// in the result to the position in the source. The flip comes last. The crop then maps the square to a part of the
    /// picture.
    fn map(&self, side: usize, size: usize) -> [[f64; 3]; 2] {
        let (sin, cos) = self.rotation.sin_cos();
        let rotation = [[cos, -sin, 0.0], [sin, cos, 0.0]];
        let shift = [[1.0, 0.0, self.shift[0] * size as f64], [0.0, 1.0, self.shift[1] * size as f64]];
        let shear = [[1.0, -self.shear.sin(), 0.0], [0.0, self.shear.cos(), 0.0]];
        let zoom = [[self.zoom[0], 0.0, 0.0], [0.0, self.zoom[1], 0.0]];
        let middle = (size as f64 - 1.0) / 2.0;
        let centre = |to: f64| [[1.0, 0.0, to], [0.0, 1.0, to]];
        let flip = if self.flip { [[1.0, 0.0, 0.0], [0.0, -1.0, size as f64 - 1.0]] } else { centre(0.0) };
        let [top, left, height, width] = self.crop;
        let scale = side as f64 / size as f64;
        // Pixel centres: index p of the view is at p + ½.
        let along = |from: f64, share: f64| (share * scale, from * side as f64 + 0.5 * share * scale - 0.5);
        let ((rows, row), (columns, column)) = (along(top, height), along(left, width));
        let part = [[rows, 0.0, row], [0.0, columns, column]];
        [part, centre(middle), rotation, shift, shear, zoom, centre(-middle), flip]
            .into_iter()
            .reduce(compose)
            .unwrap_or(part)
    }

    /// Multiplies by the brightness, then mixes with the mean grey (contrast) and with each pixel's grey (saturation).
    fn adjust_colours(&self, view: &mut [f32], area: usize) {
        if [self.brightness, self.contrast, self.saturation] == [1.0; 3] {
            return;
        }
        let (blue, rest) = view.split_at_mut(area);
        let (green, red) = rest.split_at_mut(area);
        let grey = |b: f32, g: f32, r: f32| 0.114 * b + 0.587 * g + 0.299 * r;
        let sum: f64 = (0..area).map(|i| f64::from(grey(blue[i], green[i], red[i]))).sum();
        let mean = self.brightness * (sum / area as f64) as f32;
        for i in 0..area {
            let bright = [blue[i], green[i], red[i]].map(|value| self.brightness * value);
            let contrasted = bright.map(|value| mean + self.contrast * (value - mean));
            let own = grey(contrasted[0], contrasted[1], contrasted[2]);
            [blue[i], green[i], red[i]] =
                contrasted.map(|value| (own + self.saturation * (value - own)).clamp(0.0, 255.0));
        }
    }
}

/// Returns the matrix that applies `right`, then `left`.
fn compose(left: [[f64; 3]; 2], right: [[f64; 3]; 2]) -> [[f64; 3]; 2] {
    left.map(|[a, b, c]| {
        let column = |i: usize| a * right[0][i] + b * right[1][i];
        [column(0), column(1), column(2) + c]
    })
}

/// What one pixel of a view is mixed from: the four pixels around its position, and the position between them.
#[derive(Clone, Copy, Default)]
struct Tap {
    corners: [usize; 4],
    fx: f32,
    fy: f32,
}

/// Samples planes bilinearly. Positions outside the picture take the nearest edge pixel. The positions of a row are
/// computed once for all planes: they cost more than the mixing.
fn sample(map: &[[f64; 3]; 2], from: &[f32], side: usize, to: &mut [f32], size: usize) {
    let last = side as f64 - 1.0;
    let mut taps = vec![Tap::default(); size];
    for row in 0..size {
        for (column, tap) in taps.iter_mut().enumerate() {
            let at = |[a, b, c]: [f64; 3]| (a * row as f64 + b * column as f64 + c).clamp(0.0, last);
            let (y, x) = (at(map[0]), at(map[1]));
            let (top, left) = (y as usize, x as usize);
            let (bottom, right) = ((top + 1).min(side - 1), (left + 1).min(side - 1));
            let corners = [(top, left), (top, right), (bottom, left), (bottom, right)].map(|(y, x)| y * side + x);
            *tap = Tap { corners, fx: (x - left as f64) as f32, fy: (y - top as f64) as f32 };
        }
        for (from, to) in from.chunks_exact(side * side).zip(to.chunks_exact_mut(size * size)) {
            for (value, Tap { corners, fx, fy }) in to[row * size..][..size].iter_mut().zip(&taps) {
                let [a, b, c, d] = corners.map(|corner| from[corner]);
                let mix = |left: f32, right: f32| left * (1.0 - fx) + right * fx;
                *value = mix(a, b) * (1.0 - fy) + mix(c, d) * fy;
            }
        }
    }
}

/// Shrinks to `share` of the size by averaging, and enlarges again.
fn remove_detail(plane: &mut [f32], size: usize, share: f64) {
    let small = ((size as f64 * share).round() as usize).clamp(1, size);
    let ratio = size as f64 / small as f64;
    let average = |from: &dyn Fn(usize) -> f32, index: usize| {
        let (begin, end) = (index as f64 * ratio, (index + 1) as f64 * ratio);
        let inner = (begin as usize..(end.ceil() as usize).min(size)).map(|i| {
            let covered = (end.min(i as f64 + 1.0) - begin.max(i as f64)) as f32;
            covered * from(i)
        });
        inner.sum::<f32>() / ratio as f32
    };
    let mut narrow = vec![0.0; size * small];
    for row in 0..size {
        for column in 0..small {
            narrow[row * small + column] = average(&|i| plane[row * size + i], column);
        }
    }
    let mut tiny = vec![0.0; small * small];
    for row in 0..small {
        for column in 0..small {
            tiny[row * small + column] = average(&|i| narrow[i * small + column], row);
        }
    }
    let back = 1.0 / ratio;
    let enlarge = [[back, 0.0, 0.5 * back - 0.5], [0.0, back, 0.5 * back - 0.5]];
    sample(&enlarge, &tiny, small, plane, size);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    const SIZE: usize = 16;

    fn picture(side: usize) -> Vec<f32> {
        (0..3 * side * side).map(|i| ((i * 7919) % 251) as f32).collect()
    }

    fn seen(view: &View, picture: &[f32], side: usize) -> Vec<f32> {
        let mut seen = vec![0.0; 3 * SIZE * SIZE];
        view.apply(picture, side, &mut seen, SIZE);
        seen
    }

    /// Compares a view with Keras' definition: `source` maps a pixel (row, column) to its position in the source.
    fn check(view: View, source: impl Fn(f64, f64) -> (f64, f64)) {
        let picture = picture(SIZE);
        let seen = seen(&view, &picture, SIZE);
        let last = SIZE as f64 - 1.0;
        for channel in 0..3 {
            let plane = &picture[channel * SIZE * SIZE..][..SIZE * SIZE];
            for row in 0..SIZE {
                for column in 0..SIZE {
                    let (y, x) = source(row as f64, column as f64);
                    let (y, x) = (y.clamp(0.0, last), x.clamp(0.0, last));
                    let mut expected = 0.0;
                    for (r, c) in (0..SIZE).flat_map(|r| (0..SIZE).map(move |c| (r, c))) {
                        let weight = (1.0 - (y - r as f64).abs()).max(0.0) * (1.0 - (x - c as f64).abs()).max(0.0);
                        expected += weight * f64::from(plane[r * SIZE + c]);
                    }
                    let found = f64::from(seen[(channel * SIZE + row) * SIZE + column]);
                    assert!((found - expected).abs() < 1e-2, "{row} {column}: {found} for {expected}");
                }
            }
        }
    }

    #[test]
    fn each_transform_equals_keras() {
        let middle = 7.5;
        check(View::identity(), |y, x| (y, x));
        check(View { flip: true, ..View::identity() }, |y, x| (y, 15.0 - x));
        check(View { shift: [0.1, -0.2], ..View::identity() }, |y, x| (y + 1.6, x - 3.2));
        check(View { zoom: [0.9, 1.1], ..View::identity() }, |y, x| {
            (0.9 * (y - middle) + middle, 1.1 * (x - middle) + middle)
        });
        let angle = 0.4f64;
        check(View { rotation: angle, ..View::identity() }, |y, x| {
            let (y, x) = (y - middle, x - middle);
            (angle.cos() * y - angle.sin() * x + middle, angle.sin() * y + angle.cos() * x + middle)
        });
        check(View { shear: angle, ..View::identity() }, |y, x| {
            let (y, x) = (y - middle, x - middle);
            (y - angle.sin() * x + middle, angle.cos() * x + middle)
        });
    }

    #[test]
    fn transforms_compose_in_keras_order() {
        let middle = 7.5;
        let view =
            View { rotation: 0.3, shift: [0.1, 0.05], shear: 0.2, zoom: [0.9, 1.2], flip: true, ..View::identity() };
        check(view, |y, x| {
            let (y, x) = (0.9 * (y - middle), 1.2 * (15.0 - x - middle));
            let (y, x) = (y - 0.2f64.sin() * x, 0.2f64.cos() * x);
            let (y, x) = (y + 1.6, x + 0.8);
            (0.3f64.cos() * y - 0.3f64.sin() * x + middle, 0.3f64.sin() * y + 0.3f64.cos() * x + middle)
        });
    }

    #[test]
    fn sampling_equals_scipy() {
        // scipy.ndimage.affine_transform(order=1, mode='nearest') with Keras' matrix about h/2 - 0.5, then the flip:
        // channel, row, and every third pixel of that row.
        let expected = [
            (0, 0, [21.034, 109.862, 124.961, 136.549, 122.812, 100.799]),
            (1, 7, [149.161, 107.700, 109.557, 135.703, 170.338, 157.366]),
            (2, 15, [106.903, 115.116, 95.781, 148.007, 173.060, 53.749]),
        ];
        let view = View {
            rotation: 25f64.to_radians(),
            shift: [0.15, -0.1],
            shear: 12f64.to_radians(),
            zoom: [0.9, 1.12],
            flip: true,
            ..View::identity()
        };
        let seen = seen(&view, &picture(SIZE), SIZE);
        for (channel, row, values) in expected {
            let found = seen[(channel * SIZE + row) * SIZE..][..SIZE].iter().step_by(3);
            for (found, value) in found.zip(values) {
                assert!((found - value).abs() < 2e-3, "channel {channel}, row {row}: {found} for {value}");
            }
        }
    }

    #[test]
    fn a_crop_enlarges_its_part() {
        // The lower right quarter of a picture twice the view's size needs no interpolation.
        let picture = picture(2 * SIZE);
        let seen = seen(&View { crop: [0.5, 0.5, 0.5, 0.5], ..View::identity() }, &picture, 2 * SIZE);
        for (row, column) in [(0, 0), (3, 9), (15, 15)] {
            assert_eq!(seen[row * SIZE + column], picture[(row + SIZE) * 2 * SIZE + column + SIZE]);
        }
    }

    #[test]
    fn colour_adjustments_follow_their_definitions() {
        let mut view = [100.0, 50.0, 20.0, 40.0, 60.0, 10.0];
        View { brightness: 2.0, ..View::identity() }.adjust_colours(&mut view, 2);
        assert_eq!(view, [200.0, 100.0, 40.0, 80.0, 120.0, 20.0]);
        let mut view = [100.0, 50.0, 200.0];
        View { saturation: 0.0, ..View::identity() }.adjust_colours(&mut view, 1);
        let grey = 0.114 * 100.0 + 0.587 * 50.0 + 0.299 * 200.0;
        assert!(view.iter().all(|value| (value - grey).abs() < 1e-4), "{view:?}");
        let mut view = [0.0, 100.0, 0.0, 100.0, 0.0, 100.0];
        View { contrast: 0.5, ..View::identity() }.adjust_colours(&mut view, 2);
        assert!(view.iter().zip([25.0, 75.0].repeat(3)).all(|(found, value)| (found - value).abs() < 1e-3), "{view:?}");
    }

    #[test]
    fn removing_detail_keeps_the_mean() {
        let mut plane: Vec<f32> =
            (0..SIZE * SIZE).map(|i| if (i + i / SIZE).is_multiple_of(2) { 0.0 } else { 200.0 }).collect();
        remove_detail(&mut plane, SIZE, 0.5);
        assert!(plane.iter().all(|value| (value - 100.0).abs() < 1e-3));
    }

    #[test]
    fn drawn_parameters_cover_their_ranges() {
        let keras = AugmentationPreset::Keras.augmentation();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let views: Vec<View> = (0..2000).map(|_| keras.draw(&mut rng)).collect();
        let most = |of: fn(&View) -> f64| views.iter().map(|view| of(view).abs()).fold(0.0, f64::max);
        for (found, limit) in [
            (most(|view| view.rotation.to_degrees()), 30.0),
            (most(|view| view.shift[0]), 0.2),
            (most(|view| view.zoom[1] - 1.0), 0.15),
            (most(|view| view.shear.to_degrees()), 0.15),
        ] {
            assert!(found <= limit * 1.000001 && found > 0.98 * limit, "{found} of {limit}");
        }
        let flips = views.iter().filter(|view| view.flip).count();
        assert!((900..1100).contains(&flips), "{flips}");
        let strong = AugmentationPreset::Strong.augmentation();
        for view in (0..2000).map(|_| strong.draw(&mut rng)) {
            let [top, left, height, width] = view.crop;
            assert!(top + height <= 1.000001 && left + width <= 1.000001 && height * width > 0.18, "{:?}", view.crop);
        }
    }
}
