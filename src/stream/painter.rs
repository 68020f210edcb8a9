//! The labelled picture: the decoder's is copied once, to JPEG's colours, and drawn on there.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::labels::overlay::Overlay;
use crate::media::frame::{Canvas, Drawn, Easel, Frame, Layout};
use crate::picture::{Colorimetry, OwnedPicture, convert, scale};

/// Canvases: one being drawn, one being encoded, two between; and as many for a window.
const CANVASES: usize = 4;
const CANVASES_IN_WINDOW: usize = 4;

/// Draws frames of one stream on canvases that go round.
pub struct Painter {
    easel: Easel,
    overlay: Overlay,
    layout: Layout,
    /// For frames of another size than the first, which a file cannot take.
    scaled: Option<OwnedPicture>,
}

impl Painter {
    pub fn new(layout: Layout, in_window: bool) -> Self {
        let canvases = CANVASES + if in_window { CANVASES_IN_WINDOW } else { 0 };
        Self { easel: Easel::new(layout, canvases), overlay: Overlay::default(), layout, scaled: None }
    }

    pub fn easel(&self) -> &Easel {
        &self.easel
    }

    /// The frame with its label, or "computing..." for none, on a canvas from the easel.
    ///
    /// # Errors
    /// Internal, where OpenCV cannot resize or draw.
    pub fn paint(&mut self, mut canvas: Canvas, frame: &Frame, label: Option<&str>) -> Result<Drawn> {
        let mut target = canvas.picture_mut();
        let picture = frame.picture();
        if (picture.width(), picture.height()) == (self.layout.width, self.layout.height) {
            convert(&picture, &mut target);
        } else {
            let Layout { width, height } = self.layout;
            let scaled = self.scaled.get_or_insert_with(|| OwnedPicture::new(width, height, Colorimetry::JPEG));
            scaled.colorimetry = picture.colorimetry;
            scale(&picture, &mut scaled.view_mut())
                .map_err(|cause| Error::internal("a picture cannot be resized").because(cause))?;
            convert(&scaled.view(), &mut target);
        }
        self.overlay.draw(&mut target, label)?;
        Ok(canvas.finish())
    }

    /// Like [`Painter::paint`], or `None` where all canvases are with somebody slow.
    ///
    /// # Errors
    /// Those of [`Painter::paint`].
    pub fn paint_if_free(&mut self, frame: &Frame, label: Option<&str>) -> Result<Option<Drawn>> {
        let Some(canvas) = self.easel.canvas(Duration::ZERO) else { return Ok(None) };
        self.paint(canvas, frame, label).map(Some)
    }
}
