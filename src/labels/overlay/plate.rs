//! Draws the plate: label, confidence as number and bar, and the ribbon of the last seconds, on a dark ground.
//!
//! What does not change from frame to frame is painted once, on a layer for the caption, and on a copy of it with number
//! and bar. Drawing then blends the few rows and columns of the plate. The caches hold one plate and a hundred numbers.

use super::OverlayFrame;
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
/// The rest on bar and ribbon, which are larger areas than letters.
const DARKER_GREY: Colour = ycbcr([138, 142, 148]);
const RED: Colour = ycbcr([255, 138, 128]);
/// Where the ribbon has no label.
const EMPTY: Colour = ycbcr([72, 75, 80]);
/// Opacity of the part of the bar that is not filled, which is white.
const TRACK_OPACITY: u8 = 56;
const OPAQUE: u8 = 255;

/// What the plate says, apart from the number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Caption {
    Label(usize),
    /// With the most confident label.
    NotSure(usize),
    WarmingUp,
    /// Another label than the one that is looked for.
    NotTheAction,
    NoPicture,
}

/// Draws plates for the labels of one stream.
pub struct Plate {
    labels: Vec<String>,
    action: Option<usize>,
    /// What the plate says if another label than the action is on top.
    not_the_action: String,
    ribbon: Ribbon<Colour>,
    text: TextRenderer,
    prepared: Option<Prepared>,
}

/// The plate for frames of one size.
struct Prepared {
    frame: (usize, usize),
    /// `None` if the frame is too small for a plate.
    face: Option<Face>,
}

struct Face {
    layout: Layout,
    shape: Coverage,
    strip: Strip,
    /// The plate with its caption, and which.
    captioned: Layer,
    caption: Option<Caption>,
    /// The same with number and bar, and which.
    complete: Layer,
    percent: Option<usize>,
    /// The numbers from 0 to 100 percent, rendered when they are first needed.
    numbers: Vec<Option<Coverage>>,
}

impl Plate {
    pub fn new(labels: &[String], action: Option<usize>) -> Self {
        let not_the_action =
            action.and_then(|action| labels.get(action)).map_or(String::new(), |label| format!("not {label}"));
        Self {
            labels: labels.to_vec(),
            action,
            not_the_action,
            ribbon: Ribbon::default(),
            text: TextRenderer::default(),
            prepared: None,
        }
    }

    /// Adds the label of a frame to the ribbon.
    pub fn record(&mut self, frame: &OverlayFrame) {
        let decision = frame.decision;
        self.ribbon.push(frame.pts, frame.end, decision.shown.then(|| colour(&self.labels, decision.label)));
    }

    /// Draws the plate, for `None` with the note that there is no picture.
    pub fn draw(&mut self, picture: &mut PictureMut, shown: Option<&OverlayFrame>) {
        let size = (picture.planes[0].width, picture.planes[0].height);
        if self.prepared.as_ref().is_none_or(|prepared| prepared.frame != size) {
            self.prepared = Some(Prepared { frame: size, face: self.face(size) });
        }
        let caption = self.caption(shown);
        let Some(Prepared { face: Some(face), .. }) = &mut self.prepared else { return };
        if face.caption != Some(caption) {
            face.write_caption(caption, &self.labels, &self.not_the_action, &mut self.text);
        }
        let confidence = shown.map_or(0.0, |shown| shown.decision.confidence);
        let percent = (confidence * 100.0).round().clamp(0.0, 100.0) as usize;
        if face.percent != Some(percent) {
            face.write_confidence(caption, percent, &self.labels, &mut self.text);
        }
        face.complete.blend(picture, face.layout.origin);
        face.strip.draw(picture, &self.ribbon, EMPTY);
    }

    fn caption(&self, shown: Option<&OverlayFrame>) -> Caption {
        let Some(OverlayFrame { decision, warming_up, .. }) = shown else { return Caption::NoPicture };
        if decision.shown {
            Caption::Label(decision.label)
        } else if *warming_up {
            Caption::WarmingUp
        } else if self.action.is_some_and(|action| action != decision.label) {
            Caption::NotTheAction
        } else {
            Caption::NotSure(decision.label)
        }
    }

