//! Plot of loss and accuracy over the epochs of a training.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::{Error, Result};
use crate::report::plot::{BitmapArea, bitmap, register_font};
use crate::report::replace;
use crate::train::state::EpochRecord;

const SIZE: (u32, u32) = (1200, 480);
/// Colours of training and validation.
const COLOURS: [RGBColor; 2] = [RGBColor(0, 114, 178), RGBColor(200, 82, 0)];
/// Maximum number of epochs with dots; more would touch each other.
const MAX_DOTS: usize = 60;
/// Steps between the labels of a value axis, and their maximum number.
const STEPS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
const MAX_STEPS: f64 = 7.0;

pub type Drawn<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Plots training and validation loss and accuracy to a PNG. `kept` is the epoch whose weights are used.
///
/// # Errors
/// `Failed` if it cannot be written.
pub fn loss_accuracy(history: &[EpochRecord], kept: usize, output: &Path) -> Result<()> {
    write(output, SIZE, |area| {
        let (left, right) = area.split_horizontally(SIZE.0 as i32 / 2);
        curves(&left, history, kept, "loss", &[|r| r.loss, |r| r.val_loss])?;
        curves(&right, history, kept, "accuracy", &[|r| r.accuracy, |r| r.val_accuracy])
    })
}

/// Training and validation value of an epoch.
type Values = [fn(&EpochRecord) -> f64; 2];

fn curves(area: &BitmapArea, history: &[EpochRecord], kept: usize, name: &str, of: &Values) -> Drawn<()> {
    let values = history.iter().flat_map(|record| of.map(|value| value(record)));
    let axis = Axis::around(values, name == "accuracy");
    let last = history.last().map_or(1, |record| record.epoch).max(2);
    let mut chart = ChartBuilder::on(area)
        .caption(name, ("sans-serif", 20))
        .margin(14)
        .margin_right(24)
        .x_label_area_size(38)
        .y_label_area_size(56)
        .build_cartesian_2d(1.0..last as f64, axis.low..axis.high)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.11))
        .x_labels(last.min(10))
        .y_labels(axis.labels)
        .x_label_formatter(&|epoch| format!("{epoch:.0}"))
        .y_label_formatter(&|value| format!("{value:.*}", axis.decimals))
        .draw()?;
    for ((title, colour), value) in ["training", "validation"].into_iter().zip(COLOURS).zip(of) {
        let points: Vec<(f64, f64)> = history.iter().map(|record| (record.epoch as f64, value(record))).collect();
        if points.len() <= MAX_DOTS {
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
        }
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(title)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    if let Some(record) = history.iter().find(|record| record.epoch == kept) {
        let (at, value) = (kept as f64, of[1](record));
        chart.draw_series([PathElement::new([(at, axis.low), (at, axis.high)], BLACK.mix(0.4))])?;
        chart.draw_series([Circle::new((at, value), 6, COLOURS[1].stroke_width(2))])?;
        // Its name is at the side with more space, and away from the legend.
        let (side, aside) = if at > (1 + last) as f64 / 2.0 { (HPos::Right, -8) } else { (HPos::Left, 8) };
        let (height, down) = if name == "loss" { (axis.low, -10) } else { (axis.high, 10) };
        let vertical = if name == "loss" { VPos::Bottom } else { VPos::Top };
        let style = TextStyle::from(("sans-serif", 15)).color(&BLACK).pos(Pos::new(side, vertical));
        let text = format!("{}: {value:.3}", kept_name(history, kept));
        chart.draw_series([EmptyElement::at((at, height)) + Text::new(text, (aside, down), style)])?;
    }
    let position = if name == "loss" { SeriesLabelPosition::UpperRight } else { SeriesLabelPosition::LowerRight };
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.25))
        .label_font(("sans-serif", 15))
        .draw()?;
    Ok(())
}

/// Names the epoch whose weights are used.
fn kept_name(history: &[EpochRecord], kept: usize) -> String {
    let best = history.iter().min_by(|a, b| a.val_loss.total_cmp(&b.val_loss)).map(|record| record.epoch);
    if best == Some(kept) { format!("best epoch {kept}") } else { format!("epoch {kept} is used") }
}

/// A value axis: its ends, the number of its labels and their decimals.
#[derive(Debug, PartialEq)]
struct Axis {
    low: f64,
    high: f64,
    labels: usize,
    decimals: usize,
}

impl Axis {
    /// Returns the axis on which the values take most of the height. Shares end at 1.
    fn around(values: impl Iterator<Item = f64>, shares: bool) -> Self {
        let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        let (least, most) = if least <= most { (least, most) } else { (0.0, 1.0) };
        // Losses start at 0, so that their fall is seen in proportion.
        let least = if shares { least.min(most - 0.01).max(0.0) } else { least.min(0.0) };
        let span = (most - least).max(0.01);
        let step = STEPS.into_iter().find(|step| span / step <= MAX_STEPS).unwrap_or(span / MAX_STEPS);
        let low = ((least / step + 1e-9).floor() * step).max(if shares { 0.0 } else { f64::NEG_INFINITY });
        let high = (most / step - 1e-9).ceil() * step;
        let high = if high > low { high } else { low + step };
        // A little above 1, so that a line at 1 is whole.
        let above = if shares && high >= 1.0 - 1e-9 { 0.02 * (1.0 - low) } else { 0.0 };
        let high = if shares { high.min(1.0) } else { high };
        let decimals = (0..3).find(|&digits| (step * 10_f64.powi(digits)).fract().abs() < 1e-9).unwrap_or(3) as usize;
        Self { low, high: high + above, labels: ((high - low) / step).round() as usize + 1, decimals }
    }
}

/// Draws a white picture and writes it as a PNG.
///
/// # Errors
/// `Failed` if it cannot be written.
pub fn write(output: &Path, size: (u32, u32), draw: impl FnOnce(&BitmapArea) -> Drawn<()>) -> Result<()> {
    register_font();
    replace(output, |part| {
        let drawn = |area: &BitmapArea| -> Drawn<()> {
            area.fill(&WHITE)?;
            draw(area)?;
            Ok(area.present()?)
        };
        bitmap(part, size, drawn).map_err(|cause| {
            Error::failed(format!("{}: cannot be written", output.display())).because(cause).remedy("check the folder")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(values: &[f64], shares: bool) -> (String, String, usize) {
        let axis = Axis::around(values.iter().copied(), shares);
        (format!("{:.*}", axis.decimals, axis.low), format!("{:.*}", axis.decimals + 1, axis.high), axis.labels)
    }

    #[test]
    fn the_axis_is_where_the_values_are() {
        assert_eq!(axis(&[0.81, 0.94], true), ("0.80".into(), "0.940".into(), 8));
        assert_eq!(axis(&[0.3, 1.0], true), ("0.3".into(), "1.01".into(), 8));
        assert_eq!(axis(&[1.0, 1.0], true), ("0.990".into(), "1.0002".into(), 6));
        assert_eq!(axis(&[0.31, 2.9], false), ("0.0".into(), "3.00".into(), 7));
        assert_eq!(axis(&[0.0, 0.0], false), ("0.000".into(), "0.0020".into(), 2));
    }
}
