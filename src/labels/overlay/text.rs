//! Renders a line of text as coverage, in DejaVu Sans: shaped for its script, in visual order, with anti-aliased edges.

use swash::scale::{Render, ScaleContext, Source};
use swash::shape::{Direction, ShapeContext};
use swash::text::{Codepoint, Script};
use swash::zeno::{Format, Vector};
use swash::{FontRef, GlyphId};
use unicode_bidi::BidiInfo;

use super::coverage::Coverage;

const ELLIPSIS: char = '…';
/// Stands for control characters, which have no glyph.
const CONTROL: char = '\u{fffd}';

/// A weight of the font.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    Regular,
    Bold,
}

/// Shapes and rasterises text.
pub struct TextRenderer {
    regular: Option<FontRef<'static>>,
    bold: Option<FontRef<'static>>,
    shaping: ShapeContext,
    scaling: ScaleContext,
}

/// A line of positioned glyphs, in pixels.
pub struct Line {
    glyphs: Vec<Glyph>,
    font: Option<FontRef<'static>>,
    size: f32,
    /// The pen's way from the first glyph to the end.
    pub width: f32,
}

struct Glyph {
    id: GlyphId,
    x: f32,
    y: f32,
}

impl Default for TextRenderer {
    fn default() -> Self {
        // The fonts are embedded and valid.
        Self {
            regular: FontRef::from_index(dejavu::sans::regular(), 0),
            bold: FontRef::from_index(dejavu::sans::bold(), 0),
            shaping: ShapeContext::new(),
            scaling: ScaleContext::new(),
        }
    }
}

impl TextRenderer {
    /// Lays out `text` with `size` pixels to the em. A text wider than `room` ends in an ellipsis.
    pub fn line(&mut self, text: &str, weight: Weight, size: f32, room: f32) -> Line {
        let text: String = text.chars().map(|c| if c.is_control() { CONTROL } else { c }).collect();
        let font = self.font(&text, weight);
        let whole = self.shape(&text, font, size);
        if whole.width <= room {
            return whole;
        }
        // The longest beginning that fits, cut between characters that people see as such.
        let cuts: Vec<usize> =
            text.char_indices().filter(|(_, c)| c.combining_class() == 0).map(|(index, _)| index).collect();
        let (mut fits, mut exceeds) = (0, cuts.len());
        while fits + 1 < exceeds {
            let middle = fits.midpoint(exceeds);
            let shorter = shortened(&text[..cuts[middle]]);
            if self.shape(&shorter, font, size).width <= room { fits = middle } else { exceeds = middle }
        }
        self.shape(&shortened(&text[..cuts.get(fits).copied().unwrap_or(0)]), font, size)
    }

    /// Returns the font of the weight, or the regular one if only that has all characters.
    fn font(&self, text: &str, weight: Weight) -> Option<FontRef<'static>> {
        let missing = |font: &FontRef| text.chars().filter(|&c| font.charmap().map(c) == 0).count();
        match (weight, self.bold, self.regular) {
            (Weight::Bold, Some(bold), Some(regular)) if missing(&bold) <= missing(&regular) => Some(bold),
            _ => self.regular,
        }
    }

    fn shape(&mut self, text: &str, font: Option<FontRef<'static>>, size: f32) -> Line {
        let mut line = Line { glyphs: Vec::new(), font, size, width: 0.0 };
        let bidi = BidiInfo::new(text, None);
        for paragraph in &bidi.paragraphs {
            let (levels, runs) = bidi.visual_runs(paragraph, paragraph.range.clone());
            for run in runs {
                let backwards = levels[run.start].is_rtl();
                let mut parts = of_one_script(&text[run]);
                if backwards {
                    parts.reverse();
                }
                for (script, part) in parts {
                    self.append(&mut line, part, script, backwards);
                }
            }
        }
        line
    }

    fn append(&mut self, line: &mut Line, text: &str, script: Script, backwards: bool) {
        let Some(font) = line.font else { return };
        let direction = if backwards { Direction::RightToLeft } else { Direction::LeftToRight };
        let mut shaper = self.shaping.builder(font).script(script).direction(direction).size(line.size).build();
        shaper.add_str(text);
        let mut clusters: Vec<Vec<(Glyph, f32)>> = Vec::new();
        shaper.shape_with(|cluster| {
            let glyphs = cluster.glyphs.iter().map(|g| (Glyph { id: g.id, x: g.x, y: g.y }, g.advance));
            clusters.push(glyphs.collect());
        });
        // The shaper returns clusters in the order of the text.
        if backwards {
            clusters.reverse();
        }
        for (glyph, advance) in clusters.into_iter().flatten() {
            line.glyphs.push(Glyph { x: line.width + glyph.x, ..glyph });
            line.width += advance;
        }
    }

    /// Rasterises a line into `size`, with its beginning at `left` and its baseline on the upper edge of row `baseline`.
    pub fn rasterise(&mut self, line: &Line, size: (usize, usize), left: f32, baseline: usize) -> Coverage {
        let mut coverage = Coverage::new(size.0, size.1);
        let Some(font) = line.font else { return coverage };
        let mut scaler = self.scaling.builder(font).size(line.size).hint(true).build();
        for glyph in &line.glyphs {
            let x = left + glyph.x;
            let offset = Vector::new(x.fract(), 0.0);
            let image =
                Render::new(&[Source::Outline]).format(Format::Alpha).offset(offset).render(&mut scaler, glyph.id);
            let Some(image) = image.filter(|image| image.placement.width > 0) else { continue };
            let column = x.floor() as i32 + image.placement.left;
            let row = baseline as i32 - glyph.y.round() as i32 - image.placement.top;
            coverage.add(&image.data, image.placement.width as usize, (column, row));
        }
        coverage
    }
}

