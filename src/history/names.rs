//! The files that the index knows, by their names.

use crate::report::journal::SUFFIX as JOURNAL;
use crate::report::stamped_name::{StampedName, VIDEOS};

/// Suffix of timelines.
pub const TIMELINE: &str = ".timeline.json";

/// A file of the index. They are read in this order: journals say what the videos of a camera are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Journal,
    Timeline,
    Video,
}

/// Returns the kind of a file, by its name. A video without a time in its name is not a camera's.
pub fn kind(name: &str) -> Option<Kind> {
    if name.ends_with(JOURNAL) {
        Some(Kind::Journal)
    } else if name.ends_with(TIMELINE) {
        Some(Kind::Timeline)
    } else {
        StampedName::parse(name).is_some_and(|name| VIDEOS.contains(&name.suffix)).then_some(Kind::Video)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_the_name() {
        assert_eq!(kind("clip.timeline.json"), Some(Kind::Timeline));
        assert_eq!(kind("door-20260102T030405Z.timeline.jsonl"), Some(Kind::Journal));
        assert_eq!(kind("door-20260102T030405Z.mkv"), Some(Kind::Video));
        assert_eq!(["clip.labelled.avi", "door-20260102T030405Z.labelled.avi", "notes.json"].map(kind), [None; 3]);
        assert_eq!(["a.mkv", "../a.mkv", "", ".."].map(is_plain), [true, false, false, false]);
    }
}
