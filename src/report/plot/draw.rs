//! Draws the plot in pixels: title, legend, chart, the strip of intervals, and the times below.

use std::path::Path;

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::FontTransform;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::labels::{REST, palette};
use crate::report::plot::curves::{Curve, Curves};
use crate::report::plot::intervals::Bar;
use crate::report::plot::time_axis::ticks;
use crate::report::plot::title::{shortened, title};
use crate::report::plot::trace::Point;
use crate::report::plot::{SIZE, colour};

/// The chart's edges.
pub(super) const LEFT: i32 = 64;
pub(super) const RIGHT: i32 = SIZE.0 as i32 - 28;
const TOP: i32 = 78;
const BOTTOM: i32 = 424;
/// Columns of pixels of the chart.
pub const COLUMNS: u32 = (RIGHT - LEFT) as u32;
/// Space above confidence 1 and below 0.
const HEADROOM: i32 = 18;
/// Where confidences are close to 0 or 1, each curve is this much further into the headroom than the one before, so that
/// none covers another.
const LANE: f64 = 3.0;
/// Distance to 0 or 1 below which a curve leaves the middle for its lane.
const CLOSE: f64 = 0.05;
/// The strip of intervals.
pub(super) const STRIP: (i32, i32) = (BOTTOM + 8, BOTTOM + 32);
/// Minimum width of a bar, so that a short interval is visible in a long run.
const MIN_BAR: i32 = 2;
/// Vertical centres of title, legend and times.
const TITLE: i32 = 24;
const LEGEND: i32 = 57;
const TIMES: i32 = STRIP.1 + 18;
/// Length of the line before a legend's text, and spaces after the line and the text.
const LEGEND_LINE: i32 = 24;
const LEGEND_GAP: i32 = 7;
const LEGEND_SPACE: i32 = 24;
/// Length of the dashes of a curve, and of the space between them.
const DASH: [i32; 2] = [9, 6];

pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
const GREY: RGBColor = RGBColor(110, 110, 110);

pub(super) type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Draws everything.
///
/// # Errors
/// Returns the backend's error as text.
pub fn draw<B: DrawingBackend>(area: &DrawingArea<B, Shift>, curves: &Curves) -> Result<(), String> {
    let picture = Picture { area, curves };
    let drawn = || -> Drawn<B> {
        area.fill(&WHITE)?;
        picture.title()?;
        picture.legend()?;
        picture.axes()?;
        picture.curves()?;
        picture.strip()?;
        area.present()
    };
    drawn().map_err(|cause| cause.to_string())
}

pub(super) struct Picture<'a, B: DrawingBackend> {
    area: &'a DrawingArea<B, Shift>,
    pub(super) curves: &'a Curves,
}

/// Returns a style of text that is centred vertically.
pub(crate) fn style(size: u32, colour: RGBColor, horizontal: HPos) -> TextStyle<'static> {
    let (font, pos) = (("sans-serif", size).into_font(), Pos::new(horizontal, VPos::Center));
    TextStyle { font, color: colour.to_backend_color(), pos }
}

/// Returns the vertical position of a confidence.
fn height(confidence: f64) -> f64 {
    let (zero, one) = (f64::from(BOTTOM - HEADROOM), f64::from(TOP + HEADROOM));
    zero + confidence * (one - zero)
}

