//! Plot of the confusion matrix, with counts, and shares of each true class.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::FontTransform;
use plotters::style::text_anchor::HPos;

use crate::error::Result;
use crate::report::plot::{BitmapArea, colour, ink_on, pale, style};
use crate::system::words::count;
use crate::train::metrics::Metrics;
use crate::train::plots::{Drawn, write};

/// Side of a cell in pixels: the largest, and the smallest in which count and share can be read.
const CELL: (i32, i32) = (104, 48);
/// Width and height that the cells of many classes share.
const ALL_CELLS: i32 = 940;
/// Letters of a name.
const LETTERS: usize = 20;
const MARGIN: i32 = 16;
const NAME_SIZE: u32 = 15;
const GREY: RGBColor = RGBColor(110, 110, 110);
/// A cell without pictures, and the share whose tint the faintest cell with pictures has.
const EMPTY: RGBColor = RGBColor(246, 246, 246);
const LEAST_SHARE: f64 = 0.1;

/// Plots the matrix to a PNG.
///
/// # Errors
/// `Failed` if it cannot be written.
pub fn write_confusion(metrics: &Metrics, output: &Path) -> Result<()> {
    let layout = Layout::of(metrics);
    write(output, layout.size(), |area| draw(area, metrics, &layout))
}

/// Positions in pixels.
#[derive(Debug, PartialEq)]
struct Layout {
    names: Vec<String>,
    cell: i32,
    /// Whether the names above the columns are turned, because they are wider than a cell.
    turned: bool,
    /// The upper left corner of the cells.
    left: i32,
    top: i32,
}

impl Layout {
    fn of(metrics: &Metrics) -> Self {
        let names: Vec<String> = metrics.classes.iter().map(|class| shortened(&class.label)).collect();
        let widest = names.iter().map(|name| width(name, NAME_SIZE)).max().unwrap_or(0);
        let cell = (ALL_CELLS / names.len().max(1) as i32).clamp(CELL.1, CELL.0);
        let turned = widest + 8 > cell;
        let counts = metrics.classes.iter().map(|class| width(&pictures(class.support), 12)).max().unwrap_or(0);
        let left = MARGIN + 30 + widest.max(counts) + 12;
        let top = MARGIN + 28 + if turned { widest } else { 20 } + 14;
        Self { names, cell, turned, left, top }
    }

    fn size(&self) -> (u32, u32) {
        let all = self.names.len() as i32 * self.cell;
        // The heading needs some width of its own.
        ((self.left + all.max(130) + MARGIN) as u32, (self.top + all.max(110) + MARGIN) as u32)
    }
}

fn pictures(number: usize) -> String {
    count(number as u64, "picture")
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LETTERS {
        return name.into();
    }
    name.chars().take(LETTERS - 1).chain(['…']).collect()
}

fn width(text: &str, size: u32) -> i32 {
    let box_of = ("sans-serif", size).into_font().layout_box(text);
    box_of.map_or(0, |((left, _), (right, _))| right - left)
}