fn shortened(text: &str) -> String {
    format!("{}{ELLIPSIS}", text.trim_end())
}

/// Splits a text into parts of one script each. Spaces, digits and marks belong to the script before them.
fn of_one_script(text: &str) -> Vec<(Script, &str)> {
    let neutral = |script| matches!(script, Script::Common | Script::Inherited | Script::Unknown);
    let mut parts: Vec<(Script, &str)> = Vec::new();
    let (mut start, mut current) = (0, Script::Latin);
    for (index, c) in text.char_indices() {
        let script = c.script();
        if neutral(script) || script == current {
            continue;
        }
        if index > start {
            parts.push((current, &text[start..index]));
        }
        (start, current) = (index, script);
    }
    parts.push((current, &text[start..]));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(line: &Line) -> Vec<GlyphId> {
        line.glyphs.iter().map(|glyph| glyph.id).collect()
    }

    #[test]
    fn a_long_text_ends_in_an_ellipsis_and_fits() {
        let mut renderer = TextRenderer::default();
        let text = "preparing vegetables on a wooden cutting board";
        for room in 12..600 {
            let line = renderer.line(text, Weight::Bold, 20.0, room as f32);
            let ellipsis = renderer.line("…", Weight::Bold, 20.0, f32::INFINITY);
            assert!(line.width <= (room as f32).max(ellipsis.width), "{room}");
            let whole = renderer.line(text, Weight::Bold, 20.0, f32::INFINITY);
            let cut = whole.width > room as f32;
            assert_eq!(cut, line.glyphs.last().map(|glyph| glyph.id) == ellipsis.glyphs.last().map(|glyph| glyph.id));
        }
    }

    #[test]
    fn other_scripts_have_glyphs_and_what_has_none_is_a_box() {
        let mut renderer = TextRenderer::default();
        for text in ["drinking", "пьёт чай", "πίνω", "é ß ø", "שותה", "يشرب", "խմում է"] {
            let line = renderer.line(text, Weight::Bold, 24.0, f32::INFINITY);
            assert!(!line.glyphs.is_empty() && ids(&line).iter().all(|&id| id != 0), "{text}");
        }
        let line = renderer.line("飲", Weight::Bold, 24.0, f32::INFINITY);
        assert_eq!(ids(&line), [0]);
        let box_drawn = renderer.rasterise(&line, (40, 40), 4.0, 30);
        assert!(box_drawn.values.iter().any(|&value| value > 200));
    }

    #[test]
    fn hebrew_runs_from_right_to_left() {
        let mut renderer = TextRenderer::default();
        let [word, first, last] = ["אבג", "א", "ג"].map(|text| renderer.line(text, Weight::Bold, 24.0, f32::INFINITY));
        assert_eq!((ids(&word)[0], ids(&word)[2]), (ids(&last)[0], ids(&first)[0]));
    }

    #[test]
    fn arabic_letters_join() {
        let mut renderer = TextRenderer::default();
        let [word, letter] = ["ببب", "ب"].map(|text| renderer.line(text, Weight::Bold, 24.0, f32::INFINITY));
        let forms: std::collections::HashSet<_> = ids(&word).into_iter().collect();
        assert_eq!(forms.len(), 3);
        assert!(word.width < 3.0 * letter.width, "{} {}", word.width, letter.width);
    }

    #[test]
    fn control_characters_and_empty_texts_are_no_problem() {
        let mut renderer = TextRenderer::default();
        assert_eq!(ids(&renderer.line("a\nb\u{2029}c", Weight::Regular, 24.0, f32::INFINITY)).len(), 5);
        assert_eq!(renderer.line("", Weight::Regular, 24.0, 0.0).width, 0.0);
    }
}
