//! The closing summary of a run.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::inputs::Job;
use crate::media;
use crate::media::recorder::{Container, LONGEST_FILL, Recorded};
use crate::pipeline::observer::LabeledPicture;
use crate::pipeline::outcome::Outcome;
use crate::system::printable;
use crate::system::words::{bytes, bytes_per_day, count};

/// How much the end of a clip says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What was found, and what the user should know about the files.
    Findings,
    /// The names of the files too.
    Files,
    All,
}

/// Formats the end of a clip, beginning with a line of its `findings`.
pub fn clip(job: &Job, outcome: &Outcome, findings: &str, detail: Detail) -> String {
    let mut lines = vec![format!("{}: {findings}", name(job))];
    if detail == Detail::All {
        lines.extend(details(job, outcome));
    }
    lines.extend(notes(job, outcome));
    if detail == Detail::All || (detail == Detail::Files && !outcome.files.is_empty()) {
        lines.push(paths(&outcome.files));
    }
    if detail != Detail::Findings {
        lines.extend(shortest(outcome).map(|text| format!("  shortest   {text}")));
    }
    lines.join("\n")
}

/// Returns the job's name. If it is not the file's name, because another input has that, also the path.
pub fn name(job: &Job) -> String {
    let given = job.input.file_name().unwrap_or_default().to_string_lossy();
    if given == job.name { job.name.clone() } else { format!("{} ({})", job.name, printable::path(&job.input)) }
}

/// Labels of a picture that its line shows.
const LABELS: usize = 8;

/// Formats a picture with the confidence of every label, like `photo.jpg: drinking 91 %, other 8 %, cooking 1 %`.
pub fn picture(name: &str, picture: &LabeledPicture, detail: Detail) -> String {
    let label = |(label, confidence): &(&str, f64)| format!("{label} {:.0} %", 100.0 * confidence);
    let mut line: Vec<String> = picture.confidences.iter().take(LABELS).map(label).collect();
    if picture.confidences.len() > LABELS {
        line.push(format!("{} more", picture.confidences.len() - LABELS));
    }
    let mut text = format!("{name}: {}", line.join(", "));
    if detail != Detail::Findings && !picture.files.is_empty() {
        text.push_str(&format!("\n{}", paths(&picture.files)));
    }
    text
}

fn details(job: &Job, outcome: &Outcome) -> Vec<String> {
    let frames = &outcome.frames;
    let dropped: u64 = frames.dropped.values().sum();
    let held = if frames.held > 0 { format!(", {} held", frames.held) } else { String::new() };
    vec![
        format!(
            "{}: {} decoded, {} analysed{held}, {dropped} dropped",
            job.name,
            count(frames.decoded, "frame"),
            frames.analysed
        ),
        format!("  intervals  {}", outcome.intervals),
        format!(
            "  speed      {:.1} frames/s: {:.1} s for {:.1} s of video",
            outcome.frames_per_second(),
            outcome.wall.as_secs_f64(),
            outcome.position as f64 / 1e9
        ),
        device(outcome),
        model(outcome),
        format!("  codecs     {}", codecs(job, outcome)),
    ]
}

/// Says which activities are too short to be found; `None` if there were too few frames to know.
pub fn shortest(outcome: &Outcome) -> Option<String> {
    let seconds = outcome.shortest? as f64 / 1e9;
    let decimals = if seconds < 0.095 { 2 } else { 1 };
    Some(format!("nothing shorter than {seconds:.decimals$} s is reported"))
}

/// Says how the files differ from what one might expect.
fn notes(job: &Job, outcome: &Outcome) -> Vec<String> {
    let mut lines: Vec<String> =
        rate_note(job, outcome).map(|note| format!("  video      {note}")).into_iter().collect();
    if let Some(ahead) = outcome.ahead_limit {
        lines.push(format!("  window     looks at most {ahead} frames ahead, for the memory that they take"));
    }
    if outcome.interrupted && outcome.error.is_none() {
        lines.push(format!(
            "  stopped    at {:.1} s; every file is complete up to that point",
            outcome.position as f64 / 1e9
        ));
    }
    lines
}

/// Names files, all but the first by what differs: `results/a.labelled.avi, .timeline.json, .vtt`.
fn paths(files: &[PathBuf]) -> String {
    let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    let shortened =
        names.iter().enumerate().map(|(index, name)| if index == 0 { name.as_str() } else { beside(&names[0], name) });
    format!("  files      {}", shortened.collect::<Vec<_>>().join(", "))
}

