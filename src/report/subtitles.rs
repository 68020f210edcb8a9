//! Writes the intervals as WebVTT subtitles, so that any player can show the labels over the original clip.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::report::journal::{self, IntervalRecord, Record};
use crate::report::replace;

/// What a cue's text begins with.
const CAPTION: &str = "activity: ";
/// Largest file of subtitles that is read, in bytes: far more than one of a segment has.
const MAX_READ: u64 = 4 << 20;

/// Writes a cue for each interval of the journal, to a temporary file that is then renamed.
///
/// # Errors
/// Returns a failure if the journal cannot be read or the subtitles cannot be written.
pub fn write(journal: &Path, output: &Path) -> Result<()> {
    replace(output, |part| {
        let file = File::create(part).map_err(|cause| Error::unwritable(part, cause))?;
        let mut out = BufWriter::new(file);
        let mut text = String::from("WEBVTT\n");
        for record in journal::read(journal)? {
            if let Record::Interval(interval) = record? {
                text.push_str(&cue(&interval));
            }
            out.write_all(text.as_bytes()).map_err(|cause| Error::unwritable(part, cause))?;
            text.clear();
        }
        out.flush().map_err(|cause| Error::unwritable(part, cause))
    })
}

/// Writes a cue for each interval, to a temporary file that is then renamed.
///
/// # Errors
/// Returns a failure if the subtitles cannot be written.
pub fn write_cues(intervals: &[IntervalRecord], output: &Path) -> Result<()> {
    let text: String = std::iter::once("WEBVTT\n".into()).chain(intervals.iter().map(cue)).collect();
    replace(output, |part| std::fs::write(part, text).map_err(|cause| Error::unwritable(part, cause)))
}

/// Reads the cues that [`write_cues`] wrote: start and end in milliseconds, and the label.
///
/// # Errors
/// Returns a failure if the file cannot be read.
pub fn read_cues(path: &Path) -> Result<Vec<(f64, f64, String)>> {
    let unreadable = |cause| Error::failed(format!("{}: cannot be read", path.display())).because(cause);
    let file = File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(MAX_READ).read_to_string(&mut text).map_err(unreadable)?;
    let mut cues = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some((start, end)) = line.split_once(" --> ")
            && let (Some(start), Some(end)) = (milliseconds(start), milliseconds(end))
        {
            let label = lines.next().and_then(|text| text.strip_prefix(CAPTION)?.rsplit_once(" ("));
            let label = label.map_or("", |(label, _)| label);
            cues.push((start, end, label.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")));
        }
    }
    Ok(cues)
}

fn cue(interval: &IntervalRecord) -> String {
    let escaped = interval.label.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\n', " ");
    // Players skip a cue of zero length.
    let end = interval.end.max(interval.start + 1.0);
    let percent = (100.0 * interval.mean).round();
    format!("\n{} --> {}\n{CAPTION}{escaped} ({percent} %)\n", timestamp(interval.start), timestamp(end))
}

/// Formats a time like WebVTT, `HH:MM:SS.mmm`; hours may have more digits.
fn timestamp(milliseconds: f64) -> String {
    let total = milliseconds.round() as u64;
    let (hours, minutes, seconds) = (total / 3_600_000, total / 60_000 % 60, total / 1000 % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{:03}", total % 1000)
}

/// Parses a time like [`timestamp`] writes it.
fn milliseconds(text: &str) -> Option<f64> {
    let parts: Vec<f64> = text.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = parts[..] else { return None };
    Some(1000.0 * (seconds + 60.0 * (minutes + 60.0 * hours)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_become_cues() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, output) = (folder.path().join("a.jsonl"), folder.path().join("a.vtt"));
        journal::write_sample(&journal);
        write(&journal, &output).unwrap();
        assert_eq!(
            std::fs::read_to_string(&output).unwrap(),
            "WEBVTT\n\n\
             00:00:00.000 --> 00:00:00.033\nactivity: cooking (75 %)\n\n\
             01:02:03.004 --> 01:02:03.044\nactivity: drinking &lt;tea&gt; (88 %)\n"
        );
    }
    #[test]
    fn cues_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.vtt");
        let interval = |label: &str, start, end| IntervalRecord {
            label: label.into(),
            start,
            end,
            mean: 0.9,
            peak: 0.9,
            onset: None,
            offset: None,
            pictures: Vec::new(),
        };
        write_cues(&[interval("tea (hot) & <cake>", 1500.0, 3_723_004.0), interval("other", 0.0, 0.0)], &path).unwrap();
        let expected = [(1500.0, 3_723_004.0, "tea (hot) & <cake>".into()), (0.0, 1.0, "other".into())];
        assert_eq!(read_cues(&path).unwrap(), expected);
        assert!(read_cues(folder.path()).is_err());
        std::fs::write(&path, "WEBVTT\n\nx --> y\n00:01 --> 00:02\n00:00:01.000 --> 00:00:02.000").unwrap();
        assert_eq!(read_cues(&path).unwrap(), [(1000.0, 2000.0, String::new())]);
    }
}
