//! The data of the plot, read from the journal in two passes. Memory does not grow with its length.

use std::path::Path;

use crate::error::{Error, Result};
use crate::labels::palette;
use crate::report::journal::{self, Header, Record};
use crate::report::plot::intervals::Intervals;
use crate::report::plot::trace::{Point, Trace};

/// Maximum number of curves; more would hide each other. The labels with the highest peaks are drawn.
const MAX_CURVES: usize = palette::COUNT;

/// Times in seconds.
pub struct Curves {
    pub header: Header,
    pub end: f64,
    /// Sorted by label.
    pub curves: Vec<Curve>,
    pub intervals: Intervals,
}

/// The confidence of one label.
pub struct Curve {
    /// Index into the model's labels.
    pub label: usize,
    /// Connected points.
    pub smoothed: Vec<Vec<Point>>,
    /// Those of the single predictions, if the journal has them.
    pub predictions: Vec<Vec<Point>>,
}

impl Curves {
    /// Reads the journal for a chart with so many columns of pixels.
    ///
    /// # Errors
    /// Returns a failure if it cannot be read.
    pub fn read(path: &Path, columns: u32) -> Result<Self> {
        let (header, end, peaks) = first_pass(path)?;
        let mut drawn: Vec<usize> = (0..peaks.len()).collect();
        drawn.sort_by(|&a, &b| peaks[b].total_cmp(&peaks[a]));
        drawn.truncate(MAX_CURVES);
        drawn.sort_unstable();

        let pixel = end / f64::from(columns);
        let mut traces: Vec<(usize, [Trace; 2])> =
            drawn.into_iter().map(|label| (label, [Trace::new(pixel), Trace::new(pixel)])).collect();
        let mut intervals = Intervals::new(pixel, header.model.labels.len());
        for record in journal::read(path)? {
            match record? {
                Record::Frame { ms, smoothed, prediction, .. } => {
                    for (label, [smooth, single]) in &mut traces {
                        let point = |values: &[f64]| values.get(*label).map(|&value| (ms / 1000.0, value));
                        point(&smoothed).into_iter().for_each(|point| smooth.push(point));
                        prediction.as_deref().and_then(point).into_iter().for_each(|point| single.push(point));
                    }
                }
                Record::Gap { .. } => traces.iter_mut().flat_map(|(_, both)| both).for_each(Trace::gap),
                Record::Interval(interval) => intervals.push(&interval, &header.model.labels),
                Record::Start(_)
                | Record::Settings(_)
                | Record::Segment(_)
                | Record::Lost { .. }
                | Record::End { .. } => {}
            }
        }
        let curve = |(label, [smoothed, predictions]): (usize, [Trace; 2])| Curve {
            label,
            smoothed: smoothed.finish(),
            predictions: predictions.finish(),
        };
        Ok(Self { header, end, curves: traces.into_iter().map(curve).collect(), intervals })
    }
}

/// Returns the first record, the end in seconds, and the highest confidence of each label.
fn first_pass(path: &Path) -> Result<(Header, f64, Vec<f64>)> {
    let (mut header, mut end, mut peaks) = (None, 0.0_f64, Vec::new());
    for record in journal::read(path)? {
        match record? {
            Record::Start(start) => {
                peaks = vec![0.0_f64; start.model.labels.len()];
                header = Some(*start);
            }
            Record::Frame { ms, smoothed, .. } => {
                end = end.max(ms);
                for (peak, value) in peaks.iter_mut().zip(smoothed) {
                    *peak = peak.max(value);
                }
            }
            Record::Interval(interval) => end = end.max(interval.end),
            Record::Gap { .. }
            | Record::Settings(_)
            | Record::Segment(_)
            | Record::Lost { .. }
            | Record::End { .. } => {}
        }
    }
    let header = header.ok_or_else(|| Error::internal(format!("{}: has no first line", path.display())))?;
    Ok((header, (end / 1000.0).max(0.001), peaks))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a journal with two labels, and frames with the given confidence of the first.
    fn write(path: &Path, frames: impl Iterator<Item = f64>) {
        let mut records = journal::sample().into_iter();
        let Some(Record::Start(header)) = records.next() else { unreachable!() };
        let mut journal = journal::Journal::create(path, header).unwrap();
        for (value, i) in frames.zip(0_u32..) {
            let prediction = Some(vec![1.0 - value, value]);
            let (ms, smoothed) = (f64::from(40 * i), vec![value, 0.25]);
            journal
                .append(&Record::Frame { ms, label: None, confidence: value, smoothed, prediction, inferred: false })
                .unwrap();
        }
    }

    #[test]
    fn a_long_run_keeps_its_peaks_with_few_points() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.jsonl");
        write(&path, (0..20_000).map(|i| if i == 7777 { 0.9 } else { 0.1 }));
        let curves = Curves::read(&path, 500).unwrap();
        assert_eq!(curves.curves.len(), 2);
        for curve in &curves.curves {
            assert!(curve.smoothed[0].len() <= 4 * 501 && curve.predictions[0].len() <= 4 * 501);
        }
        let peak = (7777.0 * 0.04, 0.9);
        assert_eq!(curves.curves[0].smoothed[0].iter().filter(|point| point.1 > 0.1).collect::<Vec<_>>(), [&peak]);
        assert!(curves.curves[1].predictions[0].contains(&peak));
    }

    #[test]
    fn a_gap_interrupts_the_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let mut records = journal::sample();
        // As in a journal, the gap comes before the frame that ends it.
        records.swap(4, 5);
        let Record::Start(header) = records.remove(0) else { unreachable!() };
        let mut journal = journal::Journal::create(&path, header).unwrap();
        records.iter().for_each(|record| journal.append(record).unwrap());
        let curves = Curves::read(&path, 100_000).unwrap();
        assert_eq!(curves.end, 3723.044);
        assert_eq!(curves.curves[0].smoothed, [vec![(0.0, 0.75), (0.033366667, 0.5)], vec![(3723.004, 0.125)]]);
        assert!(curves.curves[0].predictions.is_empty());
    }
}
