//! Paints the plate: ground, caption, number and bar.
//!
//! What does not change from frame to frame is painted once, on a layer for the caption, and on a copy of it with number
//! and bar. Drawing then blends the few rows and columns of the plate. The caches hold one plate and a hundred numbers.

use super::coverage::Coverage;
use super::layer::{Colour, Layer, ycbcr};
use super::layout::{Layout, Texts};
use super::ribbon::Ribbon;
use super::strip::Strip;
use super::text::{Line, TextRenderer, Weight};
use crate::labels::{REST, palette};
use crate::picture::PictureMut;

const WARMING_UP: &str = "warming up";
const NOT_SURE: &str = "not sure";
const NO_PICTURE: &str = "no picture";

const GROUND: Colour = ycbcr([14, 16, 20]);
const GROUND_OPACITY: u8 = 212;
const WHITE: Colour = ycbcr([242, 244, 247]);
const GREY: Colour = ycbcr([184, 188, 194]);
const RED: Colour = ycbcr([255, 138, 128]);
/// Where the ribbon has no label.
const EMPTY: Colour = ycbcr([72, 75, 80]);
/// Opacity of the part of the bar that is not filled, which is white.
const TRACK_OPACITY: u8 = 56;
const OPAQUE: u8 = 255;

/// What the plate says, apart from the number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Caption {
    Label(usize),
    /// With the most confident label.
    NotSure(usize),
    WarmingUp,
    /// Another label than the one that is looked for.
    NotTheAction,
    NoPicture,
}

/// The words that depend on the model and the options.
pub struct Words {
    pub labels: Vec<String>,
    /// What the plate says if another label than the action is on top.
    pub not_the_action: String,
}

impl Words {
    /// Returns the colour of a label.
    pub fn colour(&self, label: usize) -> Colour {
        ycbcr(palette::on_dark(&self.labels, label))
    }
}

/// The painted plate for frames of one size.
pub struct Face {
    pub layout: Layout,
    shape: Coverage,
    strip: Strip,
    /// The plate with its caption, and which.
    captioned: Layer,
    pub caption: Option<Caption>,
    /// The same with number and bar, and which.
    complete: Layer,
    pub percent: Option<usize>,
    /// The numbers from 0 to 100 percent, rendered when they are first needed.
    pub numbers: Vec<Option<Coverage>>,
}

impl Face {
    /// Lays the plate out; `None` if the frame is too small for one.
    pub fn new(frame: (usize, usize), words: &Words, text: &mut TextRenderer) -> Option<Self> {
        let other = [WARMING_UP, NO_PICTURE, &words.not_the_action];
        let texts = Texts { labels: &words.labels, not_sure: NOT_SURE, other: &other };
        let layout = Layout::new(frame, &texts, text)?;
        let (width, height) = layout.size;
        let shape = Coverage::rounded(layout.size, (width as f32, height as f32), layout.radius);
        let strip = Strip::new(&layout, &shape);
        let layer = || Layer::new(width, height);
        Some(Self {
            layout,
            shape,
            strip,
            captioned: layer(),
            caption: None,
            complete: layer(),
            percent: None,
            numbers: vec![None; 101],
        })
    }

    /// Blends the plate, as it was last written, with a picture.
    pub fn draw(&mut self, picture: &mut PictureMut, ribbon: &Ribbon<Colour>) {
        self.complete.blend(picture, self.layout.origin);
        self.strip.draw(picture, ribbon, EMPTY);
    }

    /// Paints the ground and the caption. The confidence must be written next.
    pub fn write_caption(&mut self, caption: Caption, words: &Words, text: &mut TextRenderer) {
        let Layout { label, small, left, label_end, .. } = self.layout;
        let inner_end = self.layout.number.map_or(label_end, |(_, end)| end);
        self.captioned = Layer::new(self.layout.size.0, self.layout.size.1);
        self.captioned.paint(&self.shape, (0, 0), GROUND, GROUND_OPACITY);
        let small_line = |text: &mut TextRenderer, said: &str, room| text.line(said, Weight::Regular, small, room);
        match caption {
            Caption::Label(index) if words.labels[index] == REST => {
                let line = small_line(text, REST, label_end - left);
                self.write(text, &line, left, GREY);
            }
            Caption::Label(index) => {
                let line = text.line(&words.labels[index], Weight::Bold, label, label_end - left);
                self.write(text, &line, left, words.colour(index));
            }
            Caption::NotSure(index) => {
                let line = small_line(text, NOT_SURE, inner_end - left);
                self.write(text, &line, left, WHITE);
                if let Some((number, _)) = self.layout.number {
                    // The guess stands before the number, as far as there is room.
                    let gap = 0.5 * small;
                    let room = number - gap - (left + line.width + gap);
                    let guess = small_line(text, &format!("{}?", words.labels[index]), room);
                    if guess.width <= room {
                        self.write(text, &guess, number - 0.3 * small - guess.width, GREY);
                    }
                }
            }
            Caption::WarmingUp | Caption::NotTheAction | Caption::NoPicture => {
                let (said, colour) = match caption {
                    Caption::WarmingUp => (WARMING_UP, GREY),
                    Caption::NotTheAction => (words.not_the_action.as_str(), GREY),
                    _ => (NO_PICTURE, RED),
                };
                let line = small_line(text, said, inner_end - left);
                self.write(text, &line, left, colour);
            }
        }
        (self.caption, self.percent) = (Some(caption), None);
    }

    /// Writes a line of the caption.
    fn write(&mut self, text: &mut TextRenderer, line: &Line, left: f32, colour: Colour) {
        let coverage = text.rasterise(line, self.layout.size, left, self.layout.baseline);
        self.captioned.paint(&coverage, (0, 0), colour, OPAQUE);
    }

    /// Paints number and bar on a copy of the plate with its caption.
    pub fn write_confidence(&mut self, caption: Caption, percent: usize, words: &Words, text: &mut TextRenderer) {
        self.percent = Some(percent);
        self.complete.copy_from(&self.captioned);
        let (number_colour, bar_colour) = match caption {
            Caption::Label(index) => {
                (if words.labels[index] == REST { GREY } else { WHITE }, Some(words.colour(index)))
            }
            Caption::NotSure(_) => (GREY, None),
            Caption::WarmingUp | Caption::NotTheAction | Caption::NoPicture => return,
        };
        let Layout { baseline, small, size, .. } = self.layout;
        let (above, below) = (small as usize, (0.3 * small).ceil() as usize);
        if let Some((begin, end)) = self.layout.number {
            let first = begin as usize;
            let number = self.numbers[percent].get_or_insert_with(|| {
                let line = text.line(&format!("{percent} %"), Weight::Regular, small, f32::INFINITY);
                // Only the rows that digits cover.
                let area = ((end.ceil() as usize + 1).min(size.0) - first, above + below);
                text.rasterise(&line, area, end - first as f32 - line.width, above)
            });
            self.complete.paint(number, (first, baseline - above), number_colour, OPAQUE);
        }
        if let (Some(bar), Some(colour)) = (self.layout.bar, bar_colour) {
            let area = (bar.size.0 as usize, bar.size.1 as usize);
            let whole = Coverage::rounded(area, bar.size, bar.size.1 / 2.0);
            self.complete.paint(&whole, bar.at, WHITE, TRACK_OPACITY);
            let filled = (bar.size.0 * percent as f32 / 100.0, bar.size.1);
            if percent > 0 {
                self.complete.paint(&Coverage::rounded(area, filled, bar.size.1 / 2.0), bar.at, colour, OPAQUE);
            }
        }
    }
}