impl<B: DrawingBackend> Picture<'_, B> {
    fn x(&self, seconds: f64) -> i32 {
        LEFT + (seconds / self.curves.end * f64::from(COLUMNS)).round() as i32
    }

    pub(super) fn text(&self, text: String, (x, y): (i32, i32), style: TextStyle<'static>) -> Drawn<B> {
        // The font's box has more space above the letters than below.
        self.area.draw(&Text::new(text, (x, y + 1), style))
    }

    pub(super) fn width(&self, text: &str, style: &TextStyle) -> i32 {
        self.area.estimate_text_size(text, style).map_or(0, |(width, _)| width as i32)
    }

    pub(super) fn rectangle(&self, from: (i32, i32), to: (i32, i32), colour: &impl Color) -> Drawn<B> {
        self.area.draw(&Rectangle::new([from, to], colour.filled()))
    }

    pub(super) fn label(&self, index: usize) -> &str {
        &self.curves.header.model.labels[index]
    }

    pub(super) fn colour(&self, label: usize) -> RGBColor {
        colour(&self.curves.header.model.labels, label)
    }

    fn title(&self) -> Drawn<B> {
        let Curves { header, end, intervals, .. } = self.curves;
        let name = Path::new(&header.input).file_name().unwrap_or_default().to_string_lossy();
        let style = style(21, INK, HPos::Left);
        let fits = |text: &str| self.width(text, &style) <= RIGHT - LEFT;
        let text = title(&name, header.action.as_deref(), &header.model.labels, &intervals.found, *end, fits);
        self.text(text, (LEFT, TITLE), style)
    }

    /// Draws the legend in one row. Names are shortened until it fits.
    fn legend(&self) -> Drawn<B> {
        let Curves { header, curves, .. } = self.curves;
        let style = style(15, INK, HPos::Left);
        let mut right = RIGHT;
        if curves.iter().any(|curve| !curve.predictions.is_empty()) {
            let text = "faint: single predictions";
            right -= self.width(text, &style);
            self.text(text.into(), (right, LEGEND), style.color(&GREY))?;
        }
        let threshold = (header.threshold > 0.0).then(|| format!("threshold {}", header.threshold));
        let length = |letters: usize| {
            let names = curves.iter().map(|curve| shortened(self.label(curve.label), letters)).chain(threshold.clone());
            names.map(|name| LEGEND_LINE + LEGEND_GAP + self.width(&name, &style) + LEGEND_SPACE).sum::<i32>()
        };
        let letters = (4..=40).rev().find(|&letters| LEFT + length(letters) <= right).unwrap_or(4);
        let mut x = LEFT;
        for curve in curves {
            let name = shortened(self.label(curve.label), letters);
            let colour = self.colour(curve.label);
            let [on, off] = if palette::is_dashed(curve.label) { DASH } else { [LEGEND_LINE, 0] };
            for from in (x..x + LEGEND_LINE).step_by((on + off) as usize) {
                self.rectangle((from, LEGEND - 2), (from + on, LEGEND + 1), &colour)?;
            }
            x += LEGEND_LINE + LEGEND_GAP;
            self.text(name.clone(), (x, LEGEND), style.clone())?;
            x += self.width(&name, &style) + LEGEND_SPACE;
        }
        if let Some(text) = threshold {
            self.dashes(x, x + LEGEND_LINE, LEGEND)?;
            self.text(text, (x + LEGEND_LINE + LEGEND_GAP, LEGEND), style.clone())?;
        }
        Ok(())
    }

    fn dashes(&self, from: i32, to: i32, y: i32) -> Drawn<B> {
        for x in (from..to).step_by(10) {
            self.rectangle((x, y), ((x + 5).min(to), y + 1), &INK)?;
        }
        Ok(())
    }

    /// Draws grid and labels of both axes.
    fn axes(&self) -> Drawn<B> {
        let grid = BLACK.mix(0.1);
        for tenths in (0..=10).step_by(2) {
            let y = height(f64::from(tenths) / 10.0) as i32;
            self.area.draw(&PathElement::new([(LEFT, y), (RIGHT, y)], grid))?;
            self.text(format!("{:.1}", f64::from(tenths) / 10.0), (LEFT - 9, y), style(14, INK, HPos::Right))?;
        }
        let turned = style(14, GREY, HPos::Center).transform(FontTransform::Rotate270);
        self.text("confidence".into(), (18, (TOP + BOTTOM) / 2), turned)?;
        let (times, form) = ticks(self.curves.end);
        for time in times {
            let x = self.x(time);
            self.area.draw(&PathElement::new([(x, TOP), (x, STRIP.1 + 5)], grid))?;
            self.text(form.format(time), (x, TIMES), style(14, INK, HPos::Center))?;
        }
        let unit = style(13, GREY, HPos::Right);
        self.text("label".into(), (LEFT - 9, i32::midpoint(STRIP.0, STRIP.1)), unit.clone())?;
        // The unit is below the times, where none of them is in its way.
        self.text(form.units().into(), (RIGHT, TIMES + 17), unit)
    }

    fn curves(&self) -> Drawn<B> {
        let Curves { header, curves, intervals, .. } = self.curves;
        for bar in intervals.bars.iter().filter(|bar| !self.is_rest(bar)) {
            let (from, to) = self.span(bar);
            self.rectangle((from, TOP), (to - 1, BOTTOM), &self.colour(bar.label).mix(0.09))?;
        }
        // The activities' curves are above that of the rest.
        let mut order: Vec<(usize, &Curve)> = curves.iter().enumerate().collect();
        order.sort_by_key(|(_, curve)| self.label(curve.label) != REST);
        for &(lane, Curve { label, predictions, .. }) in &order {
            // Many predictions in a column are an area, which is fainter than a line.
            let many = predictions.iter().map(Vec::len).sum::<usize>() > 2 * COLUMNS as usize;
            let stroke = pale(self.colour(*label), if many { 0.17 } else { 0.32 }).stroke_width(1);
            self.lines(lane, predictions, stroke, false)?;
        }
        if header.threshold > 0.0 {
            self.dashes(LEFT, RIGHT, height(header.threshold) as i32)?;
        }
        for &(lane, Curve { label, smoothed, .. }) in &order {
            self.lines(lane, smoothed, self.colour(*label).stroke_width(2), palette::is_dashed(*label))?;
        }
        Ok(())
    }

    fn lines(&self, lane: usize, parts: &[Vec<Point>], stroke: ShapeStyle, dashed: bool) -> Drawn<B> {
        for part in parts {
            let mut points: Vec<(i32, i32)> =
                part.iter().map(|&(time, value)| (self.x(time), in_lane(lane, value))).collect();
            points.dedup();
            match points.as_slice() {
                [point] => self.area.draw(&Circle::new(*point, 2 + stroke.stroke_width, stroke.filled()))?,
                _ if dashed => self.area.draw(&DashedPathElement::new(points, DASH[0], DASH[1], stroke))?,
                _ => self.area.draw(&PathElement::new(points, stroke))?,
            }
        }
        Ok(())
    }

    pub(super) fn is_rest(&self, bar: &Bar) -> bool {
        self.label(bar.label) == REST
    }

    /// Returns the columns of a bar.
    pub(super) fn span(&self, bar: &Bar) -> (i32, i32) {
        let from = self.x(bar.start);
        (from, self.x(bar.end).max(from + MIN_BAR))
    }
}

