//! Plots of a training: loss and accuracy over the epochs, and the confusion matrix.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::{Error, Result};
use crate::report::plot::{BitmapArea, COLOURS, bitmap, register_font};
use crate::report::replace;
use crate::train::metrics::Metrics;
use crate::train::state::EpochRecord;

const SIZE: (u32, u32) = (1200, 480);
/// Width of the matrix' margin for names, and of a cell, in pixels.
const MARGIN: i32 = 170;
const CELL: i32 = 90;
/// Letters of a label that fit into the margin.
const LETTERS: usize = 16;

type Drawn<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
type Area<'a> = BitmapArea<'a>;

/// Plots training and validation loss and accuracy to a PNG.
///
/// # Errors
/// `Failed` if it cannot be written.
pub fn loss_accuracy(history: &[EpochRecord], output: &Path) -> Result<()> {
    write(output, SIZE, |area| {
        let (left, right) = area.split_horizontally(SIZE.0 as i32 / 2);
        let most = history.iter().flat_map(|r| [r.loss, r.val_loss]).fold(0.0, f64::max);
        curves(&left, history, "loss", 1.05 * most.max(1e-3), [|r| r.loss, |r| r.val_loss])?;
        curves(&right, history, "accuracy", 1.0, [|r| r.accuracy, |r| r.val_accuracy])
    })
}

fn curves(area: &Area, history: &[EpochRecord], name: &str, most: f64, of: [fn(&EpochRecord) -> f64; 2]) -> Drawn<()> {
    let last = history.last().map_or(1, |record| record.epoch).max(2);
    let mut chart = ChartBuilder::on(area)
        .caption(name, ("sans-serif", 22))
        .margin(14)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d(1.0..last as f64, 0.0..most)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .light_line_style(TRANSPARENT)
        .x_labels(last.min(10))
        .x_label_formatter(&|epoch| format!("{epoch:.0}"))
        .draw()?;
    for ((title, colour), value) in ["training", "validation"].into_iter().zip(COLOURS).zip(of) {
        let points: Vec<(f64, f64)> = history.iter().map(|record| (record.epoch as f64, value(record))).collect();
        let dots = points.iter().map(|&point| Circle::new(point, 3, colour.filled()));
        chart.draw_series(dots)?;
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(title)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    let best = history.iter().min_by(|a, b| a.val_loss.total_cmp(&b.val_loss));
    if let Some(best) = best {
        let at = best.epoch as f64;
        chart
            .draw_series([PathElement::new([(at, 0.0), (at, most)], BLACK.mix(0.35))])?
            .label("lowest validation loss")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], BLACK.mix(0.35)));
    }
    let position = if name == "loss" { SeriesLabelPosition::UpperRight } else { SeriesLabelPosition::LowerRight };
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 15))
        .draw()?;
    Ok(())
}

/// Plots the confusion matrix to a PNG, with counts and shares of each class.
///
/// # Errors
/// `Failed` if it cannot be written.
pub fn confusion(metrics: &Metrics, output: &Path) -> Result<()> {
    let count = metrics.classes.len() as i32;
    let side = MARGIN + count * CELL;
    let size = (side as u32 + 30, side as u32 - MARGIN as u32 + 130);
    write(output, size, |area| {
        let text = |text: &str, position: (i32, i32), anchor: (HPos, VPos), size: u32, colour: RGBColor| {
            let style = ("sans-serif", size).into_font().color(&colour).pos(Pos::new(anchor.0, anchor.1));
            area.draw(&Text::new(text.to_string(), position, style))
        };
        let (left, top) = (MARGIN, 90);
        text("predicted class", (left + count * CELL / 2, 18), (HPos::Center, VPos::Top), 18, BLACK)?;
        for (row, class) in metrics.classes.iter().enumerate() {
            let name: String = class.label.chars().take(LETTERS).collect();
            let middle = row as i32 * CELL + CELL / 2;
            text(&name, (left - 10, top + middle), (HPos::Right, VPos::Center), 17, BLACK)?;
            // Names alternate between two heights, so that long ones do not overlap.
            let height = if row % 2 == 0 { top - 8 } else { top - 28 };
            text(&name, (left + middle, height), (HPos::Center, VPos::Bottom), 17, BLACK)?;
            for (column, &cell) in metrics.confusion[row].iter().enumerate() {
                let share = cell as f64 / class.support.max(1) as f64;
                let (x, y) = (left + column as i32 * CELL, top + row as i32 * CELL);
                let colour = if row == column { COLOURS[0] } else { COLOURS[1] };
                let fill = colour.mix(share);
                area.draw(&Rectangle::new([(x, y), (x + CELL - 2, y + CELL - 2)], WHITE.filled()))?;
                area.draw(&Rectangle::new([(x, y), (x + CELL - 2, y + CELL - 2)], fill.filled()))?;
                area.draw(&Rectangle::new([(x, y), (x + CELL - 2, y + CELL - 2)], BLACK.mix(0.2)))?;
                let ink = if share > 0.6 { WHITE } else { BLACK };
                let (x, y) = (x + CELL / 2, y + CELL / 2);
                text(&cell.to_string(), (x, y - 4), (HPos::Center, VPos::Bottom), 20, ink)?;
                text(&format!("{:.0} %", 100.0 * share), (x, y + 6), (HPos::Center, VPos::Top), 15, ink)?;
            }
        }
        Ok(())
    })
}

fn write(output: &Path, size: (u32, u32), draw: impl FnOnce(&Area) -> Drawn<()>) -> Result<()> {
    register_font();
    replace(output, |part| {
        let drawn = |area: &Area| -> Drawn<()> {
            area.fill(&WHITE)?;
            draw(area)?;
            Ok(area.present()?)
        };
        bitmap(part, size, drawn).map_err(|cause| {
            Error::failed(format!("{}: cannot be written", output.display())).because(cause).remedy("check the folder")
        })
    })
}
