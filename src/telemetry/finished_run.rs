//! A finished run, as its timeline tells it, for those who look at it afterwards.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::printable;
use crate::report::journal::{FrameCounts, LabelledInterval};
use crate::report::timeline::{SCHEMA, VERSION};
use crate::telemetry::{Gap, Row, Span, StreamInfo};
use crate::utc;

/// Moments that are shown at most.
const MOST_ROWS: usize = 6000;
/// Stretches that are shown at most, as a browser must draw each.
const MOST_SPANS: usize = 20_000;

/// A finished run.
pub struct FinishedRun {
    pub info: StreamInfo,
    pub started: OffsetDateTime,
    /// In the order of time; of a long one only so many that every change of the label is among them.
    pub rows: Vec<Row>,
    pub intervals: Vec<Span>,
    pub gaps: Vec<Gap>,
    pub frames: FrameCounts,
    pub stride: u64,
    /// Frames in a second of it.
    pub rate: f64,
    /// End of the last frame, in milliseconds.
    pub end: f64,
}

/// What is read of a timeline.
#[derive(Deserialize)]
struct Timeline {
    schema: String,
    version: u32,
    input: String,
    started: String,
    action: Option<String>,
    threshold: f64,
    stride: serde_json::Value,
    frames: FrameCounts,
    intervals: Vec<LabelledInterval>,
    gaps: Vec<Stretch>,
    confidences: Confidences,
}

#[derive(Deserialize)]
struct Stretch {
    start: f64,
    end: f64,
}

#[derive(Deserialize)]
struct Confidences {
    labels: Vec<String>,
    rows: Vec<Vec<f64>>,
}

impl FinishedRun {
    /// Reads a timeline.
    ///
    /// # Errors
    /// Input, where it cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|cause| {
            Error::input(format!("{}: cannot be opened", path.display()))
                .because(cause)
                .remedy("name the .timeline.json of a finished run")
        })?;
        let unclear = |cause: String| {
            Error::input(format!("{}: is no timeline", path.display()))
                .because(cause)
                .remedy("name the .timeline.json that `livelabel run` wrote")
        };
        let timeline: Timeline =
            serde_json::from_reader(BufReader::new(file)).map_err(|cause| unclear(cause.to_string()))?;
        if timeline.schema != SCHEMA {
            return Err(unclear(format!("its schema is {:?}", timeline.schema)));
        }
        if timeline.version > VERSION {
            return Err(Error::input(format!("{}: is of a newer version", path.display()))
                .because(format!("{}, this program knows {VERSION}", timeline.version))
                .remedy("look at it with the program that wrote it"));
        }
        Self::of(timeline).map_err(|cause| unclear(cause.into()))
    }

    fn of(timeline: Timeline) -> Result<Self, &'static str> {
        let Confidences { labels, rows } = timeline.confidences;
        if rows.iter().any(|row| row.len() != labels.len() + 1) {
            return Err("a row has not one confidence for each label");
        }
        if !rows.is_sorted_by(|one, next| one[0] <= next[0]) {
            return Err("its rows are not in the order of time");
        }
        let place = |label: &str| labels.iter().position(|known| known == label);
        let spans = timeline.intervals.iter().map(|interval| {
            let LabelledInterval { label, start, end, mean, peak } = interval;
            let class = place(label).ok_or("an interval has a label that no row has")?;
            Ok(Span { class, start: *start, end: *end, mean: *mean, peak: *peak, open: false })
        });
        let intervals: Vec<Span> = spans.collect::<Result<_, &'static str>>()?;
        let gaps = timeline.gaps.iter().map(|gap| Gap { start: gap.start, end: Some(gap.end), reason: None }).collect();
        let (rate, end) = rhythm(&rows);
        let name = Path::new(&timeline.input).file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_else(|| timeline.input.clone());
        Ok(Self {
            started: utc::parse(&timeline.started).ok_or("its start is no time")?,
            rows: thinned(&rows, &shown(&rows, &intervals)),
            gaps,
            frames: timeline.frames,
            stride: timeline.stride.as_u64().unwrap_or(1),
            rate,
            end: intervals.last().map_or(end, |last| last.end.max(end)),
            intervals: intervals.into_iter().take(MOST_SPANS).collect(),
            info: StreamInfo {
                name,
                input: timeline.input,
                live: false,
                labels,
                threshold: timeline.threshold,
                action: timeline.action,
            },
        })
    }

    /// Where the pictures may be: the labelled video beside the timeline, or the clip that was analysed.
    pub fn videos(&self, timeline: &Path) -> Vec<PathBuf> {
        let name = timeline.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.strip_suffix(".timeline.json").or(name.strip_suffix(".json")).unwrap_or(&name);
        let labelled = ["avi", "mkv"].map(|ending| timeline.with_file_name(format!("{stem}.labelled.{ending}")));
        // A path that is no text was written with numbers for its bytes.
        let clips = [PathBuf::from(&self.info.input), printable::parse_path(&self.info.input)];
        let clips = clips.into_iter().flat_map(|clip| {
            let beside = clip.file_name().map(|name| timeline.with_file_name(name));
            std::iter::once(clip).chain(beside)
        });
        labelled.into_iter().chain(clips).collect()
    }
}

