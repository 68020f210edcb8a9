//! Reads a finished run from its timeline, for `livelabel view`.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use time::OffsetDateTime;

use crate::error::{Error, Result};
use crate::report::journal::{FrameCounts, IntervalRecord};
use crate::report::timeline::{SCHEMA, VERSION};
use crate::system::printable;
use crate::system::utc;
use crate::telemetry::history::{Gap, Row, Span};
use crate::telemetry::stream_state::{LabelSettings, StreamInfo};

/// Maximum number of rows that are shown.
const MAX_ROWS: usize = 6000;
/// Maximum number of intervals that are shown, since a browser must draw each.
const MAX_SPANS: usize = 20_000;

/// A finished run.
pub struct FinishedRun {
    pub info: StreamInfo,
    pub settings: LabelSettings,
    pub started: OffsetDateTime,
    /// Sorted by time. Those of a long run are thinned, but every change of the label is kept.
    pub rows: Vec<Row>,
    pub intervals: Vec<Span>,
    pub gaps: Vec<Gap>,
    pub frames: FrameCounts,
    /// Duration of the shortest activity that could be found, in milliseconds, if known.
    pub shortest: Option<f64>,
    pub stride: u64,
    /// Frames per second of the clip.
    pub rate: f64,
    /// End of the last frame, in milliseconds.
    pub end: f64,
}

/// The parts of a timeline that are read.
#[derive(Deserialize)]
struct Timeline {
    schema: String,
    version: u32,
    input: String,
    started: String,
    action: Option<String>,
    threshold: f64,
    stride: serde_json::Value,
    #[serde(default)]
    shortest_ms: Option<f64>,
    frames: FrameCounts,
    intervals: Vec<IntervalRecord>,
    gaps: Vec<TimelineGap>,
    confidences: Confidences,
}

#[derive(Deserialize)]
struct TimelineGap {
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
    /// Returns an input error if it cannot be read or is not a timeline.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|cause| {
            Error::input(format!("{}: cannot be opened", path.display()))
                .because(cause)
                .remedy("name the .timeline.json of a finished run")
        })?;
        let invalid = |cause: String| {
            Error::input(format!("{}: is not a timeline", path.display()))
                .because(cause)
                .remedy("name the .timeline.json that `livelabel run` wrote")
        };
        let timeline: Timeline =
            serde_json::from_reader(BufReader::new(file)).map_err(|cause| invalid(cause.to_string()))?;
        if timeline.schema != SCHEMA {
            return Err(invalid(format!("its schema is {:?}", timeline.schema)));
        }
        if timeline.version > VERSION {
            return Err(Error::input(format!("{}: has a newer version", path.display()))
                .because(format!("{}, this program supports {VERSION}", timeline.version))
                .remedy("view it with the livelabel that wrote it"));
        }
        Self::of(timeline).map_err(|cause| invalid(cause.into()))
    }

    fn of(timeline: Timeline) -> Result<Self, &'static str> {
        let Confidences { labels, rows } = timeline.confidences;
        if rows.iter().any(|row| row.len() != labels.len() + 1) {
            return Err("a row does not have one confidence for each label");
        }
        if !rows.is_sorted_by(|one, next| one[0] <= next[0]) {
            return Err("its rows are not sorted by time");
        }
        let index = |label: &str| labels.iter().position(|known| known == label);
        let spans = timeline.intervals.iter().zip(0..).map(|(interval, id)| {
            let IntervalRecord { label, start, end, mean, peak, .. } = interval;
            let label = index(label).ok_or("an interval has an unknown label")?;
            Ok(Span { id, label, start: *start, end: *end, mean: *mean, peak: *peak, open: false })
        });
        let intervals: Vec<Span> = spans.collect::<Result<_, &'static str>>()?;
        let gaps = timeline.gaps.iter().map(|gap| Gap { start: gap.start, end: Some(gap.end), reason: None }).collect();
        let (rate, end) = rate_and_end(&rows);
        let name = Path::new(&timeline.input).file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_else(|| timeline.input.clone());
        Ok(Self {
            started: utc::parse(&timeline.started).ok_or("its start is not a time")?,
            rows: thinned(&rows, &shown(&rows, &intervals)),
            gaps,
            frames: timeline.frames,
            shortest: timeline.shortest_ms,
            stride: timeline.stride.as_u64().unwrap_or(1),
            rate,
            end: intervals.last().map_or(end, |last| last.end.max(end)),
            intervals: intervals.into_iter().take(MAX_SPANS).collect(),
            info: StreamInfo { name, input: timeline.input, live: false, labels },
            settings: LabelSettings { threshold: timeline.threshold, action: timeline.action },
        })
    }

    /// Returns the paths where the video may be: the labelled video beside the timeline, or the clip that was analysed.
    pub fn videos(&self, timeline: &Path) -> Vec<PathBuf> {
        let name = timeline.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.strip_suffix(".timeline.json").or(name.strip_suffix(".json")).unwrap_or(&name);
        let labelled = ["avi", "mkv"].map(|ending| timeline.with_file_name(format!("{stem}.labelled.{ending}")));
        // A path that is not UTF-8 was written with escapes.
        let clips = [PathBuf::from(&self.info.input), printable::parse_path(&self.info.input)];
        let clips = clips.into_iter().flat_map(|clip| {
            let beside = clip.file_name().map(|name| timeline.with_file_name(name));
            std::iter::once(clip).chain(beside)
        });
        labelled.into_iter().chain(clips).collect()
    }
}

