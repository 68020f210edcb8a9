//! Days and times of a time zone, and times as people write them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, Zoned};

use crate::error::{Error, Result};

/// Which end of a range a time is: a date means its beginning as a start, and its end as an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Since,
    Until,
}

/// Returns the time zone of this machine.
pub fn local() -> TimeZone {
    TimeZone::system()
}

/// Returns a time zone by its name, like `Europe/Berlin`.
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

/// Returns the milliseconds since 1970 of a time, clamped to the years that are known.
pub fn timestamp(ms: i64) -> Timestamp {
    let clamped = ms.clamp(Timestamp::MIN.as_millisecond() + 1, Timestamp::MAX.as_millisecond() - 1);
    Timestamp::from_millisecond(clamped).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Formats a time of day as `2026-01-02 14:03:05`.
pub fn text(ms: i64, zone: &TimeZone) -> String {
    timestamp(ms).to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Formats the day of a time as `2026-01-02`.
pub fn day(ms: i64, zone: &TimeZone) -> String {
    timestamp(ms).to_zoned(zone.clone()).date().to_string()
}

/// Returns when the day after that of a time begins.
pub fn next_day(ms: i64, zone: &TimeZone) -> Option<i64> {
    start(timestamp(ms).to_zoned(zone.clone()).date().tomorrow().ok()?, zone)
}

/// Returns when each day from `from` to before `to` begins, with the end of the last one.
///
/// # Errors
/// Returns nothing if the dates are no range of at most `most` days.
pub fn days(from: &str, to: &str, zone: &TimeZone, most: usize) -> Option<Vec<(Date, i64)>> {
    let (from, to): (Date, Date) = (from.parse().ok()?, to.parse().ok()?);
    let mut days = Vec::new();
    let mut date = from;
    while date < to && days.len() < most {
        days.push((date, start(date, zone)?));
        date = date.tomorrow().ok()?;
    }
    (date == to && !days.is_empty()).then_some(())?;
    days.push((to, start(to, zone)?));
    Some(days)
}

fn start(date: Date, zone: &TimeZone) -> Option<i64> {
    Some(date.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond())
}

/// Parses a time as people write it: `yesterday`, `today`, `2026-01-02`, `2026-01-02T14:03`, `3d` (ago), or RFC 3339. Returns
/// milliseconds since 1970.
///
/// # Errors
/// Returns a usage error that shows the forms.
pub fn parse(text: &str, end: End, zone: &TimeZone, now: i64) -> Result<i64> {
    parsed(text.trim(), end, zone, now).ok_or_else(|| {
        Error::usage(format!("{text:?} is not a time"))
            .remedy("write yesterday, 2026-01-02, 2026-01-02T14:03, 3d (ago), or a time of RFC 3339")
    })
}

fn parsed(text: &str, end: End, zone: &TimeZone, now: i64) -> Option<i64> {
    let today = timestamp(now).to_zoned(zone.clone()).date();
    let of_day = |date: Date| start(if end == End::Until { date.tomorrow().ok()? } else { date }, zone);
    match text {
        "now" => return Some(now),
        "today" => return of_day(today),
        "yesterday" => return of_day(today.yesterday().ok()?),
        _ => {}
    }
    if let Some(ago) = ago(text) {
        let at: Zoned = timestamp(now).to_zoned(zone.clone()).checked_sub(ago).ok()?;
        return Some(at.timestamp().as_millisecond());
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment.as_millisecond());
    }
    if text.len() == "2026-01-02".len() {
        return of_day(text.parse().ok()?);
    }
    let moment: DateTime = text.parse().ok()?;
    Some(moment.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond())
}

/// Parses `3d`, `12h`, `30m` or `2w`.
fn ago(text: &str) -> Option<Span> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: i32 = number.parse().ok().filter(|number| (0..=100_000).contains(number))?;
    match unit {
        "m" => Some(number.minutes()),
        "h" => Some(number.hours()),
        "d" => Some(number.days()),
        "w" => Some(number.weeks()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_774_863_000_000;

    #[test]
    fn times_are_read_as_people_write_them() {
        let berlin = zone("Europe/Berlin").unwrap();
        let at = |text: &str, end| super::text(parse(text, end, &berlin, NOW).unwrap(), &TimeZone::UTC);
        // 2026-03-30 11:30 in Berlin; the clocks went forward the day before.
        for (written, since, until) in [
            ("yesterday", "2026-03-28 23:00:00", "2026-03-29 22:00:00"),
            ("today", "2026-03-29 22:00:00", "2026-03-30 22:00:00"),
            ("2026-01-02", "2026-01-01 23:00:00", "2026-01-02 23:00:00"),
            ("2026-01-02T14:03", "2026-01-02 13:03:00", "2026-01-02 13:03:00"),
            ("2026-07-02T14:03:05", "2026-07-02 12:03:05", "2026-07-02 12:03:05"),
            ("2026-01-02T14:03:05Z", "2026-01-02 14:03:05", "2026-01-02 14:03:05"),
            ("2026-01-02T14:03:05+02:00", "2026-01-02 12:03:05", "2026-01-02 12:03:05"),
            // Two days ago at the same time by the clock.
            ("2d", "2026-03-28 10:30:00", "2026-03-28 10:30:00"),
            ("90m", "2026-03-30 08:00:00", "2026-03-30 08:00:00"),
        ] {
            assert_eq!((at(written, End::Since), at(written, End::Until)), (since.into(), until.into()), "{written}");
        }
        for wrong in ["", "d", "-1d", "3x", "2026-13-01", "2026-01-02T25:00", "ü", "999999999999d"] {
            assert_eq!(parse(wrong, End::Since, &berlin, NOW).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn a_day_has_23_to_25_hours() {
        let berlin = zone("Europe/Berlin").unwrap();
        let days = days("2026-03-28", "2026-03-31", &berlin, 400).unwrap();
        let hours: Vec<i64> = days.windows(2).map(|pair| (pair[1].1 - pair[0].1) / 3_600_000).collect();
        assert_eq!(hours, [24, 23, 24]);
        for (from, to) in [("2026-01-01", "2026-01-01"), ("2026-01-02", "2026-01-01"), ("2026-01-01", "2029-01-01")] {
            assert!(super::days(from, to, &berlin, 400).is_none(), "{from} {to}");
        }
        assert!(zone("Europe/Atlantis").is_none() && zone("../../etc/passwd").is_none());
    }
}
