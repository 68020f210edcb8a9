//! A line of any length, reduced to what a picture can show: of each column of pixels its first, lowest, highest and
//! last value (Jugel et al. 2014, "M4"). So a short peak stays visible, and memory does not grow with the length.

/// A time in seconds, and a value.
pub type Point = (f64, f64);

/// Collects the points of a line, in the order of their times.
pub struct Trace {
    /// The width of a column in seconds.
    width: f64,
    column: Option<Column>,
    /// Connected points; a gap begins a new part.
    parts: Vec<Vec<Point>>,
    gap: bool,
}

struct Column {
    index: u64,
    first: Point,
    lowest: Point,
    highest: Point,
    last: Point,
}

impl Trace {
    /// `width` is the width of a column in seconds.
    pub fn new(width: f64) -> Self {
        Self { width, column: None, parts: Vec::new(), gap: true }
    }

    pub fn push(&mut self, point: Point) {
        let index = (point.0 / self.width) as u64;
        if let Some(column) = self.column.as_mut().filter(|column| column.index == index) {
            self.gap = false;
            column.last = point;
            if point.1 < column.lowest.1 {
                column.lowest = point;
            }
            if point.1 > column.highest.1 {
                column.highest = point;
            }
            return;
        }
        self.end_column();
        if std::mem::take(&mut self.gap) {
            self.parts.push(Vec::new());
        }
        self.column = Some(Column { index, first: point, lowest: point, highest: point, last: point });
    }

    /// Ends the connected part, unless the next point is in the same column.
    pub fn gap(&mut self) {
        self.gap = true;
    }

    fn end_column(&mut self) {
        let Some(Column { first, lowest, highest, last, .. }) = self.column.take() else { return };
        let mut points = [first, lowest, highest, last];
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let Some(part) = self.parts.last_mut() else { return };
        for point in points {
            if part.last() != Some(&point) {
                part.push(point);
            }
        }
    }

    /// Returns the connected parts.
    pub fn finish(mut self) -> Vec<Vec<Point>> {
        self.end_column();
        self.parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_points_are_kept_as_they_are() {
        let mut trace = Trace::new(1.0);
        let points = [(0.0, 0.1), (0.9, 0.3), (1.0, 0.2), (7.5, 0.2)];
        points.iter().for_each(|&point| trace.push(point));
        assert_eq!(trace.finish(), [points]);
    }

    #[test]
    fn a_short_peak_in_a_long_line_is_kept() {
        let mut trace = Trace::new(10.0);
        for i in 0..1_000_000 {
            trace.push((f64::from(i) * 0.04, if i == 123_456 { 0.9 } else { 0.1 }));
        }
        let parts = trace.finish();
        assert!(parts.len() == 1 && parts[0].len() <= 4 * 4000, "{}", parts[0].len());
        let peaks: Vec<Point> = parts[0].iter().copied().filter(|point| point.1 > 0.1).collect();
        assert_eq!(peaks, [(123_456.0 * 0.04, 0.9)]);
    }

    #[test]
    fn a_gap_interrupts_the_line_if_it_is_wider_than_a_column() {
        let mut trace = Trace::new(1.0);
        trace.push((0.0, 0.5));
        trace.gap();
        trace.push((0.5, 0.5));
        trace.gap();
        trace.push((3.0, 0.5));
        assert_eq!(trace.finish(), [vec![(0.0, 0.5), (0.5, 0.5)], vec![(3.0, 0.5)]]);
    }
}
