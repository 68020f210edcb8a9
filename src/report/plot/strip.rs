//! The strip of intervals below the chart: a bar for each, with the label's name where it fits.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use crate::report::plot::draw::{Drawn, INK, LEFT, Picture, RIGHT, STRIP, pale, style};
use crate::report::plot::intervals::Bar;

impl<B: DrawingBackend> Picture<'_, B> {
    /// Draws the intervals: those of the rest pale and below the others.
    pub(super) fn strip(&self) -> Drawn<B> {
        self.rectangle((LEFT, STRIP.0), (RIGHT, STRIP.1), &BLACK.mix(0.05))?;
        let (rest, others): (Vec<&Bar>, Vec<&Bar>) =
            self.curves.intervals.bars.iter().partition(|bar| self.is_rest(bar));
        let order: Vec<&Bar> = rest.into_iter().chain(others).collect();
        for bar in &order {
            let (from, to) = self.span(bar);
            self.rectangle((from, STRIP.0), (to - 1, STRIP.1), &self.fill(bar))?;
        }
        for (index, bar) in order.iter().enumerate() {
            let (name, style) = (self.label(bar.label), style(14, ink_on(self.fill(bar)), HPos::Center));
            let needed = self.width(name, &style) + 8;
            let (from, to) = self.span(bar);
            if needed <= to - from {
                let above = order[index + 1..].iter().map(|bar| self.span(bar));
                let (from, to) = widest_gap((from, to), above);
                if needed <= to - from {
                    self.text(name.into(), (i32::midpoint(from, to), i32::midpoint(STRIP.0, STRIP.1)), style)?;
                }
            }
        }
        Ok(())
    }

    fn fill(&self, bar: &Bar) -> RGBColor {
        let colour = self.colour(bar.label);
        if self.is_rest(bar) { pale(colour, 0.32) } else { colour }
    }
}

/// Returns the widest part of a span that no other span covers.
fn widest_gap((from, to): (i32, i32), others: impl Iterator<Item = (i32, i32)>) -> (i32, i32) {
    let mut others: Vec<(i32, i32)> = others.filter(|other| other.0 < to && other.1 > from).collect();
    others.sort_unstable();
    let (mut widest, mut free) = ((from, from), from);
    for (begin, end) in others.into_iter().chain([(to, to)]) {
        if begin - free > widest.1 - widest.0 {
            widest = (free, begin);
        }
        free = free.max(end);
    }
    widest
}

/// Returns the colour of letters that can be read on a colour.
pub(crate) fn ink_on(RGBColor(red, green, blue): RGBColor) -> RGBColor {
    let lightness = 0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue);
    if lightness > 150.0 { INK } else { WHITE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_where_no_other_bar_is() {
        assert_eq!(widest_gap((10, 100), [].into_iter()), (10, 100));
        assert_eq!(widest_gap((10, 100), [(90, 200), (20, 22), (0, 15)].into_iter()), (22, 90));
        assert_eq!(widest_gap((10, 100), [(0, 200)].into_iter()), (10, 10));
    }
}
