//! The intervals of a clip as the overview shows them: a bounded number, however many there are.

use crate::labels::REST;

/// Bars of a ribbon. If there are more intervals, neighbours are joined.
const MAX_BARS: usize = 240;

/// A stretch of the ribbon, in milliseconds of the clip.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    pub label: usize,
    pub start: f64,
    pub end: f64,
    pub peak: f64,
}

/// The bars of a clip, in order.
#[derive(Debug, Default)]
pub struct Ribbon {
    bars: Vec<Bar>,
    rest: Option<usize>,
    /// Width below which bars are joined, in milliseconds; 0 while each interval has a bar of its own.
    grain: f64,
}

impl Ribbon {
    pub fn new(labels: &[String]) -> Self {
        Self { rest: labels.iter().position(|label| label == REST), ..Self::default() }
    }

    /// Adds the bar of an interval after those that were added before.
    pub fn add(&mut self, bar: Bar) {
        let end = bar.end;
        self.bars.push(bar);
        if self.bars.len() > MAX_BARS {
            self.grain = (2.0 * self.grain).max(4.0 * end / MAX_BARS as f64);
            self.join();
        }
    }

    pub fn bars(&self) -> &[Bar] {
        &self.bars
    }

    /// Joins the bars that begin in the same stretch of [`Ribbon::grain`]. The longest label stands for all, but any other
    /// label before `other`, so that a short activity does not vanish.
    fn join(&mut self) {
        let mut joined: Vec<Bar> = Vec::new();
        for bar in std::mem::take(&mut self.bars) {
            let cell = (bar.start / self.grain).floor();
            match joined.last_mut() {
                Some(last) if (last.start / self.grain).floor() == cell => {
                    let rank = |bar: &Bar| (Some(bar.label) != self.rest, bar.end - bar.start);
                    if rank(&bar) > rank(last) {
                        last.label = bar.label;
                    }
                    last.end = bar.end;
                    last.peak = last.peak.max(bar.peak);
                }
                _ => joined.push(bar),
            }
        }
        self.bars = joined;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: usize, start: f64, end: f64) -> Bar {
        Bar { label, start, end, peak: 0.9 }
    }

    #[test]
    fn few_intervals_have_bars_of_their_own() {
        let mut ribbon = Ribbon::new(&["drinking".into(), "other".into()]);
        ribbon.add(bar(1, 0.0, 40.0));
        ribbon.add(bar(0, 40.0, 80.0));
        assert_eq!(ribbon.bars(), [bar(1, 0.0, 40.0), bar(0, 40.0, 80.0)]);
    }

    #[test]
    fn many_intervals_are_joined_and_short_activities_stay() {
        let mut ribbon = Ribbon::new(&["drinking".into(), "other".into()]);
        for i in 0..100_000 {
            let start = f64::from(i) * 1000.0;
            // One short activity in the middle.
            let label = usize::from(i != 50_000);
            ribbon.add(bar(label, start, start + if label == 0 { 10.0 } else { 1000.0 }));
            assert!(ribbon.bars().len() <= MAX_BARS);
        }
        let bars = ribbon.bars();
        assert!(bars.len() > MAX_BARS / 8, "{}", bars.len());
        assert_eq!(bars.iter().filter(|bar| bar.label == 0).count(), 1);
        assert_eq!((bars[0].start, bars[bars.len() - 1].end), (0.0, 100_000_000.0));
    }
}
