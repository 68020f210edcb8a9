//! Writes the intervals as WebVTT subtitles, so that any player can show the labels over the original clip.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::report::journal::{self, IntervalRecord, Record};
use crate::report::replace;

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

fn cue(interval: &IntervalRecord) -> String {
    let escaped = interval.label.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\n', " ");
    // Players skip a cue of zero length.
    let end = interval.end.max(interval.start + 1.0);
    let percent = (100.0 * interval.mean).round();
    format!("\n{} --> {}\nactivity: {escaped} ({percent} %)\n", timestamp(interval.start), timestamp(end))
}

/// Formats a time like WebVTT, `HH:MM:SS.mmm`; hours may have more digits.
fn timestamp(milliseconds: f64) -> String {
    let total = milliseconds.round() as u64;
    let (hours, minutes, seconds) = (total / 3_600_000, total / 60_000 % 60, total / 1000 % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{:03}", total % 1000)
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
}
