//! The names of a camera's files: `STEM-20260102T030405Z[-N].SUFFIX`, with the time in UTC at which the file begins.

use crate::report::{journal, picture_file};
use crate::system::utc;

/// Suffixes of recordings, except those of labelled frames beside the camera's own video.
pub const VIDEOS: [&str; 3] = [".mkv", ".avi", ".mp4"];
/// Suffixes of all files of a camera.
const SUFFIXES: [&str; 9] = [
    VIDEOS[0],
    VIDEOS[1],
    VIDEOS[2],
    ".labelled.mkv",
    ".labelled.avi",
    ".vtt",
    journal::SUFFIX,
    picture_file::SUFFIX,
    ".summary.json",
];
/// Digits of the date; years beyond 9999 have more than four.
const DATE: std::ops::RangeInclusive<usize> = 8..=10;
/// Length of the time after the date.
const TIME: usize = "T030405Z".len();

/// What the name of a camera's file says. The order is that of time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StampedName<'a> {
    pub stem: &'a str,
    /// Number of digits of the date, and date and time: more digits are later years.
    pub stamp: (usize, &'a str),
    /// Tells files of the same second apart, from 1.
    pub number: u64,
    pub suffix: &'static str,
}

impl<'a> StampedName<'a> {
    /// Returns `None` for a name that no camera's file has.
    pub fn parse(name: &'a str) -> Option<Self> {
        SUFFIXES.iter().find_map(|suffix| Self::with(name.strip_suffix(suffix)?, suffix))
    }

    fn with(body: &'a str, suffix: &'static str) -> Option<Self> {
        let numbered = || {
            let (rest, number) = body.rsplit_once('-')?;
            let number = number.parse().ok().filter(|parsed: &u64| *parsed > 1 && parsed.to_string() == number)?;
            Some((split(rest)?, number))
        };
        let ((stem, stamp), number) = split(body).map(|parts| (parts, 1)).or_else(numbered)?;
        Some(Self { stem, stamp, number, suffix })
    }

    /// Returns when the file begins, in milliseconds since 1970; `None` for a date that does not exist.
    pub fn start(&self) -> Option<i64> {
        utc::parse_stamp(self.stamp.1).map(|time| time.unix_timestamp() * 1000)
    }
}

/// Splits a name that ends in a time from it, and counts the digits of the date.
fn split(body: &str) -> Option<(&str, (usize, &str))> {
    let (stem, stamp) = body.rsplit_once('-')?;
    let digits = stamp.bytes().take_while(u8::is_ascii_digit).count();
    let clock = stamp.get(digits..).filter(|clock| clock.len() == TIME)?;
    let clock = clock.strip_prefix('T')?.strip_suffix('Z')?;
    // More digits than a year needs would not sort by time.
    let is_date = DATE.contains(&digits) && (digits == *DATE.start() || !stamp.starts_with('0'));
    (is_date && clock.bytes().all(|byte| byte.is_ascii_digit())).then_some((stem, (digits, stamp)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_cameras_file_is_in_its_name() {
        let name = StampedName::parse("door-2-20260102T030405Z-12.timeline.jsonl").unwrap();
        assert_eq!((name.stem, name.stamp, name.number), ("door-2", (8, "20260102T030405Z"), 12));
        assert_eq!((name.suffix, name.start()), (journal::SUFFIX, Some(1_767_323_045_000)));
        for (other, suffix, number) in [
            ("a-20260102T030405Z.mkv", ".mkv", 1),
            ("a-20260102T030405Z.labelled.mkv", ".labelled.mkv", 1),
            ("a-20260102T030405Z-3.pictures.mjpg", ".pictures.mjpg", 3),
            ("a-1234560102T030405Z.vtt", ".vtt", 1),
        ] {
            let name = StampedName::parse(other).unwrap();
            assert_eq!((name.stem, name.suffix, name.number), ("a", suffix, number), "{other}");
        }
        for other in [
            "a.mkv",
            "a-holiday.mkv",
            "-20260102T030405.mkv",
            "a-20260102T030405Z.jpg",
            "a-20260102T030405Z-.mkv",
            "a-20260102T030405Z-1.mkv",
            "a-20260102T030405Z-02.mkv",
            "20260102T030405Z-2.mkv",
            "a-020260102T030405Z.mkv",
            "ä-Z.avi",
            "dööööööööööööööööör",
        ] {
            assert_eq!(StampedName::parse(other), None, "{other}");
        }
        assert_eq!(StampedName::parse("a-20261302T030405Z.mkv").unwrap().start(), None);
    }

    #[test]
    fn names_are_in_the_order_of_time() {
        let names = [
            "a-20260102T030405Z.mkv",
            "a-20260102T030405Z-2.mkv",
            "a-20260102T030405Z-10.mkv",
            "a-120260102T030405Z.mkv",
        ];
        assert!(names.map(|name| StampedName::parse(name).unwrap()).is_sorted());
    }
}
