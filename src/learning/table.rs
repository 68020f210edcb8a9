//! `corrections.tsv`: the settled answers, as the trainer reads them.

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::Connection;

use crate::error::Result;
use crate::history::local_time;
use crate::learning::files::{self, COLUMNS, TABLE};
use crate::learning::listing::CONTRADICTORY;
use crate::learning::store::Store;
use crate::system::utc;

/// Frames of a stream within this time of the one before belong to one visit, in milliseconds.
const PAUSE: i64 = 3_600_000;
/// The hour at which a day of a camera ends, for nobody is up then.
const NIGHT: i64 = 4;

/// A settled answer.
#[derive(Clone, Debug)]
struct Row {
    file: String,
    class: String,
    stream: String,
    time: i64,
    clip: bool,
}

impl Store {
    /// Writes the table again. A frame that contradicts another one, or whose picture is gone, is left out.
    ///
    /// # Errors
    /// `Failed` if it cannot be written, or the database cannot be read.
    pub fn write_table(&self) -> Result<()> {
        let mut rows = rows(&self.db()).map_err(|cause| self.failed(&cause))?;
        rows.retain(|row| self.folder.join(&row.file).is_file());
        files::replace(&self.folder.join(TABLE), format(&rows, &local_time::local()).as_bytes())
    }
}

fn rows(db: &Connection) -> rusqlite::Result<Vec<Row>> {
    let sql = format!(
        "SELECT file, answer, streams.name, time, clip FROM frames JOIN streams ON streams.id = stream
         WHERE answer <> '' AND NOT {CONTRADICTORY} ORDER BY streams.name, clip, time, frames.id"
    );
    let mut rows = db.prepare_cached(&sql)?;
    rows.query_map([], |row| {
        Ok(Row { file: row.get(0)?, class: row.get(1)?, stream: row.get(2)?, time: row.get(3)?, clip: row.get(4)? })
    })?
    .collect()
}

/// Formats rows that are sorted by stream and time.
fn format(rows: &[Row], zone: &TimeZone) -> String {
    let mut text = COLUMNS.join("\t") + "\n";
    let mut visit = String::new();
    let mut before: Option<&Row> = None;
    for row in rows {
        if !before.is_some_and(|before| is_same_visit(before, row, zone)) {
            // To the second, as RFC 3339.
            let start = utc::milliseconds(utc::of_epoch_ms(row.time));
            let start = start.split_once('.').map_or(start.as_str(), |(seconds, _)| seconds);
            visit = format!("{}/{start}Z", cell(&row.stream));
        }
        before = Some(row);
        let time = utc::milliseconds(utc::of_epoch_ms(row.time));
        let cells = [cell(&row.file), cell(&row.class), visit.clone(), cell(&row.stream), time];
        text.push_str(&(cells.join("\t") + "\n"));
    }
    text
}

/// Replaces what would end a cell.
fn cell(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '-' } else { c }).collect()
}

fn is_same_visit(before: &Row, row: &Row, zone: &TimeZone) -> bool {
    before.stream == row.stream
        && before.clip == row.clip
        && row.time - before.time <= PAUSE
        && (row.clip || day(before.time, zone) == day(row.time, zone))
}

/// Returns the day of a time, which ends in the night.
fn day(time: i64, zone: &TimeZone) -> Date {
    let local = local_time::timestamp(time).to_zoned(zone.clone()).datetime();
    local.checked_sub(NIGHT.hours()).unwrap_or(local).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(stream: &str, time: &str, clip: bool) -> Row {
        let time = utc::epoch_ms(utc::parse(time).unwrap());
        Row { file: format!("frames/{stream}/x-{time}.jpg"), class: "tea".into(), stream: stream.into(), time, clip }
    }

    #[test]
    fn a_visit_ends_after_an_hour_without_frames_and_at_night() {
        let rows = [
            row("a.mp4", "1970-01-01T00:00:00.520Z", true),
            row("a.mp4", "1970-01-01T00:59:00Z", true),
            row("door", "2026-03-28T22:00:00Z", false),
            row("door", "2026-03-28T23:00:00Z", false),
            row("door", "2026-03-29T00:00:00.001Z", false),
            // The clocks go forward, so this is 03:59 in Berlin; and a minute later 04:00.
            row("door", "2026-03-29T00:59:30Z", false),
            row("door", "2026-03-29T01:59:00Z", false),
            row("door", "2026-03-29T02:00:00Z", false),
            row("garden", "2026-03-29T02:00:00Z", false),
        ];
        let text = format(&rows, &local_time::zone("Europe/Berlin").unwrap());
        let visits: Vec<&str> = text.lines().skip(1).map(|line| line.split('\t').nth(2).unwrap()).collect();
        let (clip, evening, night) =
            ("a.mp4/1970-01-01T00:00:00Z", "door/2026-03-28T22:00:00Z", "door/2026-03-29T00:00:00Z");
        let (day, garden) = ("door/2026-03-29T02:00:00Z", "garden/2026-03-29T02:00:00Z");
        assert_eq!(visits, [clip, clip, evening, evening, night, night, night, day, garden]);
        let first = "frames/a.mp4/x-520.jpg\ttea\ta.mp4/1970-01-01T00:00:00Z\ta.mp4\t1970-01-01T00:00:00.520Z";
        assert_eq!(text.lines().take(2).collect::<Vec<_>>(), ["path\tclass\tsplit_group\tstream\ttime", first]);
    }

    #[test]
    fn a_cell_stays_one() {
        let mut odd = row("a\tb", "2026-01-02T03:04:05Z", false);
        odd.class = "two\nlines".into();
        let text = format(&[odd], &TimeZone::UTC);
        assert_eq!(text.lines().count(), 2);
        assert!(text.ends_with("\ttwo-lines\ta-b/2026-01-02T03:04:05Z\ta-b\t2026-01-02T03:04:05.000Z\n"), "{text}");
    }
}
