//! The timeline: the results of a clip in one JSON file, made from the journal in one pass. Memory does not grow with
//! its length.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use crate::error::{Error, Result};
use crate::report::journal::{self, FrameCounts, Header, Record};
use crate::report::lists::Lists;
use crate::report::replace;
use crate::system::folders;

pub const SCHEMA: &str = "livelabel.timeline";
/// Increased when a key is removed or its meaning changes.
pub const VERSION: u32 = 2;

/// Keys of the timeline itself. A label with one of these names is written as `label:NAME`.
const RESERVED: [&str; 22] = [
    "schema",
    "version",
    "input",
    "file",
    "started",
    "model",
    "action",
    "window",
    "window_align",
    "threshold",
    "hysteresis",
    "stride",
    "shortest_ms",
    "device",
    "frames",
    "speed",
    "reconnects",
    "duration",
    "complete",
    "intervals",
    "gaps",
    "confidences",
];

/// Returns the key of a label's frames. It is unique to the label.
pub fn key(label: &str) -> String {
    if RESERVED.contains(&label) || label.starts_with("label:") { format!("label:{label}") } else { label.to_string() }
}

/// Writes the timeline from the journal and the `end` record, which may be missing in the journal if the disk was full.
/// Writes to a temporary file and renames it.
///
/// # Errors
/// Returns a failure if the journal cannot be read or the timeline cannot be written.
pub fn write(journal: &Path, end: &Record, output: &Path) -> Result<()> {
    replace(output, |part| {
        let file = File::create(part).map_err(|cause| Error::unwritable(part, cause))?;
        Writer { out: BufWriter::new(file), path: part, first: true }.timeline(journal, end)
    })
}

/// The contents of the end record; all zero for a run that was killed.
#[derive(Default)]
struct Ending {
    frames: FrameCounts,
    wall_s: f64,
    frames_per_second: f64,
    reconnects: u64,
    shortest_ms: Option<f64>,
    complete: bool,
}

impl Ending {
    fn of(end: &Record) -> Self {
        match end.clone() {
            Record::End { frames, wall_s, frames_per_second, reconnects, shortest_ms, complete } => {
                Self { frames, wall_s, frames_per_second, reconnects, shortest_ms, complete }
            }
            _ => Self::default(),
        }
    }
}

/// Indices of the lists; those of the labels follow.
const INTERVALS: usize = 0;
const GAPS: usize = 1;
const ROWS: usize = 2;
const INFERRED: usize = 3;
const FIRST_LABEL: usize = 4;

struct Writer<'a> {
    out: BufWriter<File>,
    path: &'a Path,
    /// Whether the next item is the first of its list or object.
    first: bool,
}

impl Writer<'_> {
    fn timeline(mut self, journal: &Path, end: &Record) -> Result<()> {
        let ending = Ending::of(end);
        let (header, duration, mut lists) = collect(journal, self.path)?;
        let labels = header.model.labels.clone();
        self.raw("{")?;
        self.entry("schema", &SCHEMA)?;
        self.entry("version", &VERSION)?;
        for (name, value) in fields(&header)? {
            self.entry(&name, &value)?;
        }
        self.entry("shortest_ms", &ending.shortest_ms)?;
        self.entry("frames", &ending.frames)?;
        self.entry("speed", &json!({"wall_s": ending.wall_s, "frames_per_second": ending.frames_per_second}))?;
        self.entry("reconnects", &ending.reconnects)?;
        self.entry("duration", &duration)?;
        self.entry("complete", &ending.complete)?;
        for (number, label) in labels.iter().enumerate() {
            if header.action.as_ref().is_none_or(|action| action == label) {
                self.list(&key(label), &mut lists, FIRST_LABEL + number)?;
            }
        }
        self.list("intervals", &mut lists, INTERVALS)?;
        self.list("gaps", &mut lists, GAPS)?;
        self.name("confidences")?;
        self.first = true;
        self.raw("{")?;
        self.entry("labels", &labels)?;
        self.list("rows", &mut lists, ROWS)?;
        self.list("inferred", &mut lists, INFERRED)?;
        self.raw("\n}\n}\n")?;
        self.out.flush().map_err(|cause| Error::unwritable(self.path, cause))
    }

    fn list(&mut self, name: &str, lists: &mut Lists, number: usize) -> Result<()> {
        self.name(name)?;
        self.raw("[")?;
        lists.write(number, &mut self.out).map_err(|cause| Error::unwritable(self.path, cause))?;
        self.raw("]")
    }

    fn entry(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        self.name(name)?;
        let text = serde_json::to_string(value).map_err(|cause| Error::internal("a timeline").because(cause))?;
        self.raw(&text)
    }

    fn name(&mut self, name: &str) -> Result<()> {
        let separator = if std::mem::take(&mut self.first) { "\n" } else { ",\n" };
        self.raw(&format!("{separator}{}: ", json!(name)))
    }

    fn raw(&mut self, text: &str) -> Result<()> {
        self.out.write_all(text.as_bytes()).map_err(|cause| Error::unwritable(self.path, cause))
    }
}

