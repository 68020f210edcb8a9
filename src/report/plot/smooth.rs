//! Smooth edges: plotters draws lines without anti-aliasing, so pictures are drawn larger and reduced.

use plotters::prelude::*;
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind};

/// How much larger pictures are drawn.
pub const FACTOR: u32 = 3;
const TIMES: i32 = FACTOR as i32;

/// A backend that draws everything [`FACTOR`] times as large.
pub struct Enlarged<B>(pub B);

/// A style with a thicker stroke.
struct Thick {
    colour: BackendColor,
    width: u32,
}

impl BackendStyle for Thick {
    fn color(&self) -> BackendColor {
        self.colour
    }

    fn stroke_width(&self) -> u32 {
        self.width
    }
}

fn thick(style: &impl BackendStyle) -> Thick {
    Thick { colour: style.color(), width: style.stroke_width() * FACTOR }
}

fn enlarged((x, y): BackendCoord) -> BackendCoord {
    (x * TIMES, y * TIMES)
}

/// Returns the last of the pixels that a pixel becomes.
fn corner((x, y): BackendCoord) -> BackendCoord {
    (x * TIMES + TIMES - 1, y * TIMES + TIMES - 1)
}

impl<B: DrawingBackend> DrawingBackend for Enlarged<B> {
    type ErrorType = B::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        let (width, height) = self.0.get_size();
        (width / FACTOR, height / FACTOR)
    }

    fn ensure_prepared(&mut self) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        self.0.ensure_prepared()
    }

    fn present(&mut self) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        self.0.present()
    }

    fn draw_pixel(
        &mut self,
        point: BackendCoord,
        colour: BackendColor,
    ) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        self.0.draw_rect(enlarged(point), corner(point), &Thick { colour, width: 1 }, true)
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        self.0.draw_line(enlarged(from), enlarged(to), &thick(style))
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        self.0.draw_rect(enlarged(upper_left), corner(bottom_right), &thick(style), fill)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        // plotters' joints are pointed: at sharp turns they reach far beyond the line. These are round.
        let (style, mut before) = (thick(style), None);
        let radius = style.width / 2;
        for point in path.into_iter().map(enlarged) {
            if let Some(before) = before.replace(point) {
                self.0.draw_path([before, point], &style)?;
                if radius > 1 {
                    self.0.draw_circle(point, radius - 1, &style, true)?;
                }
            }
        }
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        centre: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        self.0.draw_circle(enlarged(centre), radius * FACTOR, &thick(style), fill)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        corners: I,
        style: &S,
    ) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        self.0.fill_polygon(corners.into_iter().map(enlarged), style)
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        position: BackendCoord,
    ) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        let font = FontDesc::new(style.family(), style.size() * f64::from(FACTOR), style.style());
        let font = font.transform(style.transform());
        let large = TextStyle { font, color: style.color(), pos: style.anchor() };
        self.0.draw_text(text, &large, enlarged(position))
    }
}
