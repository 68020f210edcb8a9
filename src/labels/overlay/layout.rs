//! The geometry of the plate: where its parts lie on a frame of a given size. All sizes follow from the size of the text.

use super::text::{TextRenderer, Weight};

/// Height of capitals and digits in DejaVu Sans, in em.
const CAPITALS: f32 = 0.729;
/// Smallest size of a label that can be read, in pixels to the em. A frame without room for it gets no plate.
const MIN_SIZE: f32 = 7.0;
/// The rest in em. A label gets at most this much room; longer ones end in an ellipsis.
const MAX_LABEL: f32 = 16.0;
/// Without this much room for the label, the number is left out.
const MIN_LABEL: f32 = 3.0;
const MARGIN: f32 = 0.6;
const PADDING: f32 = 0.75;
const GAP: f32 = 0.9;
const BAR_GAP: f32 = 0.3;
const ROW: f32 = 1.75;
const RIBBON: f32 = 0.2;
const RADIUS: f32 = 0.42;
const SMALL: f32 = 0.82;
const BAR: (f32, f32) = (2.4, 0.3);

/// Positions in pixels, from the upper left corner of the plate.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Upper left corner of the plate on the frame; even.
    pub origin: (usize, usize),
    /// Size with the ribbon; even.
    pub size: (usize, usize),
    /// Height of the ribbon at the lower edge; even.
    pub ribbon: usize,
    pub radius: f32,
    /// Sizes of the label, and of smaller text.
    pub label: f32,
    pub small: f32,
    pub baseline: usize,
    /// Where text begins, and how far the label reaches.
    pub left: f32,
    pub label_end: f32,
    /// Where the number begins and ends, if there is room.
    pub number: Option<(f32, f32)>,
    /// Upper left corner and size of the bar, if there is room.
    pub bar: Option<Bar>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    pub at: (usize, usize),
    pub size: (f32, f32),
}

/// The text that the plate must have room for.
pub struct Texts<'a> {
    pub labels: &'a [String],
    /// Stands before the best guess, which is a small label with a question mark.
    pub not_sure: &'a str,
    pub other: &'a [&'a str],
}

impl Layout {
    /// Lays the plate out for a frame. It is as wide as the widest label needs, so that it does not change its size with
    /// the label. Returns `None` if the frame is too small for a readable one.
    pub fn new((width, height): (usize, usize), texts: &Texts, renderer: &mut TextRenderer) -> Option<Self> {
        let (width, height) = (width as f32, height as f32);
        // Small frames need relatively large text. The plate covers half of the height at most.
        let em = (7.0 + 0.0315 * width.min(height)).min(height / 2.0 / (ROW + RIBBON + 2.0 * MARGIN));
        let margin = even(MARGIN * em);
        let room = width - 2.0 * margin as f32 - 2.0 * PADDING * em;
        if em < MIN_SIZE || room < MIN_LABEL * em {
            return None;
        }
        let small = SMALL * em;
        let mut measured = |text: &str, weight, size| renderer.line(text, weight, size, MAX_LABEL * em).width;
        let widest = texts.labels.iter().map(|label| measured(label, Weight::Bold, em)).fold(0.0, f32::max);
        let guess = texts.labels.iter().map(|label| measured(label, Weight::Regular, small)).fold(0.0, f32::max);
        let unsure =
            measured(texts.not_sure, Weight::Regular, small) + GAP * em + guess + measured("?", Weight::Regular, small);
        let other = texts.other.iter().map(|text| measured(text, Weight::Regular, small)).fold(0.0, f32::max);
        let number = measured("100 %", Weight::Regular, small);
        let label = widest.max(other);
        let beside_bar = GAP * em + BAR.0 * em + BAR_GAP * em + number;
        let wanted = (label + beside_bar).max(unsure + GAP * em + number);

        let inner = wanted.min(room);
        let left = PADDING * em;
        let right = left + inner;
        let has_bar = label + beside_bar <= inner;
        // A narrow plate shows a whole label rather than a number; of a label that is too long anyway, the beginning.
        let beside_number = inner - number - GAP * em;
        let has_number = has_bar || label <= beside_number || label > inner && beside_number >= MIN_LABEL * em;
        let rows = even(ROW * em);
        let baseline = ((rows as f32 + CAPITALS * em) / 2.0).round() as usize;
        let bar = has_bar.then(|| {
            let (bar_width, bar_height) = ((BAR.0 * em).round(), (BAR.1 * em).round().max(2.0));
            let top = (baseline as f32 - CAPITALS * small / 2.0 - bar_height / 2.0).round();
            let begin = (right - number - BAR_GAP * em - bar_width).round();
            Bar { at: (begin as usize, top as usize), size: (bar_width, bar_height) }
        });
        let taken = if has_bar {
            beside_bar
        } else if has_number {
            number + GAP * em
        } else {
            0.0
        };
        let ribbon = even(RIBBON * em).max(2);
        let plate = (even_down(right + PADDING * em), rows + ribbon);
        Some(Self {
            origin: (margin, margin),
            size: plate,
            ribbon,
            radius: RADIUS * em,
            label: em,
            small,
            baseline,
            left,
            label_end: right - taken,
            number: has_number.then_some((right - number, right)),
            bar,
        })
    }
}

