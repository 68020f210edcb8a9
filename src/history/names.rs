//! The names of the files that the index knows.

use crate::report::journal::SUFFIX as JOURNAL;
use crate::system::utc;

/// Suffixes.
pub const TIMELINE: &str = ".timeline.json";
const VIDEOS: [&str; 3] = [".mkv", ".avi", ".mp4"];

/// A file of the index. They are read in this order: journals say what the videos of a camera are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Journal,
    Timeline,
    Video,
}

/// What the name of a camera's file says: `STEM-20260102T030405Z[-N].SUFFIX`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamped<'a> {
    pub stem: &'a str,
    /// Date and time. More digits are later years.
    pub stamp: (usize, &'a str),
    pub number: u64,
}

/// Returns the kind of a file, by its name. A video without a time in its name is not a camera's.
pub fn kind(name: &str) -> Option<Kind> {
    if name.ends_with(JOURNAL) {
        Some(Kind::Journal)
    } else if name.ends_with(TIMELINE) {
        Some(Kind::Timeline)
    } else {
        stamped(name).is_some_and(|_| VIDEOS.iter().any(|suffix| name.ends_with(suffix))).then_some(Kind::Video)
    }
}

/// Returns whether a file has the labelled frames of a time of which another file has the camera's own video.
pub fn is_second(name: &str) -> bool {
    name.contains(".labelled.")
}

/// Returns whether `name` is a file's name and no path.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

/// Parses the name of a camera's file.
pub fn stamped(name: &str) -> Option<Stamped<'_>> {
    let suffixes = VIDEOS.iter().chain([&JOURNAL]);
    let body = suffixes.filter_map(|suffix| name.strip_suffix(suffix)).next()?;
    let parsed = |body: &'_ str, number| -> Option<(usize, usize, u64)> {
        let dash = body.rfind('-')?;
        let stamp = &body[dash + 1..];
        let digits = stamp.bytes().take_while(u8::is_ascii_digit).count();
        let clock = stamp.get(digits..)?.strip_prefix('T')?.strip_suffix('Z')?;
        let is_time = clock.len() == 6 && clock.bytes().all(|byte| byte.is_ascii_digit());
        ((8..=10).contains(&digits) && is_time).then_some((dash, digits, number))
    };
    let (stem_end, digits, number) = parsed(body, 1).or_else(|| {
        let (rest, number) = body.rsplit_once('-')?;
        parsed(rest, number.parse().ok()?)
    })?;
    let stamp = &body[stem_end + 1..];
    let stamp = &stamp[..digits + "T030405Z".len()];
    Some(Stamped { stem: &body[..stem_end], stamp: (digits, stamp), number })
}

/// Returns the time in a stamp, in milliseconds since 1970.
pub fn time((_, text): (usize, &str)) -> Option<i64> {
    utc::parse_stamp(text).map(|time| time.unix_timestamp() * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_camera_file_is_in_its_name() {
        let name = stamped("door-2-20260102T030405Z-12.timeline.jsonl").unwrap();
        assert_eq!((name.stem, name.stamp, name.number), ("door-2", (8, "20260102T030405Z"), 12));
        assert_eq!(time(name.stamp), Some(1_767_323_045_000));
        assert_eq!(stamped("a-20260102T030405Z.mkv").unwrap().number, 1);
        for other in ["a.mkv", "-20260102T030405.mkv", "a-20260102T030405Z.jpg", "20260102T030405Z-2.mkv", "ä-Z.avi"] {
            assert_eq!(stamped(other), None, "{other}");
        }
        assert_eq!(time((8, "20261302T030405Z")), None);
    }

    #[test]
    fn kinds_are_told_by_the_name() {
        assert_eq!(kind("clip.timeline.json"), Some(Kind::Timeline));
        assert_eq!(kind("door-20260102T030405Z.timeline.jsonl"), Some(Kind::Journal));
        assert_eq!(kind("door-20260102T030405Z.mkv"), Some(Kind::Video));
        assert_eq!([kind("clip.labelled.avi"), kind("notes.json")], [None, None]);
        assert_eq!(["a.mkv", "../a.mkv", "", ".."].map(is_plain), [true, false, false, false]);
    }
}