fn draw(area: &BitmapArea, metrics: &Metrics, layout: &Layout) -> Drawn<()> {
    let text =
        |text: &str, at: (i32, i32), style: TextStyle<'static>| area.draw(&Text::new(text.to_string(), at, style));
    let Layout { names, cell, turned, left, top } = layout;
    let labels: Vec<String> = metrics.classes.iter().map(|class| class.label.clone()).collect();
    let all = names.len() as i32 * cell;
    text("predicted label", (left + all.max(130) / 2, MARGIN + 8), style(15, GREY, HPos::Center))?;
    let sideways = style(15, GREY, HPos::Center).transform(FontTransform::Rotate270);
    text("true label", (MARGIN + 8, top + all.max(110) / 2), sideways)?;
    for (row, (name, class)) in names.iter().zip(&metrics.classes).enumerate() {
        let middle = row as i32 * cell + cell / 2;
        text(name, (left - 12, top + middle - 8), style(NAME_SIZE, BLACK, HPos::Right))?;
        text(&pictures(class.support), (left - 12, top + middle + 10), style(12, GREY, HPos::Right))?;
        if *turned {
            let upwards = style(NAME_SIZE, BLACK, HPos::Left).transform(FontTransform::Rotate270);
            text(name, (left + middle, top - 14), upwards)?;
        } else {
            text(name, (left + middle, top - 20), style(NAME_SIZE, BLACK, HPos::Center))?;
        }
        // A column has the colour of its label at its head.
        let head = [(left + row as i32 * cell, top - 7), (left + (row as i32 + 1) * cell - 3, top - 4)];
        area.draw(&Rectangle::new(head, colour(&labels, row).filled()))?;
        for (column, &count) in metrics.confusion[row].iter().enumerate() {
            let share = count as f64 / class.support.max(1) as f64;
            let (x, y) = (left + column as i32 * cell, top + row as i32 * cell);
            let inside = [(x, y), (x + cell - 3, y + cell - 3)];
            // A row has the colour of its label; the fuller, the larger the share. What is right has a frame.
            let fill = if count == 0 { EMPTY } else { pale(colour(&labels, row), share.max(LEAST_SHARE)) };
            area.draw(&Rectangle::new(inside, fill.filled()))?;
            if row == column {
                area.draw(&Rectangle::new(inside, colour(&labels, row).stroke_width(2)))?;
            }
            let ink = if count == 0 { RGBColor(170, 170, 170) } else { ink_on(fill) };
            let (x, y) = (x + cell / 2 - 1, y + cell / 2);
            let large = if *cell >= 80 { 20 } else { 14 };
            let count_text = count.to_string();
            if count == 0 {
                text(&count_text, (x, y - 1), style(large, ink, HPos::Center))?;
                continue;
            }
            text(&count_text, (x, y - large as i32 / 2 - 1), style(large, ink, HPos::Center))?;
            let small = if *cell >= 80 { 15 } else { 12 };
            text(&percent(share), (x, y + small as i32 / 2 + 4), style(small, ink, HPos::Center))?;
        }
    }
    Ok(())
}

/// Formats a share, so that a share that is not 0 or 1 does not look like it.
fn percent(share: f64) -> String {
    let rounded = (100.0 * share).round();
    match share {
        _ if share > 0.0 && rounded == 0.0 => "< 1 %".into(),
        _ if share < 1.0 && rounded == 100.0 => "> 99 %".into(),
        _ => format!("{rounded:.0} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::register_font;
    use crate::train::metrics::Prediction;

    fn metrics(labels: &[String]) -> Metrics {
        let prediction = |class| Prediction {
            name: String::new(),
            group: format!("{class}"),
            class,
            probabilities: (0..labels.len()).map(|label| f64::from(u8::from(label == class))).collect(),
        };
        Metrics::of(labels, &(0..labels.len()).map(prediction).collect::<Vec<_>>())
    }

    #[test]
    fn names_that_fit_their_column_are_not_turned() {
        register_font();
        let few = Layout::of(&metrics(&["cooking", "drinking", "other"].map(String::from)));
        assert_eq!((few.turned, few.cell), (false, 104));
        let names: Vec<String> = (0..20).map(|i| format!("a very long name of class {i}")).collect();
        let many = Layout::of(&metrics(&names));
        assert_eq!((many.turned, many.cell, many.names[0].as_str()), (true, 48, "a very long name of…"));
        // The longest name has its place.
        assert!(many.left > width(&many.names[0], NAME_SIZE) && many.top > width(&many.names[0], NAME_SIZE));
        assert_eq!(many.size().0 as i32, many.left + 20 * 48 + MARGIN);
    }

    #[test]
    fn a_share_is_never_rounded_to_all_or_nothing() {
        assert_eq!([0.0, 0.001, 0.5, 0.999, 1.0].map(percent), ["0 %", "< 1 %", "50 %", "> 99 %", "100 %"]);
    }
}