/// Returns a share of a colour mixed with white. It is not translucent: crossings would look like curves of their own.
pub(crate) fn pale(RGBColor(red, green, blue): RGBColor, share: f64) -> RGBColor {
    let mixed = |value: u8| (255.0 - share * (255.0 - f64::from(value))) as u8;
    RGBColor(mixed(red), mixed(green), mixed(blue))
}

/// Returns the vertical position of a confidence of one curve.
fn in_lane(lane: usize, confidence: f64) -> i32 {
    let near = |distance: f64| (1.0 - distance / CLOSE).max(0.0);
    let outwards = near(confidence) - near(1.0 - confidence);
    (height(confidence) + LANE * lane as f64 * outwards).round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_have_lanes_only_close_to_0_and_1() {
        let heights = |confidence: f64| [0, 1, 5].map(|lane| in_lane(lane, confidence));
        let [zero, one] = [0.0, 1.0].map(|confidence| height(confidence) as i32);
        assert_eq!(heights(0.0), [zero, zero + 3, zero + 15]);
        assert_eq!(heights(1.0), [one, one - 3, one - 15]);
        for confidence in [0.05, 0.5, 0.95] {
            assert_eq!(heights(confidence), [height(confidence).round() as i32; 3]);
        }
        let rising: Vec<i32> = (0..=1000).map(|i| in_lane(5, f64::from(i) / 1000.0)).collect();
        assert!(rising.is_sorted_by(|a, b| a >= b) && rising[0] < BOTTOM && rising[1000] > TOP);
    }
}
