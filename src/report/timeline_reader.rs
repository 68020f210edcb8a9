//! Reads timelines of earlier runs: their settings, and their intervals. Memory does not grow with a timeline's length.

use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::report::journal::IntervalRecord;
use crate::report::timeline::SCHEMA;

/// Reads the keys up to `complete`: the settings and the counts.
///
/// # Errors
/// Returns a usage error if the file is not a timeline.
pub fn head(path: &Path) -> Result<Map<String, Value>> {
    let mut head = Map::new();
    let parsed = parse(path, Keys { head: &mut head, intervals: None });
    if head.get("schema").is_some_and(|schema| schema == SCHEMA) && head.contains_key(LAST) {
        return Ok(head);
    }
    let error = Error::usage(format!("{}: is not a timeline", path.display())).remedy("write to another name");
    Err(match parsed {
        Err(cause) if !cause.is_data() => error.because(cause),
        _ => error,
    })
}

/// Calls `each` with every interval, in order. Returns the duration of what was labelled, in milliseconds.
///
/// # Errors
/// Returns a failure if the timeline cannot be read.
pub fn intervals(path: &Path, each: &mut dyn FnMut(IntervalRecord)) -> Result<f64> {
    let mut head = Map::new();
    let mut complete = false;
    let parsed = parse(path, Keys { head: &mut head, intervals: Some((each, &mut complete)) });
    if complete {
        return Ok(head.get("duration").and_then(Value::as_f64).unwrap_or(0.0));
    }
    let error = Error::failed(format!("{}: its intervals cannot be read", path.display()));
    Err(match parsed {
        Err(cause) => error.because(cause),
        Ok(()) => error,
    })
}

/// The last key of the settings and counts. The lists follow.
const LAST: &str = "complete";

fn parse(path: &Path, keys: Keys) -> serde_json::Result<()> {
    let file = File::open(path).map_err(serde_json::Error::io)?;
    serde_json::Deserializer::from_reader(BufReader::new(file)).deserialize_map(keys)
}

/// Visits the keys of a timeline.
struct Keys<'a> {
    /// Receives the settings and counts.
    head: &'a mut Map<String, Value>,
    /// Receives the intervals, and whether they were complete. Without it, reading stops after [`LAST`]. Reading can stop only with
    /// an error.
    intervals: Option<(&'a mut dyn FnMut(IntervalRecord), &'a mut bool)>,
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a timeline")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut keys: A) -> Result<(), A::Error> {
        let mut in_head = true;
        while let Some(key) = keys.next_key::<String>()? {
            if in_head {
                in_head &= key != LAST;
                let is_other = key == "schema" && self.head.is_empty();
                let value: Value = keys.next_value()?;
                if is_other && value != SCHEMA {
                    return Err(A::Error::custom("it has another schema"));
                }
                self.head.insert(key, value);
                if !in_head && self.intervals.is_none() {
                    return Err(A::Error::custom("the rest is not needed"));
                }
            } else if key == "intervals"
                && let Some((each, complete)) = self.intervals
            {
                keys.next_value_seed(Intervals(each))?;
                *complete = true;
                return Err(A::Error::custom("the rest is not needed"));
            } else {
                keys.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// Passes on the intervals of a list.
struct Intervals<'a>(&'a mut dyn FnMut(IntervalRecord));

impl<'de> DeserializeSeed<'de> for Intervals<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Intervals<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of intervals")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut intervals: A) -> Result<(), A::Error> {
        while let Some(interval) = intervals.next_element()? {
            (self.0)(interval);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{journal, timeline};

    #[test]
    fn settings_and_intervals_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, path) = (folder.path().join("a.jsonl"), folder.path().join("a.json"));
        journal::write_sample(&journal);
        timeline::write(&journal, &journal::sample().pop().unwrap(), &path).unwrap();
        let head = head(&path).unwrap();
        assert_eq!((&head["input"], &head["complete"]), (&"clip.mp4".into(), &true.into()));
        assert!(!head.contains_key("cooking"));
        let mut labels = Vec::new();
        let duration = intervals(&path, &mut |interval| labels.push(interval.label)).unwrap();
        assert_eq!((labels, duration), (vec!["cooking".into(), "drinking <tea>".into()], 3_723_044.0));
    }

    #[test]
    fn another_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        for text in ["", "[]", "{}", "{\"schema\": \"x\", \"complete\": true}", "{\"schema\": \"livelabel.timeline\""] {
            std::fs::write(&path, text).unwrap();
            let error = head(&path).unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().contains("is not a timeline"), "{text}: {error}");
        }
    }
}
