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

/// Returns the colour of a label; grey for the rest.
fn colour(labels: &[String], index: usize) -> Colour {
    if labels[index] == REST { DARKER_GREY } else { ycbcr(palette::ON_DARK[index % palette::COUNT]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::decision::Decision;
    use crate::picture::{Colorimetry, OwnedPicture};

    const LABELS: [&str; 3] = ["cooking", "drinking", "other"];

    fn plate(action: Option<usize>) -> Plate {
        Plate::new(&LABELS.map(String::from), action)
    }

    fn frame(label: usize, confidence: f64, shown: bool) -> OverlayFrame {
        let decision = Decision { label, confidence, shown };
        OverlayFrame { decision, warming_up: false, pts: 0, end: 40_000_000 }
    }

    fn grey(width: usize, height: usize) -> OwnedPicture {
        let mut picture = OwnedPicture::new(width, height, Colorimetry::JPEG);
        picture.view_mut().planes.into_iter().for_each(|plane| plane.data.fill(128));
        picture
    }

    #[test]
    fn the_caption_says_why_no_label_is_shown() {
        let warming = OverlayFrame { warming_up: true, ..frame(1, 0.4, false) };
        assert_eq!(plate(None).caption(Some(&frame(1, 0.9, true))), Caption::Label(1));
        assert_eq!(
            plate(None).caption(Some(&OverlayFrame { warming_up: true, ..frame(1, 0.9, true) })),
            Caption::Label(1)
        );
        assert_eq!(plate(None).caption(Some(&warming)), Caption::WarmingUp);
        assert_eq!(plate(None).caption(Some(&frame(1, 0.4, false))), Caption::NotSure(1));
        assert_eq!(plate(Some(1)).caption(Some(&frame(1, 0.4, false))), Caption::NotSure(1));
        assert_eq!(plate(Some(1)).caption(Some(&frame(0, 0.9, false))), Caption::NotTheAction);
        assert_eq!(plate(Some(1)).caption(None), Caption::NoPicture);
    }

    #[test]
    fn the_bar_is_as_long_as_the_confidence_and_has_the_labels_colour() {
        let mut plate = plate(None);
        let mut picture = grey(1280, 720);
        let shown = frame(1, 0.5, true);
        plate.record(&shown);
        plate.draw(&mut picture.view_mut(), Some(&shown));
        let Some(Prepared { face: Some(face), .. }) = &plate.prepared else { panic!("no plate") };
        let bar = face.layout.bar.unwrap();
        let row = face.layout.origin.1 + bar.at.1 + bar.size.1 as usize / 2;
        let start = face.layout.origin.0 + bar.at.0;
        let of_the_label = ycbcr(palette::ON_DARK[1]);
        let view = picture.view();
        let filled = view.planes[0].row(row)[start..start + bar.size.0 as usize].iter();
        let half = bar.size.0 / 2.0;
        assert!((filled.filter(|&&luma| luma == of_the_label[0]).count() as f32 - half).abs() <= 3.0);
        let chroma = (start + bar.size.0 as usize / 4) / 2;
        assert_eq!(view.planes[1].row(row / 2)[chroma], of_the_label[1]);
        assert_eq!(view.planes[2].row(row / 2)[chroma], of_the_label[2]);
    }

    #[test]
    fn only_the_plates_pixels_change() {
        for size in [(160, 120), (161, 121), (640, 360), (1080, 1920), (641, 359)] {
            let mut plate = plate(None);
            for shown in [Some(frame(1, 1.0, true)), Some(frame(2, 0.4, false)), Some(frame(2, 0.4, true)), None] {
                let mut picture = grey(size.0, size.1);
                plate.draw(&mut picture.view_mut(), shown.as_ref());
                let Some(Prepared { face: Some(face), .. }) = &plate.prepared else { panic!("no plate") };
                let ((left, top), (width, height)) = (face.layout.origin, face.layout.size);
                for (index, plane) in picture.view().planes.iter().enumerate() {
                    let step = if index == 0 { 1 } else { 2 };
                    for y in 0..plane.height {
                        for (x, &value) in plane.row(y).iter().enumerate() {
                            let inside = (left / step..(left + width) / step).contains(&x)
                                && (top / step..(top + height) / step).contains(&y);
                            assert!(inside || value == 128, "{size:?}: plane {index}, {x}, {y}");
                        }
                    }
                }
                // The middle of the ground is dark.
                assert!(picture.view().planes[0].row(top + 2)[left + width / 2] < 60);
            }
        }
    }

    #[test]
    fn caches_do_not_grow() {
        let mut plate = plate(None);
        for i in 0..2000_usize {
            let (width, height) = [(320, 240), (640, 480)][i / 50 % 2];
            let shown = OverlayFrame {
                pts: i as u64 * 40_000_000,
                end: (i as u64 + 1) * 40_000_000,
                ..frame(i % 3, (i % 101) as f64 / 100.0, i % 7 > 0)
            };
            plate.record(&shown);
            plate.draw(&mut grey(width, height).view_mut(), Some(&shown));
        }
        let Some(Prepared { face: Some(face), .. }) = &plate.prepared else { panic!("no plate") };
        assert_eq!(face.numbers.len(), 101);
    }

    #[test]
    fn a_confidence_that_is_no_number_is_drawn() {
        for confidence in [f64::NAN, f64::INFINITY, -1.0] {
            plate(None).draw(&mut grey(640, 360).view_mut(), Some(&frame(1, confidence, true)));
        }
    }
}
