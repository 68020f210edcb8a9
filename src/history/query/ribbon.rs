//! What a stream showed over a stretch of time, in as many pieces as a screen has columns.

use rusqlite::{Connection, params};

use crate::error::Result;
use crate::history::counts::QUARTER;
use crate::history::ids;
use crate::history::query::days::quarters;
use crate::history::query::streams::{Outage, Reader, Stream, outages};
use crate::labels::REST;

/// Stretches that are no further apart than this are one, in milliseconds: a journal has one frame a second.
const JOIN: i64 = 1500;
/// A longer range is shown by quarters of an hour, in milliseconds: 62 days.
const LONGEST_EXACT: i64 = 62 * 86_400_000;
/// Gaps that are read at most.
const MAX_GAPS: usize = 100_000;

/// From a start to an end, in milliseconds since 1970.
pub type Stretch = (i64, i64);

/// Everything about a stretch of time.
#[derive(Debug, Default, PartialEq)]
pub struct Ribbon {
    /// With the number of the label.
    pub spans: Vec<(i64, i64, usize)>,
    pub watched: Vec<Stretch>,
    pub recorded: Vec<Stretch>,
    pub gaps: Vec<(i64, i64, Option<String>)>,
}

impl Ribbon {
    /// Adds what another index has of the stream. `labels` are its labels, `known` those of this one.
    pub fn add(&mut self, other: Self, labels: &[String], known: &[String]) {
        let number = |label: usize| known.iter().position(|name| *name == labels[label]);
        let spans = other.spans.into_iter().filter_map(|(start, end, label)| Some((start, end, number(label)?)));
        self.spans.extend(spans);
        self.spans.sort_unstable();
        for (own, others) in [(&mut self.watched, other.watched), (&mut self.recorded, other.recorded)] {
            own.extend(others);
            own.sort_unstable();
        }
        self.gaps.extend(other.gaps);
        self.gaps.sort();
    }
}

/// Returns what a stream showed from `range.0` to `range.1`, in at most about `width` pieces. `now` is the end of a loss that lasts.
///
/// # Errors
/// Returns a failure if the index cannot be read.
pub fn ribbon(reader: &Reader, stream: &Stream, range: Stretch, width: usize, now: i64) -> Result<Ribbon> {
    let (from, to) = range;
    let column = ((to - from) as f64 / width.max(1) as f64).max(1.0);
    let near = JOIN.max(column as i64);
    let (labels, watched, recorded) = reader.ask(stream, |db| {
        Ok((
            label_spans(db, stream, range)?,
            stretches(db, WATCHED_STRETCHES, stream, range, near)?,
            stretches(db, RECORDED_STRETCHES, stream, range, near)?,
        ))
    })?;
    let other = stream.labels.iter().position(|label| label == REST);
    let spans = if labels.len() <= width { labels } else { columns(&labels, range, column, width, other) };
    let gaps = outages(reader, stream, from, to, MAX_GAPS)?;
    Ok(Ribbon { spans, watched, recorded, gaps: joined_gaps(gaps, range, now, column as i64, width) })
}

/// Returns the intervals that overlap the range, cut to it, in order of time. A long range is made of the counts.
fn label_spans(db: &Connection, stream: &Stream, range: Stretch) -> rusqlite::Result<Vec<(i64, i64, usize)>> {
    let (from, to) = range;
    let mut spans = Vec::new();
    if to - from > LONGEST_EXACT {
        quarters(db, stream, range, &mut |label, start, total| {
            spans.push((start, start + total.duration.min(QUARTER), label));
        })?;
        spans.sort_unstable();
        return Ok(spans);
    }
    let sql = "SELECT start, start + duration FROM intervals WHERE stream = ?1 AND label = ?2 AND start < ?4
        AND start >= coalesce((SELECT max(start) FROM intervals WHERE stream = ?1 AND label = ?2 AND start < ?3), ?3)
        AND start + duration > ?3";
    let mut rows = db.prepare_cached(sql)?;
    for (number, label) in stream.labels.iter().enumerate() {
        let key = params![stream.id, ids::of(&[label]), from, to];
        for row in rows.query_map(key, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))? {
            let (start, end) = row?;
            spans.push((start.max(from), end.min(to), number));
        }
    }
    spans.sort_unstable();
    Ok(spans)
}

