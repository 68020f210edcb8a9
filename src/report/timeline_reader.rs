//! Reads timelines of earlier runs: their settings, and their intervals. Memory does not grow with a timeline's length.

use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
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
    let parsed = parse(path, Keys { head: &mut head, lists: None });
    if head.get("schema").is_some_and(|schema| schema == SCHEMA) && head.contains_key(LAST) {
        return Ok(head);
    }
    let error = Error::usage(format!("{}: is not a timeline", path.display())).remedy("write to another name");
    Err(match parsed {
        Err(cause) if !cause.is_data() => error.because(cause),
        _ => error,
    })
}

/// What a timeline lists.
pub enum Entry {
    Interval(IntervalRecord),
    /// In milliseconds.
    Gap {
        start: f64,
        end: f64,
    },
}

/// Calls `each` with every interval, in order. Returns the duration of what was labelled, in milliseconds.
///
/// # Errors
/// Returns a failure if the timeline cannot be read.
pub fn intervals(path: &Path, each: &mut dyn FnMut(IntervalRecord)) -> Result<f64> {
    let mut only = |entry| {
        if let Entry::Interval(interval) = entry {
            each(interval);
        }
    };
    let head = read(path, "intervals", &mut only)?;
    Ok(head.get("duration").and_then(Value::as_f64).unwrap_or(0.0))
}

/// Calls `each` with every interval and every gap, in order. Returns whether the clip was analysed to its end.
///
/// # Errors
/// Returns a failure if the timeline cannot be read.
pub fn results(path: &Path, each: &mut dyn FnMut(Entry)) -> Result<bool> {
    let head = read(path, "gaps", each)?;
    Ok(head.get(LAST).and_then(Value::as_bool).unwrap_or(false))
}

/// Reads the lists up to the one named `last`. Returns the settings and counts.
fn read(path: &Path, last: &'static str, each: &mut dyn FnMut(Entry)) -> Result<Map<String, Value>> {
    let mut head = Map::new();
    let mut complete = false;
    let parsed = parse(path, Keys { head: &mut head, lists: Some((last, each, &mut complete)) });
    if complete {
        return Ok(head);
    }
    let error = Error::failed(format!("{}: its {last} cannot be read", path.display()));
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
    /// The last list to read, what receives the entries, and whether they were complete. Without it, reading stops after
    /// [`LAST`]. Reading can stop only with an error.
    lists: Option<(&'static str, Each<'a>, &'a mut bool)>,
}

type Each<'a> = &'a mut dyn FnMut(Entry);

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a timeline")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut keys: A) -> Result<(), A::Error> {
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
                if !in_head && self.lists.is_none() {
                    return Err(A::Error::custom("the rest is not needed"));
                }
            } else if let ("intervals" | "gaps", Some((last, each, complete))) = (key.as_str(), &mut self.lists) {
                let is_last = key == *last;
                if key == "intervals" {
                    keys.next_value_seed(List(&mut |interval| each(Entry::Interval(interval))))?;
                } else {
                    keys.next_value_seed(List(&mut |Gap { start, end }| each(Entry::Gap { start, end })))?;
                }
                if is_last {
                    **complete = true;
                    return Err(A::Error::custom("the rest is not needed"));
                }
            } else {
                keys.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// A gap as timelines have it.
#[derive(Deserialize)]
struct Gap {
    start: f64,
    end: f64,
}

/// Passes on the entries of a list.
struct List<'a, T>(&'a mut dyn FnMut(T));

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for List<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element()? {
            (self.0)(entry);
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
        let mut gaps = Vec::new();
        let complete = results(&path, &mut |entry| {
            if let Entry::Gap { start, end } = entry {
                gaps.push((start, end));
            }
        });
        assert_eq!((complete.unwrap(), gaps), (true, vec![(66.733334, 3_723_004.0)]));
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