/// Frames a second, by the distance that is most common, and the end of the last frame.
fn rhythm(rows: &[Vec<f64>]) -> (f64, f64) {
    let mut distances: Vec<f64> = rows.windows(2).map(|pair| pair[1][0] - pair[0][0]).collect();
    distances.sort_by(f64::total_cmp);
    let usual = distances.get(distances.len() / 2).copied().unwrap_or(0.0);
    let rate = if usual > 0.0 { 1000.0 / usual } else { 0.0 };
    (rate, rows.last().map_or(0.0, |last| last[0] + usual))
}

/// The label that is shown on each row, by its place.
fn shown(rows: &[Vec<f64>], intervals: &[Span]) -> Vec<Option<usize>> {
    let mut intervals = intervals.iter().peekable();
    let mut at = |ms: f64| {
        while intervals.next_if(|interval| interval.end <= ms).is_some() {}
        intervals.peek().filter(|interval| interval.start <= ms).map(|interval| interval.class)
    };
    rows.iter().map(|row| at(row[0])).collect()
}

/// Of equal shares of all rows the first of each, and every row on which the label changes; of very many changes equal
/// shares, too.
fn thinned(rows: &[Vec<f64>], shown: &[Option<usize>]) -> Vec<Row> {
    let half = MOST_ROWS / 2;
    let share = if rows.len() <= MOST_ROWS { 1 } else { rows.len().div_ceil(half) };
    let changes: Vec<usize> = (1..rows.len()).filter(|&number| shown[number] != shown[number - 1]).collect();
    let changes = changes.iter().copied().step_by(changes.len().div_ceil(half).max(1));
    let mut kept: Vec<usize> = (0..rows.len()).step_by(share).chain(changes).collect();
    kept.sort_unstable();
    kept.dedup();
    let row = |number: usize| Row {
        ms: rows[number][0],
        shown: shown[number],
        smoothed: rows[number][1..].iter().map(|&confidence| confidence as f32).collect(),
    };
    kept.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(class: usize, start: f64, end: f64) -> Span {
        Span { class, start, end, mean: 0.9, peak: 0.9, open: false }
    }

    #[test]
    fn a_rows_label_is_that_of_its_interval() {
        let rows: Vec<Vec<f64>> = (0..6).map(|number| vec![40.0 * f64::from(number), 1.0]).collect();
        let shown = shown(&rows, &[span(1, 40.0, 80.0), span(0, 80.0, 120.0), span(2, 160.0, 200.0)]);
        assert_eq!(shown, [None, Some(1), Some(0), None, Some(2), None]);
    }

    #[test]
    fn a_long_run_is_thinned_and_keeps_its_changes() {
        let rows: Vec<Vec<f64>> = (0..100_000).map(|number| vec![40.0 * f64::from(number), 0.5]).collect();
        let shown: Vec<Option<usize>> = (0..rows.len()).map(|number| (number == 54_321).then_some(0)).collect();
        let kept = thinned(&rows, &shown);
        assert!(kept.len() <= MOST_ROWS && kept.len() > MOST_ROWS / 3, "{}", kept.len());
        assert_eq!(kept.iter().filter(|row| row.shown.is_some()).map(|row| row.ms).collect::<Vec<_>>(), [2_172_840.0]);
        assert!(kept.is_sorted_by(|one, next| one.ms < next.ms));
        // Three changes close to each other are all kept; a label on every second row is thinned like the rest.
        let close: Vec<Option<usize>> = (0..rows.len()).map(|n| [54_321, 54_323].contains(&n).then_some(0)).collect();
        assert_eq!(thinned(&rows, &close).iter().filter(|row| row.shown.is_some()).count(), 2);
        let busy: Vec<Option<usize>> = (0..rows.len()).map(|n| (n % 2 == 0).then_some(0)).collect();
        assert!(thinned(&rows, &busy).len() <= MOST_ROWS);
        assert_eq!(thinned(&rows[..6000], &shown).len(), 6000);
    }

    #[test]
    fn the_usual_distance_tells_the_rate() {
        let rows = [0.0, 40.0, 80.0, 1120.0, 1160.0].map(|ms| vec![ms]);
        assert_eq!(rhythm(&rows), (25.0, 1200.0));
        assert_eq!(rhythm(&[]), (0.0, 0.0));
    }
}