    fn face(&mut self, frame: (usize, usize)) -> Option<Face> {
        let other = [WARMING_UP, NO_PICTURE, &self.not_the_action];
        let texts = Texts { labels: &self.labels, not_sure: NOT_SURE, other: &other };
        let layout = Layout::new(frame, &texts, &mut self.text)?;
        let (width, height) = layout.size;
        let shape = Coverage::rounded(layout.size, (width as f32, height as f32), layout.radius);
        let strip = Strip::new(&layout, &shape);
        let layer = || Layer::new(width, height);
        Some(Face {
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
}

impl Face {
    fn write_caption(&mut self, caption: Caption, labels: &[String], not_the_action: &str, text: &mut TextRenderer) {
        let Layout { label, small, left, label_end, .. } = self.layout;
        let inner_end = self.layout.number.map_or(label_end, |(_, end)| end);
        self.captioned = Layer::new(self.layout.size.0, self.layout.size.1);
        self.captioned.paint(&self.shape, (0, 0), GROUND, GROUND_OPACITY);
        let small_line = |text: &mut TextRenderer, words: &str, room| text.line(words, Weight::Regular, small, room);
        match caption {
            Caption::Label(index) if labels[index] == REST => {
                let line = small_line(text, REST, label_end - left);
                self.write(text, &line, left, GREY);
            }
            Caption::Label(index) => {
                let line = text.line(&labels[index], Weight::Bold, label, label_end - left);
                self.write(text, &line, left, colour(labels, index));
            }
            Caption::NotSure(index) => {
                let line = small_line(text, NOT_SURE, inner_end - left);
                self.write(text, &line, left, WHITE);
                if let Some((number, _)) = self.layout.number {
                    // The guess stands before the number, as far as there is room.
                    let gap = 0.5 * small;
                    let room = number - gap - (left + line.width + gap);
                    let guess = small_line(text, &format!("{}?", labels[index]), room);
                    if guess.width <= room {
                        self.write(text, &guess, number - 0.3 * small - guess.width, GREY);
                    }
                }
            }
            Caption::WarmingUp | Caption::NotTheAction | Caption::NoPicture => {
                let (words, colour) = match caption {
                    Caption::WarmingUp => (WARMING_UP, GREY),
                    Caption::NotTheAction => (not_the_action, GREY),
                    _ => (NO_PICTURE, RED),
                };
                let line = small_line(text, words, inner_end - left);
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

    fn write_confidence(&mut self, caption: Caption, percent: usize, labels: &[String], text: &mut TextRenderer) {
        self.percent = Some(percent);
        self.complete.copy_from(&self.captioned);
        let (number_colour, bar_colour) = match caption {
            Caption::Label(index) if labels[index] == REST => (GREY, Some(DARKER_GREY)),
            Caption::Label(index) => (WHITE, Some(colour(labels, index))),
            Caption::NotSure(_) => (GREY, None),
            Caption::WarmingUp | Caption::NotTheAction | Caption::NoPicture => return,
        };
        let Layout { baseline, small, size, .. } = self.layout;
        if let Some((begin, end)) = self.layout.number {
            let first = begin as usize;
            let number = self.numbers[percent].get_or_insert_with(|| {
                let line = text.line(&format!("{percent} %"), Weight::Regular, small, f32::INFINITY);
                text.rasterise(&line, (size.0 - first, size.1), end - first as f32 - line.width, baseline)
            });
            self.complete.paint(number, (first, 0), number_colour, OPAQUE);
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

/// Returns the colour of a label; grey for the rest.
fn colour(labels: &[String], index: usize) -> Colour {
    if labels[index] == REST { DARKER_GREY } else { ycbcr(palette::ON_DARK[index % palette::COUNT]) }
}
