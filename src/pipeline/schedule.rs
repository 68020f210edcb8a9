//! When a file ends and the next one begins, and their names: the UTC time at which they begin.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use time::OffsetDateTime;

use crate::system::utc;

/// Splits time at multiples of a length, so that segments of ten minutes begin at ten past, twenty past, and so on.
#[derive(Debug)]
pub struct RotationSchedule {
    length: i128,
    current: Option<i128>,
}

impl RotationSchedule {
    pub fn new(length: Duration) -> Self {
        Self { length: length.as_nanos().max(1) as i128, current: None }
    }

    /// Returns whether a segment has ended at `now`. The first call only initialises the schedule.
    pub fn due(&mut self, now: OffsetDateTime) -> bool {
        let index = now.unix_timestamp_nanos().div_euclid(self.length);
        self.current.replace(index).is_some_and(|before| before != index)
    }
}

/// Creates a new file `folder/stem-20260102T030405Z.suffix`, with a number after the time if that exists, and returns
/// its path. Creating it makes another run in the same second use the next number. If it cannot be created, opening it
/// later reports the error.
pub fn stamped(folder: &Path, stem: &str, now: OffsetDateTime, suffix: &str) -> PathBuf {
    let stamp = utc::stamp(now);
    let first = folder.join(format!("{stem}-{stamp}{suffix}"));
    let numbered = (2..).map(|number| folder.join(format!("{stem}-{stamp}-{number}{suffix}")));
    let free = |path: &PathBuf| match File::create_new(path) {
        Err(cause) => cause.kind() != std::io::ErrorKind::AlreadyExists,
        Ok(_) => true,
    };
    std::iter::once(first.clone()).chain(numbered).find(free).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn segments_end_at_multiples_of_their_length() {
        let mut schedule = RotationSchedule::new(Duration::from_secs(600));
        let ends = [
            datetime!(2026-01-02 03:04:05 UTC),
            datetime!(2026-01-02 03:09:59.9 UTC),
            datetime!(2026-01-02 03:10:00 UTC),
            datetime!(2026-01-02 03:19:00 UTC),
            datetime!(2026-01-02 04:00:00 UTC),
        ]
        .map(|now| schedule.due(now));
        assert_eq!(ends, [false, false, true, false, true]);
    }

    #[test]
    fn names_hold_the_time_and_are_unique() {
        let folder = tempfile::tempdir().unwrap();
        let name = || stamped(folder.path(), "door", datetime!(2026-01-02 03:04:05 UTC), ".mkv");
        assert_eq!(name(), folder.path().join("door-20260102T030405Z.mkv"));
        assert_eq!(name(), folder.path().join("door-20260102T030405Z-2.mkv"));
    }
}