fn fields(header: &Header) -> Result<BTreeMap<String, serde_json::Value>> {
    let value = serde_json::to_value(header).map_err(|cause| Error::internal("a timeline").because(cause))?;
    Ok(value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Reads the journal at `path`: its header, the time up to which it goes in milliseconds, and all lists of the timeline at `output`.
fn collect(path: &Path, output: &Path) -> Result<(Header, f64, Lists)> {
    let folder = folders::of(output);
    let full = |cause| Error::unwritable(output, cause);
    let mut records = journal::read(path)?;
    let header = match records.next().transpose()? {
        Some(Record::Start(header)) => *header,
        _ => return Err(Error::internal(format!("{}: has no first line", path.display()))),
    };
    let indices: BTreeMap<&str, usize> = header.model.labels.iter().map(String::as_str).zip(FIRST_LABEL..).collect();
    let mut lists = Lists::new(folder, FIRST_LABEL + header.model.labels.len()).map_err(full)?;
    let mut duration = 0.0_f64;
    // The first and last frame of the stretch that the model did not run on.
    let mut stretch: Option<(f64, f64)> = None;
    for record in records {
        match record? {
            Record::Frame { ms, label, confidence, smoothed, inferred, .. } => {
                duration = duration.max(ms);
                if let Some(&index) = label.as_deref().and_then(|label| indices.get(label)) {
                    lists.push(index, &json!([ms, confidence]).to_string()).map_err(full)?;
                }
                let row: Vec<f64> = std::iter::once(ms).chain(smoothed).collect();
                lists.push(ROWS, &json!(row).to_string()).map_err(full)?;
                if inferred {
                    stretch = Some((stretch.map_or(ms, |(first, _)| first), ms));
                } else if let Some(stretch) = stretch.take() {
                    lists.push(INFERRED, &json!(stretch).to_string()).map_err(full)?;
                }
            }
            Record::Interval(interval) => {
                duration = duration.max(interval.end);
                lists.push(INTERVALS, &json!(interval).to_string()).map_err(full)?;
            }
            Record::Gap { start, end, .. } => {
                lists.push(GAPS, &json!({"start": start, "end": end}).to_string()).map_err(full)?;
            }
            Record::Start(_) | Record::Settings(_) | Record::Segment(_) | Record::Lost { .. } | Record::End { .. } => {}
        }
    }
    if let Some(stretch) = stretch {
        lists.push(INFERRED, &json!(stretch).to_string()).map_err(full)?;
    }
    Ok((header, duration, lists))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_everything_in_the_journal() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, output) = (folder.path().join("a.jsonl"), folder.path().join("a.json"));
        journal::write_sample(&journal);
        let end = journal::sample().pop().unwrap();
        write(&journal, &end, &output).unwrap();
        let timeline: serde_json::Value = serde_json::from_slice(&std::fs::read(&output).unwrap()).unwrap();
        assert_eq!(timeline["schema"], SCHEMA);
        assert_eq!(timeline["cooking"], json!([[0.0, 0.75]]));
        assert_eq!(timeline["drinking <tea>"], json!([[3_723_004.0, 0.875]]));
        assert_eq!(timeline["frames"], json!({"decoded": 3, "analysed": 3, "held": 0, "dropped": {}}));
        assert_eq!(timeline["speed"], json!({"wall_s": 1.5, "frames_per_second": 2.0}));
        assert_eq!(timeline["intervals"][1]["label"], "drinking <tea>");
        assert_eq!(timeline["confidences"]["rows"][1], json!([33.366667, 0.5, 0.5]));
        assert_eq!(timeline["confidences"]["inferred"], json!([[33.366667, 33.366667]]));
        assert_eq!(timeline["complete"], true);
        assert_eq!(timeline["gaps"], json!([{"start": 66.733334, "end": 3_723_004.0}]));
        let expected: Vec<&str> = RESERVED.into_iter().chain(["cooking", "drinking <tea>"]).collect();
        let keys: Vec<&String> = timeline.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), expected.len());
        assert!(keys.iter().all(|key| expected.contains(&key.as_str())), "{keys:?}");
    }

    #[test]
    fn a_label_never_collides_with_a_key() {
        assert_eq!(key("frames"), "label:frames");
        assert_eq!(key("label:frames"), "label:label:frames");
        assert_eq!(key("drinking"), "drinking");
    }
}
