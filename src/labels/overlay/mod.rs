//! Draws the label on frames in JPEG's colorimetry: as a plate, as the original drew it, or not at all.

mod coverage;
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema, clap::ValueEnum)]
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
