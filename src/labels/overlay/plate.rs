//! Draws the plate: label, confidence as number and bar, and the ribbon of the last seconds, on a dark ground.

use super::OverlayFrame;
use super::face::{Caption, Face, Words};
use super::layer::Colour;
use super::ribbon::Ribbon;
use super::text::TextRenderer;
use crate::picture::PictureMut;

/// Draws plates for the labels of one stream.
pub struct Plate {
    words: Words,
    action: Option<usize>,
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

impl Plate {
    pub fn new(labels: &[String], action: Option<usize>) -> Self {
        let not_the_action =
            action.and_then(|action| labels.get(action)).map_or(String::new(), |label| format!("not {label}"));
        Self {
            words: Words { labels: labels.to_vec(), not_the_action },
            action,
            ribbon: Ribbon::default(),
            text: TextRenderer::default(),
            prepared: None,
        }
    }

    /// Adds the label of a frame to the ribbon.
    pub fn record(&mut self, frame: &OverlayFrame) {
        let decision = frame.decision;
        self.ribbon.push(frame.pts, frame.end, decision.shown.then(|| self.words.colour(decision.label)));
    }

    /// Draws the plate, for `None` with the note that there is no picture.
    pub fn draw(&mut self, picture: &mut PictureMut, shown: Option<&OverlayFrame>) {
        let size = (picture.planes[0].width, picture.planes[0].height);
        if self.prepared.as_ref().is_none_or(|prepared| prepared.frame != size) {
            self.prepared = Some(Prepared { frame: size, face: Face::new(size, &self.words, &mut self.text) });
        }
        let caption = self.caption(shown);
        let Some(Prepared { face: Some(face), .. }) = &mut self.prepared else { return };
        if face.caption != Some(caption) {
            face.write_caption(caption, &self.words, &mut self.text);
        }
        let confidence = shown.map_or(0.0, |shown| shown.decision.confidence);
        let percent = (confidence * 100.0).round().clamp(0.0, 100.0) as usize;
        if face.percent != Some(percent) {
            face.write_confidence(caption, percent, &self.words, &mut self.text);
        }
        face.draw(picture, &self.ribbon);
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
}

#[cfg(test)]
mod tests {
    use super::super::layer::ycbcr;
    use super::*;
    use crate::labels::decision::Decision;
    use crate::labels::palette;
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
        let of_the_label = ycbcr(palette::on_dark(&LABELS.map(String::from), 1));
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
