//! Makes the labelled frame: copies the decoder's frame once, converted to JPEG's colours, and draws the label on it.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::labels::overlay::{Overlay, OverlayFrame};
use crate::media::frame::{Frame, FramePool, PooledFrame, RenderedFrame};
use crate::media::video_format::FrameLayout;
use crate::picture::{Colorimetry, OwnedPicture, convert, scale};

/// Buffers of the pool: one for drawing and two that wait, besides one for each encoder; and more for a window.
const BUFFERS: usize = 3;
const WINDOW_BUFFERS: usize = 4;

/// Draws labels on copies of one stream's frames, in a pool of reused buffers.
pub struct OverlayRenderer {
    pool: FramePool,
    layout: FrameLayout,
    /// Buffer for frames whose size differs from the first one's, which a file cannot hold.
    scaled: Option<OwnedPicture>,
}

impl OverlayRenderer {
    /// The frames are encoded on `encoders` threads, and shown in a window if `in_window`.
    pub fn new(layout: FrameLayout, encoders: usize, in_window: bool) -> Self {
        let buffers = BUFFERS + encoders + if in_window { WINDOW_BUFFERS } else { 0 };
        Self { pool: FramePool::new(layout, buffers), layout, scaled: None }
    }

    pub fn pool(&self) -> &FramePool {
        &self.pool
    }

    /// Returns a free buffer, or `None` if all are in use.
    pub fn acquire(&self) -> Option<PooledFrame> {
        self.pool.acquire(Duration::ZERO)
    }

    /// Draws the frame and its label on a buffer from the pool; without a label if the camera is lost.
    ///
    /// # Errors
    /// Returns an internal error if OpenCV cannot resize or draw.
    pub fn render(
        &mut self,
        mut pooled: PooledFrame,
        frame: &Frame,
        overlay: &mut Overlay,
        label: Option<&OverlayFrame>,
    ) -> Result<RenderedFrame> {
        let mut target = pooled.picture_mut();
        let picture = frame.picture();
        if (picture.width(), picture.height()) == (self.layout.width, self.layout.height) {
            convert(&picture, &mut target);
        } else {
            let FrameLayout { width, height } = self.layout;
            let scaled = self.scaled.get_or_insert_with(|| OwnedPicture::new(width, height, Colorimetry::JPEG));
            scaled.colorimetry = picture.colorimetry;
            scale(&picture, &mut scaled.view_mut())
                .map_err(|cause| Error::internal("a frame cannot be resized").because(cause))?;
            convert(&scaled.view(), &mut target);
        }
        overlay.draw(&mut target, label)?;
        Ok(pooled.finish())
    }
}
