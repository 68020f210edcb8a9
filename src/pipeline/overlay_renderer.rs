//! The labelled picture: the decoder's is copied once, to JPEG's colours, and drawn on there.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::labels::overlay::Overlay;
use crate::media::frame::{Frame, FramePool, PooledFrame, RenderedFrame};
use crate::media::video_format::Layout;
use crate::picture::{Colorimetry, OwnedPicture, convert, scale};

/// Pictures in memory: one being drawn, one being encoded, two between; and as many for a window.
const PICTURES: usize = 4;
const PICTURES_IN_WINDOW: usize = 4;

/// Draws labels on copies of one stream's frames, in memory that is used again.
pub struct OverlayRenderer {
    pool: FramePool,
    overlay: Overlay,
    layout: Layout,
    /// For frames of another size than the first, which a file cannot take.
    scaled: Option<OwnedPicture>,
}

impl OverlayRenderer {
    pub fn new(layout: Layout, in_window: bool) -> Self {
        let pictures = PICTURES + if in_window { PICTURES_IN_WINDOW } else { 0 };
        Self { pool: FramePool::new(layout, pictures), overlay: Overlay::default(), layout, scaled: None }
    }

    pub fn pool(&self) -> &FramePool {
        &self.pool
    }

    /// Memory for a picture, or `None` where all is with somebody slow.
    pub fn canvas(&self) -> Option<PooledFrame> {
        self.pool.canvas(Duration::ZERO)
    }

    /// The frame with its label, or "computing..." for none, on a canvas from the pool.
    ///
    /// # Errors
    /// Internal, where OpenCV cannot resize or draw.
    pub fn render(&mut self, mut canvas: PooledFrame, frame: &Frame, label: Option<&str>) -> Result<RenderedFrame> {
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
}