fn even(length: f32) -> usize {
    (length / 2.0).round() as usize * 2
}

fn even_down(length: f32) -> usize {
    length as usize / 2 * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(frame: (usize, usize), labels: &[&str]) -> Option<Layout> {
        let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
        let texts = Texts { labels: &labels, not_sure: "not sure", other: &["warming up"] };
        Layout::new(frame, &texts, &mut TextRenderer::default())
    }

    #[test]
    fn every_part_lies_on_the_plate_and_the_plate_on_the_frame() {
        let long = "preparing vegetables on a wooden cutting board";
        let sizes = (1..260).step_by(3).flat_map(|width| (1..260).step_by(7).map(move |height| (width, height)));
        for frame in sizes.chain([(160, 120), (1080, 1920), (3840, 2160), (8192, 100), (101, 4000)]) {
            for labels in [&["drinking", "other"][..], &["a"], &[long]] {
                let Some(plate) = layout(frame, labels) else { continue };
                let (right, bottom) = (plate.origin.0 + plate.size.0, plate.origin.1 + plate.size.1);
                assert!(right + plate.origin.0 <= frame.0 && 2 * bottom <= frame.1 + 8, "{frame:?} {plate:?}");
                let evens = [plate.origin.0, plate.origin.1, plate.size.0, plate.size.1, plate.ribbon];
                assert!(evens.iter().all(|length| length % 2 == 0), "{frame:?} {plate:?}");
                let inner = plate.size.0 as f32 - plate.left + 2.0;
                let (mut end, bar_end) = (plate.label_end, plate.bar.map(|bar| bar.at.0 as f32 + bar.size.0));
                for (begin, next) in
                    plate.bar.map(|bar| (bar.at.0 as f32, bar_end.unwrap())).into_iter().chain(plate.number)
                {
                    assert!(end <= begin && begin < next, "{frame:?} {plate:?}");
                    end = next;
                }
                assert!(plate.left < plate.label_end && end <= inner, "{frame:?} {plate:?}");
                assert!(plate.baseline + plate.ribbon < plate.size.1, "{frame:?} {plate:?}");
            }
        }
    }

    #[test]
    fn narrow_plates_leave_out_the_bar_and_then_the_number() {
        let parts = |width, labels: &[&str]| {
            layout((width, 480), labels).map(|plate| (plate.bar.is_some(), plate.number.is_some()))
        };
        assert_eq!(parts(640, &["drinking"]), Some((true, true)));
        assert_eq!(parts(160, &["drinking"]), Some((false, true)));
        assert_eq!(parts(110, &["drinking"]), Some((false, false)));
        assert_eq!(parts(160, &["preparing vegetables on a board"]), Some((false, true)));
        assert_eq!(parts(30, &["drinking"]), None);
        assert_eq!(layout((640, 40), &["drinking"]), None);
    }
}
