//! The intervals of a run: those of the strip, and what was found. Memory does not grow with their number.

use crate::labels::REST;
use crate::report::journal::IntervalRecord;

/// Intervals that the title can list.
const LISTED: usize = 12;

/// An interval of a label, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    pub label: usize,
    pub start: f64,
    pub end: f64,
}

/// Collects the intervals in their order.
pub struct Intervals {
    /// The width of a pixel in seconds. Intervals of one label that are less than that apart are joined.
    pixel: f64,
    pub bars: Vec<Bar>,
    /// Index of each label's last bar.
    last: Vec<Option<usize>>,
    pub found: Found,
}

/// The intervals of all labels but [`REST`].
#[derive(Default)]
pub struct Found {
    /// The first ones.
    pub first: Vec<Bar>,
    /// Number of intervals of each label.
    pub counts: Vec<u64>,
    /// Whether [`REST`] has intervals.
    pub rest: bool,
}

impl Intervals {
    pub fn new(pixel: f64, labels: usize) -> Self {
        let found = Found { counts: vec![0; labels], ..Found::default() };
        Self { pixel, bars: Vec::new(), last: vec![None; labels], found }
    }

    pub fn push(&mut self, interval: &IntervalRecord, labels: &[String]) {
        let Some(label) = labels.iter().position(|name| *name == interval.label) else { return };
        let bar = Bar { label, start: interval.start / 1000.0, end: interval.end / 1000.0 };
        if interval.label == REST {
            self.found.rest = true;
        } else {
            self.found.counts[label] += 1;
            if self.found.first.len() < LISTED {
                self.found.first.push(bar);
            }
        }
        match self.last[label] {
            Some(last) if bar.start - self.bars[last].end < self.pixel => self.bars[last].end = bar.end,
            _ => {
                self.last[label] = Some(self.bars.len());
                self.bars.push(bar);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flicker_is_joined_and_counted() {
        let labels = ["drinking", REST].map(String::from);
        let mut intervals = Intervals::new(1.0, 2);
        let mut push = |label: usize, start: u32, end: u32| {
            let (start, end) = (f64::from(start), f64::from(end));
            let label = labels[label].clone();
            intervals.push(
                &IntervalRecord {
                    label,
                    start,
                    end,
                    mean: 0.9,
                    peak: 0.9,
                    onset: None,
                    offset: None,
                    pictures: Vec::new(),
                },
                &labels,
            );
        };
        for i in 0..100_000 {
            push(i as usize % 2, 40 * i, 40 * i + 40);
        }
        push(0, 4_002_000, 4_003_000);
        assert_eq!(
            intervals.bars,
            [
                Bar { label: 0, start: 0.0, end: 3999.96 },
                Bar { label: 1, start: 0.04, end: 4000.0 },
                Bar { label: 0, start: 4002.0, end: 4003.0 }
            ]
        );
        let Found { first, counts, rest } = intervals.found;
        assert_eq!((first.len(), counts, rest), (LISTED, vec![50_001, 0], true));
        assert_eq!(first[1], Bar { label: 0, start: 0.08, end: 0.12 });
    }
}