/// Gives each column the label that lasts longest in it; `other` only if there is no other one. Neighbours of one label are one
/// span.
fn columns(
    spans: &[(i64, i64, usize)],
    (from, _): Stretch,
    column: f64,
    width: usize,
    other: Option<usize>,
) -> Vec<(i64, i64, usize)> {
    let labels = spans.iter().map(|span| span.2 + 1).max().unwrap_or(0);
    let mut merged: Vec<(i64, i64, usize)> = Vec::new();
    let mut durations = vec![0_i64; labels];
    let mut next = 0;
    let mut running: Vec<(i64, i64, usize)> = Vec::new();
    for number in 0..width {
        let start = from + (number as f64 * column).round() as i64;
        let end = from + ((number + 1) as f64 * column).round() as i64;
        running.retain(|span| span.1 > start);
        while let Some(&span) = spans.get(next).filter(|span| span.0 < end) {
            running.push(span);
            next += 1;
        }
        durations.fill(0);
        for &(first, last, label) in &running {
            // One of no length is not lost either.
            durations[label] += (last.min(end) - first.max(start)).max(1);
        }
        let rank = |label: &usize| (Some(*label) != other, durations[*label]);
        let Some(label) = (0..labels).filter(|&label| durations[label] > 0).max_by_key(rank) else { continue };
        match merged.last_mut() {
            Some(last) if last.2 == label && last.1 == start => last.1 = end,
            _ => merged.push((start, end, label)),
        }
    }
    merged
}

const WATCHED_STRETCHES: &str = "SELECT start, end FROM watched WHERE stream = ?1 AND start < ?3 AND start >= coalesce(
    (SELECT max(start) FROM watched WHERE stream = ?1 AND start < ?2), ?2) AND end > ?2 ORDER BY start";
const RECORDED_STRETCHES: &str =
    "SELECT start, end FROM segments WHERE stream = ?1 AND start < ?3 AND start >= coalesce(
    (SELECT max(start) FROM segments WHERE stream = ?1 AND start < ?2), ?2) AND end > ?2 ORDER BY start";

/// Returns when a stream was watched in a range. Stretches that are no further apart than `near` milliseconds are one.
///
/// # Errors
/// Returns a failure if the index cannot be read.
pub fn watched(reader: &Reader, stream: &Stream, range: Stretch, near: i64) -> Result<Vec<Stretch>> {
    reader.ask(stream, |db| stretches(db, WATCHED_STRETCHES, stream, range, near))
}

/// Reads stretches, and joins those that are near each other.
fn stretches(
    db: &Connection,
    sql: &str,
    stream: &Stream,
    (from, to): Stretch,
    near: i64,
) -> rusqlite::Result<Vec<Stretch>> {
    let mut rows = db.prepare_cached(sql)?;
    let mut joined: Vec<Stretch> = Vec::new();
    for row in rows.query_map(params![stream.id, from, to], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (start, end): Stretch = row?;
        let (start, end) = (start.max(from), end.min(to));
        match joined.last_mut() {
            Some(last) if start - last.1 <= near => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    Ok(joined)
}

/// Cuts outages to the range, and joins those that are nearer to each other than a column if there are too many.
fn joined_gaps(
    outages: Vec<Outage>,
    (from, to): Stretch,
    now: i64,
    column: i64,
    width: usize,
) -> Vec<(i64, i64, Option<String>)> {
    let many = outages.len() > width;
    let mut joined: Vec<(i64, i64, Option<String>)> = Vec::new();
    for Outage { start, end, reason } in outages {
        let (start, end) = (start.max(from), end.unwrap_or(now).clamp(start, to.max(start)));
        match joined.last_mut() {
            Some(last) if many && start - last.1 <= column => {
                last.1 = last.1.max(end);
                last.2 = last.2.take().filter(|known| Some(known) == reason.as_ref());
            }
            _ => joined.push((start, end, reason)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_label_stays_visible_among_others() {
        // A second of label 1 in an hour of label 0, which is `other`.
        let mut spans: Vec<(i64, i64, usize)> =
            (0..3600).map(|second| (1000 * second, 1000 * second + 1000, 0)).collect();
        spans[1234].2 = 1;
        let shown = columns(&spans, (0, 3_600_000), 360_000.0, 10, Some(0));
        assert_eq!(shown, [(0, 1_080_000, 0), (1_080_000, 1_440_000, 1), (1_440_000, 3_600_000, 0)]);
        // Of two labels the longer one is shown.
        spans[1235].2 = 2;
        spans[1236].2 = 2;
        assert_eq!(columns(&spans, (0, 3_600_000), 360_000.0, 10, Some(0))[1].2, 2);
        assert!(columns(&spans, (0, 3_600_000), 1.0, 3_600_000, None).len() == 3600 || spans.len() == 3600);
    }

    #[test]
    fn many_gaps_become_few() {
        let outages: Vec<Outage> = (0..100)
            .map(|number| Outage { start: 10 * number, end: Some(10 * number + 5), reason: Some("refused".into()) })
            .collect();
        assert_eq!(joined_gaps(outages.clone(), (0, 1000), 0, 100, 10), [(0, 995, Some("refused".into()))]);
        assert_eq!(joined_gaps(outages[..3].to_vec(), (3, 1000), 0, 100, 10)[0], (3, 5, Some("refused".into())));
    }
}