/// Returns the frame rate, from the median frame duration, and the end of the last frame in milliseconds.
fn rate_and_end(rows: &[Vec<f64>]) -> (f64, f64) {
    let mut durations: Vec<f64> = rows.windows(2).map(|pair| pair[1][0] - pair[0][0]).collect();
    durations.sort_by(f64::total_cmp);
    let median = durations.get(durations.len() / 2).copied().unwrap_or(0.0);
    let rate = if median > 0.0 { 1000.0 / median } else { 0.0 };
    (rate, rows.last().map_or(0.0, |last| last[0] + median))
}

/// Returns the index of the label that is shown on each row.
fn shown(rows: &[Vec<f64>], intervals: &[Span]) -> Vec<Option<usize>> {
    let mut intervals = intervals.iter().peekable();
    let mut at = |ms: f64| {
        while intervals.next_if(|interval| interval.end <= ms).is_some() {}
        intervals.peek().filter(|interval| interval.start <= ms).map(|interval| interval.label)
    };
    rows.iter().map(|row| at(row[0])).collect()
}

/// Thins the rows to at most [`MAX_ROWS`]: keeps every n-th row, and every row on which the label changes, or every
/// n-th change if there are too many.
fn thinned(rows: &[Vec<f64>], shown: &[Option<usize>]) -> Vec<Row> {
    let half = MAX_ROWS / 2;
    let step = if rows.len() <= MAX_ROWS { 1 } else { rows.len().div_ceil(half) };
    let changes: Vec<usize> = (1..rows.len()).filter(|&number| shown[number] != shown[number - 1]).collect();
    let changes = changes.iter().copied().step_by(changes.len().div_ceil(half).max(1));
    let mut kept: Vec<usize> = (0..rows.len()).step_by(step).chain(changes).collect();
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

    fn span(label: usize, start: f64, end: f64) -> Span {
        Span { id: 0, label, start, end, mean: 0.9, peak: 0.9, open: false }
    }

    #[test]
    fn a_row_has_the_label_of_its_interval() {
        let rows: Vec<Vec<f64>> = (0..6).map(|number| vec![40.0 * f64::from(number), 1.0]).collect();
        let shown = shown(&rows, &[span(1, 40.0, 80.0), span(0, 80.0, 120.0), span(2, 160.0, 200.0)]);
        assert_eq!(shown, [None, Some(1), Some(0), None, Some(2), None]);
    }

    #[test]
    fn a_long_run_is_thinned_and_keeps_its_changes() {
        let rows: Vec<Vec<f64>> = (0..100_000).map(|number| vec![40.0 * f64::from(number), 0.5]).collect();
        let shown: Vec<Option<usize>> = (0..rows.len()).map(|number| (number == 54_321).then_some(0)).collect();
        let kept = thinned(&rows, &shown);
        assert!(kept.len() <= MAX_ROWS && kept.len() > MAX_ROWS / 3, "{}", kept.len());
        assert_eq!(kept.iter().filter(|row| row.shown.is_some()).map(|row| row.ms).collect::<Vec<_>>(), [2_172_840.0]);
        assert!(kept.is_sorted_by(|one, next| one.ms < next.ms));
        // Changes close to each other are all kept; a label on every second row is thinned like the rest.
        let close: Vec<Option<usize>> = (0..rows.len()).map(|n| [54_321, 54_323].contains(&n).then_some(0)).collect();
        assert_eq!(thinned(&rows, &close).iter().filter(|row| row.shown.is_some()).count(), 2);
        let busy: Vec<Option<usize>> = (0..rows.len()).map(|n| (n % 2 == 0).then_some(0)).collect();
        assert!(thinned(&rows, &busy).len() <= MAX_ROWS);
        assert_eq!(thinned(&rows[..6000], &shown).len(), 6000);
    }

    #[test]
    fn the_rate_is_derived_from_the_median_frame_duration() {
        let rows = [0.0, 40.0, 80.0, 1120.0, 1160.0].map(|ms| vec![ms]);
        assert_eq!(rate_and_end(&rows), (25.0, 1200.0));
        assert_eq!(rate_and_end(&[]), (0.0, 0.0));
    }
}
