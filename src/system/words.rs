//! Numbers and times as sentences have them.

use std::time::Duration;

use bytesize::ByteSize;

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// Formats a number and a noun, like `1 clip` or `3 clips`.
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Formats a number as a place in an order, like `2nd` or `11th`.
pub fn ordinal(number: u64) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// Formats a time as `m:ss` or `h:mm:ss`, rounded down.
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Formats a stretch of time as `m:ss–m:ss`, or `m:ss` if it is shorter than a second.
pub fn stretch(start: Duration, end: Duration) -> String {
    let (start, end) = (clock(start), clock(end));
    if start == end { start } else { format!("{start}–{end}") }
}

/// Formats a size like `1.2 MB`.
pub fn bytes(bytes: u64) -> String {
    ByteSize::b(bytes).display().si().to_string()
}

/// Formats what `bytes` in `time` are a day, like `4.1 GB`.
pub fn bytes_per_day(bytes: u64, time: Duration) -> String {
    let day = bytes as f64 * DAY / time.as_secs_f64().max(1e-3);
    self::bytes(day as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_eleven_is_no_first() {
        assert_eq!([0, 1, 2].map(|number| count(number, "frame")), ["0 frames", "1 frame", "2 frames"]);
        assert_eq!(
            [1, 2, 3, 4, 11, 12, 13, 21, 112, 123].map(ordinal),
            ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th", "123rd"]
        );
    }

    #[test]
    fn sizes_have_decimal_units() {
        assert_eq!([bytes(999), bytes(1_234_567)], ["999 B", "1.2 MB"]);
        assert_eq!(bytes_per_day(1_000_000, Duration::from_secs(10)), "8.6 GB");
    }

    #[test]
    fn times_are_minutes_and_seconds() {
        let seconds = Duration::from_secs_f64;
        assert_eq!((clock(seconds(59.9)), clock(seconds(3661.0))), ("0:59".into(), "1:01:01".into()));
        assert_eq!(stretch(seconds(16.2), seconds(18.68)), "0:16–0:18");
        assert_eq!(stretch(seconds(0.2), seconds(0.9)), "0:00");
    }
}
