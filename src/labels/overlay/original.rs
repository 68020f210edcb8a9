//! Draws the label as the original did: green `activity: drinking`, or red `computing...`.
//!
//! The text is rendered once as a coverage mask, and cached until the text or the frame size changes. Drawing then
//! blends one colour into the few rows of the three planes that the mask covers.

use super::coverage::Coverage;
use crate::error::{Error, Result};
use crate::picture::opencv::{self, Interpolation, Pixels, PixelsMut, TextStyle};
use crate::picture::{PictureMut, PlaneMut};

/// The text drawn while no label is shown.
const COMPUTING: &str = "computing...";

/// The original's style on a frame 480 pixels high: Hershey Simplex 0.6, 2 thick, baseline at (10, 25).
const REFERENCE_HEIGHT: f64 = 480.0;
const FONT_SCALE: f64 = 0.6;
const THICKNESS: f64 = 2.0;
const ORIGIN: (f64, f64) = (10.0, 25.0);
/// The text is drawn this much larger and scaled down, which gives exact stroke widths and smooth edges.
const OVERSAMPLING: f64 = 4.0;

/// Pure green and pure red in full-range BT.601.
const GREEN: [u8; 3] = [150, 44, 21];
const RED: [u8; 3] = [76, 85, 255];

/// Draws the original's letters.
#[derive(Default)]
pub struct Original {
    mask: Option<Mask>,
}

impl Original {
    /// Draws the label, or "computing..." for `None`.
    ///
    /// # Errors
    /// Returns an internal error if OpenCV cannot render the text.
    pub fn draw(&mut self, picture: &mut PictureMut, label: Option<&str>) -> Result<()> {
        let size = (picture.planes[0].width, picture.planes[0].height);
        let (text, colour) = match label {
            Some(label) => (format!("activity: {label}"), GREEN),
            None => (COMPUTING.to_string(), RED),
        };
        if self.mask.as_ref().is_none_or(|mask| mask.text != text || mask.size != size) {
            let mask = Mask::render(text, size)
                .map_err(|cause| Error::internal("the label cannot be drawn").because(cause))?;
            self.mask = Some(mask);
        }
        if let Some(mask) = &self.mask {
            let [y, u, v] = &mut picture.planes;
            blend(&mask.luma, y, colour[0]);
            blend(&mask.chroma, u, colour[1]);
            blend(&mask.chroma, v, colour[2]);
        }
        Ok(())
    }
}

/// The coverage of each pixel by a text.
struct Mask {
    text: String,
    size: (usize, usize),
    luma: Coverage,
    chroma: Coverage,
}

impl Mask {
    fn render(text: String, (width, height): (usize, usize)) -> opencv::Result<Self> {
        // OpenCV's fonts have ASCII only, and would draw several question marks for each other character.
        let ascii: String = text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect();
        let (natural, descent) = opencv::text_size(&ascii, FONT_SCALE, THICKNESS as i32)?;
        // Larger frames get larger text. Smaller ones get the original's size, or less if it does not fit.
        let fitting = width as f64 / (f64::from(natural) + 2.0 * ORIGIN.0);
        let scale = (height as f64 / REFERENCE_HEIGHT).max(1.0).min(fitting);
        let rows = ((ORIGIN.1 + f64::from(descent) + THICKNESS) * scale).ceil() as usize;
        let rows = rows.next_multiple_of(2).min(height);

        let fine = scale * OVERSAMPLING;
        let (fine_width, fine_rows) = ((width as f64 * OVERSAMPLING) as usize, (rows as f64 * OVERSAMPLING) as usize);
        let mut drawn = vec![0; fine_width * fine_rows];
        let origin = ((ORIGIN.0 * fine).round() as i32, (ORIGIN.1 * fine).round() as i32);
        let thickness = (THICKNESS * fine).round().max(1.0) as i32;
        let style = TextStyle { scale: FONT_SCALE * fine, thickness, grey: 255, smooth: false };
        let size = (fine_width, fine_rows);
        opencv::text(&mut PixelsMut::new(&mut drawn, size, fine_width, 1), &ascii, origin, style)?;
        let mut luma = Coverage::new(width, rows);
        let mut mask = PixelsMut::new(&mut luma.values, (width, rows), width, 1);
        opencv::resize(&Pixels::new(&drawn, size, fine_width, 1), &mut mask, Interpolation::Area)?;
        let chroma = luma.halved();
        Ok(Self { text, size: (width, height), luma, chroma })
    }
}

/// Blends one colour into the pixels of a plane that the mask covers.
fn blend(mask: &Coverage, plane: &mut PlaneMut, colour: u8) {
    for (y, row) in mask.values.chunks_exact(mask.width).enumerate() {
        for (pixel, &coverage) in plane.row_mut(y).iter_mut().zip(row) {
            if coverage > 0 {
                let (pixel_part, colour_part) = (255 - u32::from(coverage), u32::from(coverage));
                *pixel = ((u32::from(*pixel) * pixel_part + u32::from(colour) * colour_part + 127) / 255) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Colorimetry, OwnedPicture};

    fn grey(width: usize, height: usize) -> OwnedPicture {
        let mut picture = OwnedPicture::new(width, height, Colorimetry::JPEG);
        picture.view_mut().planes.into_iter().for_each(|plane| plane.data.fill(128));
        picture
    }

    #[test]
    fn draws_in_the_right_colour_within_the_text_rows_only() {
        for (label, colour) in [(Some("drinking"), GREEN), (None, RED)] {
            let mut picture = grey(640, 480);
            Original::default().draw(&mut picture.view_mut(), label).unwrap();
            let view = picture.view();
            for (plane, colour) in view.planes.iter().zip(colour) {
                assert!(plane.data.contains(&colour), "full coverage somewhere");
                let below = 36 * plane.height / 480;
                assert!(plane.data[below * plane.stride..].iter().all(|&value| value == 128), "below the text");
            }
        }
    }

    #[test]
    fn draws_on_frames_of_any_size() {
        for (width, height) in [(1, 1), (2, 2), (16, 16), (641, 359), (1080, 1920)] {
            let mut picture = grey(width, height);
            let mut overlay = Original::default();
            overlay.draw(&mut picture.view_mut(), Some("a label that is too long for a picture")).unwrap();
            overlay.draw(&mut picture.view_mut(), None).unwrap();
            let luma = picture.view().planes[0].row(0).len();
            assert_eq!(luma, width);
        }
    }

    #[test]
    fn text_stays_left_of_the_right_edge() {
        let mut picture = grey(320, 240);
        Original::default()
            .draw(&mut picture.view_mut(), Some("preparing vegetables on a wooden cutting board"))
            .unwrap();
        let view = picture.view();
        let last_drawn = (0..320).filter(|&x| (0..240).any(|y| view.planes[0].row(y)[x] != 128)).max().unwrap();
        assert!((250..319).contains(&last_drawn), "{last_drawn}");
    }
}