/// Returns a path without the beginning of its name, if `first` has the same up to a dot.
fn beside<'a>(first: &str, path: &'a str) -> &'a str {
    let same = first.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count();
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    match path.as_bytes()[..same].iter().rposition(|&byte| byte == b'.') {
        Some(dot) if dot > name => &path[dot..],
        _ => path,
    }
}

/// Names the clip's decoder and its video's encoder.
fn codecs(job: &Job, outcome: &Outcome) -> String {
    let decoder = outcome.decoder.as_deref().unwrap_or("no decoder");
    match job.outputs.video {
        Some(_) => format!("{decoder}, {}", media::jpeg_encoder()),
        None => decoder.into(),
    }
}

/// Shortest run from which the bytes a day are estimated.
const SHORTEST_RATE: Duration = Duration::from_secs(10);

/// Formats the end of a camera.
pub fn camera(name: &str, outcome: &Outcome) -> String {
    let Outcome { frames, gaps, latency, .. } = outcome;
    let dropped: u64 = frames.dropped.values().sum();
    let mut lines = vec![
        format!(
            "{name}: {} decoded, {} analysed, {} held, {dropped} dropped",
            count(frames.decoded, "frame"),
            frames.analysed,
            frames.held
        ),
        format!("  intervals  {}", outcome.intervals),
        format!(
            "  camera     {}, {}, {} of {:.1} s in {:.1} s",
            count(outcome.reconnects, "reconnect"),
            count(outcome.stalls, "stall"),
            count(gaps.count, "gap"),
            gaps.total / 1000.0,
            outcome.wall.as_secs_f64()
        ),
        format!(
            "  latency    median {:.0} ms, 95 % under {:.0} ms, 99 % under {:.0} ms",
            latency.p50, latency.p95, latency.p99
        ),
        device(outcome),
        model(outcome),
    ];
    lines.extend(shortest(outcome).map(|text| format!("  shortest   {text}")));
    if outcome.videos + outcome.video_failures > 0 {
        let (failures, skipped) = (outcome.video_failures, outcome.pictures_skipped);
        let (videos, failures) = (count(outcome.videos, "file"), count(failures, "failure"));
        let mut line = format!("  video      {videos}, {failures}, {} skipped", count(skipped, "frame"));
        if outcome.wall >= SHORTEST_RATE {
            let day = bytes_per_day(outcome.recorded_bytes, outcome.wall);
            line.push_str(&format!("; {}, at this rate {day} a day", bytes(outcome.recorded_bytes)));
        }
        lines.push(line);
    }
    lines.join("\n")
}

fn device(outcome: &Outcome) -> String {
    format!("  device     {}", outcome.engine)
}

fn model(outcome: &Outcome) -> String {
    format!("  model      {}", outcome.model)
}

/// Says how AVI's constant rate was kept; `None` if the input's rate was constant.
fn rate_note(job: &Job, outcome: &Outcome) -> Option<String> {
    let (_, container) = job.outputs.video.as_ref()?;
    let Recorded { repeated, left_out } = outcome.recorded;
    if *container != Container::Avi || repeated + left_out + outcome.long_gaps == 0 {
        return None;
    }
    let mut note = format!(
        "AVI needs a constant rate: {} repeated and {left_out} skipped to keep the times",
        count(repeated, "frame")
    );
    if outcome.long_gaps > 0 {
        note.push_str(&format!(
            ", {} of over {} s closed",
            count(outcome.long_gaps, "gap"),
            LONGEST_FILL / 1_000_000_000
        ));
    }
    Some(note + "; .mkv keeps each frame's own time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_one_name_are_told_by_their_endings() {
        let line = |files: &[&str]| paths(&files.iter().map(PathBuf::from).collect::<Vec<_>>());
        let same = ["r/a.labelled.avi", "r/a.timeline.json", "r/a.vtt"];
        assert_eq!(line(&same), "  files      r/a.labelled.avi, .timeline.json, .vtt");
        assert_eq!(line(&["r/a.1.avi", "r/a.1.vtt", "r/a.2.vtt"]), "  files      r/a.1.avi, .vtt, .2.vtt");
        // Another name, another folder, a hidden file, a name of letters of two bytes.
        let other = ["r/a.avi", "r/b.vtt", "s/a.vtt", "r/a", "r/é.avi"];
        assert_eq!(line(&other), "  files      r/a.avi, r/b.vtt, s/a.vtt, r/a, r/é.avi");
        assert_eq!(line(&["r/.a.avi", "r/.b.avi"]), "  files      r/.a.avi, r/.b.avi");
    }
}
