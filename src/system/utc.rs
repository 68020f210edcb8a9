//! UTC times as files, HTTP responses and messages write them, for any setting of the system's clock.
//!
//! RFC 3339 has years of four digits. Other years are written with a sign and six digits, as in ISO 8601 and
//! JavaScript.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// The formats after the year.
const EXACT: &[BorrowedFormatItem] =
    format_description!("-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:9]Z");
const MILLISECONDS: &[BorrowedFormatItem] =
    format_description!("-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const STAMP: &[BorrowedFormatItem] = format_description!("[month][day]T[hour][minute][second]Z");

/// Returns the time of the system's clock, clamped to the range that `OffsetDateTime` can represent.
pub fn now() -> OffsetDateTime {
    of(SystemTime::now())
}

/// Converts a time of the system, clamped likewise.
pub fn of(moment: SystemTime) -> OffsetDateTime {
    let epoch = OffsetDateTime::UNIX_EPOCH;
    match moment.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => epoch.saturating_add(span(after)),
        Err(before) => epoch.saturating_sub(span(before.duration())),
    }
}

/// Returns whether an HTTP header can represent the current time.
pub fn fits_http() -> bool {
    (1970..=9998).contains(&now().year())
}

/// Returns the time `past` before a moment.
pub fn before(moment: OffsetDateTime, past: Duration) -> OffsetDateTime {
    moment.saturating_sub(span(past))
}

/// Returns the milliseconds from 1970 to a time, rounded down.
pub fn epoch_ms(moment: OffsetDateTime) -> i64 {
    moment.unix_timestamp_nanos().div_euclid(1_000_000) as i64
}

/// Returns the time that many milliseconds after 1970, clamped likewise.
pub fn of_epoch_ms(ms: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH.saturating_add(time::Duration::milliseconds(ms))
}

fn span(length: Duration) -> time::Duration {
    time::Duration::try_from(length).unwrap_or(time::Duration::MAX)
}

/// Formats a time to the nanosecond.
pub fn exact(moment: OffsetDateTime) -> String {
    text(moment, EXACT)
}

/// Formats a time like `2026-01-02T03:04:05.678Z`.
pub fn milliseconds(moment: OffsetDateTime) -> String {
    text(moment, MILLISECONDS)
}

/// Formats a time for file names: `20260102T030405Z`, with more digits for later years.
pub fn stamp(moment: OffsetDateTime) -> String {
    // Negative years come only from a wrong clock.
    format!("{:04}{}", moment.year().max(0), rest(moment, STAMP))
}

/// Parses a time that [`stamp`] formatted, of any text that begins with one.
pub fn parse_stamp(text: &str) -> Option<OffsetDateTime> {
    let (date, rest) = text.split_once('T')?;
    let (year, day) = date.split_at_checked(date.len().checked_sub(4)?)?;
    let (clock, _) = rest.split_once('Z')?;
    let year = if year.len() > 4 { format!("+{year:0>6}") } else { year.into() };
    let part = |text: &str, at: usize| text.get(at..at + 2).map(String::from);
    let (month, day) = (part(day, 0)?, part(day, 2)?);
    let (hour, minute, second) = (part(clock, 0)?, part(clock, 2)?, part(clock, 4)?);
    parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

/// Parses a time that [`exact`] or [`milliseconds`] formatted.
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    let Some(unsigned) = text.strip_prefix(['+', '-']) else { return OffsetDateTime::parse(text, &Rfc3339).ok() };
    let (year, rest) = unsigned.split_once('-')?;
    let year: i32 = format!("{}{year}", &text[..1]).parse().ok()?;
    // 2000 is a leap year, so every date is valid in it.
    OffsetDateTime::parse(&format!("2000-{rest}"), &Rfc3339).ok()?.replace_year(year).ok()
}

fn text(moment: OffsetDateTime, format: &[BorrowedFormatItem]) -> String {
    let rest = rest(moment, format);
    match moment.year() {
        year @ 0..=9999 => format!("{year:04}{rest}"),
        year => format!("{}{:06}{rest}", if year < 0 { '-' } else { '+' }, year.unsigned_abs()),
    }
}

/// Formats the part after the year. This cannot fail: all times are in UTC and have every part of the formats.
fn rest(moment: OffsetDateTime, format: &[BorrowedFormatItem]) -> String {
    moment.format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn years_of_any_length_are_formatted_and_parsed() {
        for (moment, text, stamped) in [
            (datetime!(2026-01-02 03:04:05.678 UTC), "2026-01-02T03:04:05.678Z", "20260102T030405Z"),
            (datetime!(9999-12-31 23:59:59.999 UTC), "9999-12-31T23:59:59.999Z", "99991231T235959Z"),
            (datetime!(+10000-01-01 0:00 UTC), "+010000-01-01T00:00:00.000Z", "100000101T000000Z"),
            (datetime!(+292277-02-28 1:02:03 UTC), "+292277-02-28T01:02:03.000Z", "2922770228T010203Z"),
            (datetime!(1969-12-31 23:59:59.5 UTC), "1969-12-31T23:59:59.500Z", "19691231T235959Z"),
            (datetime!(0000-02-29 0:00 UTC), "0000-02-29T00:00:00.000Z", "00000229T000000Z"),
            (datetime!(-0044-03-15 12:00 UTC), "-000044-03-15T12:00:00.000Z", "00000315T120000Z"),
        ] {
            assert_eq!((milliseconds(moment), stamp(moment)), (text.into(), stamped.into()));
            assert_eq!(parse(text), Some(moment));
            assert_eq!(parse(&exact(moment)), Some(moment));
            let second = moment.replace_nanosecond(0).ok().filter(|moment| moment.year() >= 0);
            assert_eq!(second.and_then(|_| parse_stamp(&format!("{stamped}-2.mkv"))), second);
        }
        for invalid in ["", "+", "-", "+012345", "+x-01-01T00:00:00Z", "ä-1", "2026-01-02"] {
            assert_eq!((parse(invalid), parse_stamp(invalid)), (None, None), "{invalid}");
        }
    }
}
