//! Draws the label on frames in JPEG's colorimetry: as a plate, as the original drew it, or not at all.

mod coverage;
mod face;
mod layer;
mod layout;
mod original;
mod plate;
mod ribbon;
mod strip;
mod text;

use crate::error::Result;
use crate::labels::decision::Decision;
use crate::picture::PictureMut;
use original::Original;
use plate::Plate;

/// The option `--overlay`.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Deserialize,
    serde::Serialize,
    schemars::JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum OverlayStyle {
    /// A dark plate with label, confidence, and a ribbon of the last ten seconds
    #[default]
    Plate,
    /// Green or red letters without a ground, as the original drew them
    Original,
    /// Nothing
    None,
}

/// What is drawn on a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverlayFrame {
    pub decision: Decision,
    /// Whether the smoothing window is not filled yet.
    pub warming_up: bool,
    /// Pts of the frame and of its end, in nanoseconds.
    pub pts: u64,
    pub end: u64,
}

/// Draws the labels of one stream.
pub struct Overlay {
    labels: Vec<String>,
    kind: Kind,
}

enum Kind {
    Plate(Box<Plate>),
    Original(Original),
    None,
}

impl Overlay {
    /// Creates an overlay for a model's labels, of which `action` is looked for.
    pub fn new(style: OverlayStyle, labels: &[String], action: Option<usize>) -> Self {
        let kind = match style {
            OverlayStyle::Plate => Kind::Plate(Box::new(Plate::new(labels, action))),
            OverlayStyle::Original => Kind::Original(Original::default()),
            OverlayStyle::None => Kind::None,
        };
        Self { labels: labels.to_vec(), kind }
    }

    /// Remembers the label of a frame. Called once for each frame, in order, whether it is drawn or not.
    pub fn record(&mut self, frame: &OverlayFrame) {
        if let Kind::Plate(plate) = &mut self.kind {
            plate.record(frame);
        }
    }

    /// Draws on a picture; `None` if the camera is lost, and this is its last frame again.
    ///
    /// # Errors
    /// Returns an internal error if OpenCV cannot render the original's text.
    pub fn draw(&mut self, picture: &mut PictureMut, frame: Option<&OverlayFrame>) -> Result<()> {
        match &mut self.kind {
            Kind::Plate(plate) => plate.draw(picture, frame),
            Kind::Original(original) => {
                let shown = frame.filter(|frame| frame.decision.shown);
                original.draw(picture, shown.map(|frame| self.labels[frame.decision.label].as_str()))?;
            }
            Kind::None => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Colorimetry, OwnedPicture};

    #[test]
    fn every_style_draws_on_frames_of_any_size() {
        let labels = ["drinking", "a label that is too long for most pictures", "пьёт чай", "other"].map(String::from);
        let sizes = (1..60).flat_map(|width| (1..60).step_by(4).map(move |height| (width, height)));
        let sizes: Vec<_> = sizes.chain([(160, 120), (641, 359), (1081, 1919), (3840, 2160), (2, 4000)]).collect();
        for style in [OverlayStyle::Plate, OverlayStyle::Original, OverlayStyle::None] {
            let mut overlay = Overlay::new(style, &labels, None);
            for &(width, height) in &sizes {
                let mut picture = OwnedPicture::new(width, height, Colorimetry::JPEG);
                let untouched = picture.clone();
                for label in 0..labels.len() {
                    let decision = Decision { label, confidence: 0.7, shown: label != 1 };
                    let frame = OverlayFrame { decision, warming_up: false, pts: 0, end: 40_000_000 };
                    overlay.record(&frame);
                    overlay.draw(&mut picture.view_mut(), Some(&frame)).unwrap();
                }
                overlay.draw(&mut picture.view_mut(), None).unwrap();
                let drawn = picture != untouched;
                assert!(drawn || style != OverlayStyle::Plate || width < 60 || height < 60, "{width}x{height}");
                assert!(!drawn || style != OverlayStyle::None, "{width}x{height}");
            }
        }
    }
}
