//! Which intervals are asked for.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Which intervals are wanted: those that overlap `from` to `to`, in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Names; none for all.
    pub streams: Vec<String>,
    pub labels: Vec<String>,
    pub from: i64,
    pub to: i64,
    pub min_duration: i64,
    /// In hundred thousandths.
    pub min_confidence: i64,
}

impl Filter {
    /// Returns whether it names an interval of a stream and label that it names. `starts` are the starts that are asked about.
    pub(super) fn names(&self, starts: &RangeInclusive<i64>, start: i64, duration: i64, mean: i64) -> bool {
        starts.contains(&start)
            && start + duration >= self.from
            && duration >= self.min_duration
            && mean >= self.min_confidence
    }
}

/// A place in the list: the interval after which a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub(super) start: i64,
    pub(super) stream: i64,
    pub(super) label: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}.{:x}.{:x}", self.start, self.stream, self.label)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.');
        let start = parts.next().and_then(|part| part.parse().ok()).ok_or(())?;
        let mut id = || parts.next().and_then(|part| i64::from_str_radix(part, 16).ok()).ok_or(());
        Ok(Self { start, stream: id()?, label: id()? })
    }
}
