//! Which of a camera's files are worth keeping longer: those with a label other than `other`, and those around them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::labels::REST;
use crate::report::subtitles;

/// What surrounds a label and is kept with it, in seconds.
const MARGIN: f64 = 60.0;
/// Suffixes of videos, the longer ones first.
const VIDEOS: [&str; 5] = [".labelled.mkv", ".labelled.avi", ".mkv", ".mp4", ".avi"];
/// Suffix of the files of labels.
const LABELS: &str = ".vtt";

/// A file of a camera, and when it begins, in seconds of Unix time.
pub struct Dated<'a> {
    pub path: &'a Path,
    pub start: f64,
}

/// The labels that files show, each file read once.
#[derive(Default)]
pub struct Worth {
    /// Start and end of each label in a file of labels, in seconds of the file.
    shown: HashMap<PathBuf, Vec<(f64, f64)>>,
}

impl Worth {
    /// Returns the files that are kept longer, of all `files` of a camera. Journals and summaries are kept with the
    /// videos that they describe.
    pub fn select(&mut self, files: &[Dated]) -> HashSet<PathBuf> {
        self.read(files);
        let mut spans: Vec<(f64, f64)> = files
            .iter()
            .filter_map(|file| Some((file.start, self.shown.get(file.path)?)))
            .flat_map(|(start, shown)| shown.iter().map(move |(from, to)| (start + from - MARGIN, start + to + MARGIN)))
            .collect();
        spans.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut worth = HashSet::new();
        for kind in VIDEOS {
            let mut videos: Vec<&Dated> = files.iter().filter(|file| video(file.path) == Some(kind)).collect();
            videos.sort_by(|a, b| a.start.total_cmp(&b.start));
            let (mut next_span, mut latest) = (0, f64::NEG_INFINITY);
            for (index, video) in videos.iter().enumerate() {
                // A video ends when the next begins, or before.
                let end = videos.get(index + 1).map_or(f64::INFINITY, |next| next.start);
                while let Some((_, to)) = spans.get(next_span).filter(|(from, _)| *from < end) {
                    latest = latest.max(*to);
                    next_span += 1;
                }
                let labels = video.path.with_extension(&LABELS[1..]);
                // Its own labels count whatever the clock said of the next video.
                let own = self.shown.get(&labels).is_some_and(|shown| !shown.is_empty());
                if own || latest > video.start {
                    worth.extend([video.path.to_path_buf(), labels]);
                }
            }
        }
        let describes = |file: &&Dated| video(file.path).is_none() && !has_suffix(file.path, LABELS);
        worth.extend(files.iter().filter(describes).map(|file| file.path.to_path_buf()));
        worth
    }

    /// Reads the files of labels that are new, and forgets those that are gone.
    fn read(&mut self, files: &[Dated]) {
        let present: HashSet<&Path> = files.iter().map(|file| file.path).collect();
        self.shown.retain(|path, _| present.contains(path.as_path()));
        for Dated { path, .. } in files.iter().filter(|file| has_suffix(file.path, LABELS)) {
            if !self.shown.contains_key(*path) {
                // A file that cannot be read is kept longer rather than lost.
                let cues = subtitles::read_cues(path).unwrap_or_else(|_| vec![(0.0, 0.0, String::new())]);
                let shown = cues.into_iter().filter(|(.., label)| label != REST);
                let seconds = shown.map(|(start, end, _)| (start / 1000.0, end / 1000.0)).collect();
                self.shown.insert(path.to_path_buf(), seconds);
            }
        }
    }
}

fn has_suffix(path: &Path, suffix: &str) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(suffix.as_bytes())
}

/// Returns the suffix of a video; `None` for other files.
fn video(path: &Path) -> Option<&'static str> {
    VIDEOS.into_iter().find(|suffix| has_suffix(path, suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn videos_with_a_label_and_those_around_it_are_worth_keeping() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        // Segments of ten minutes, the first at 0; a label at the start of the third, `other` in the fifth.
        let cue = |times: &str, label: &str| format!("WEBVTT\n\n{times}\nactivity: {label} (90 %)\n");
        std::fs::write(path("2.vtt"), cue("00:00:05.000 --> 00:00:08.000", "tea &amp; cake")).unwrap();
        std::fs::write(path("4.vtt"), cue("00:00:05.000 --> 00:00:08.000", "other")).unwrap();
        let names: Vec<(PathBuf, f64)> = (0..6)
            .flat_map(|number| {
                ["mkv", "labelled.mkv", "timeline.jsonl"].map(|kind| (format!("{number}.{kind}"), number))
            })
            .chain([("2.vtt".into(), 2), ("4.vtt".into(), 4)])
            .map(|(name, number)| (path(&name), 600.0 * f64::from(number)))
            .collect();
        let dated: Vec<Dated> = names.iter().map(|(path, start)| Dated { path, start: *start }).collect();
        let worth = Worth::default().select(&dated);
        let videos = |kind: &str| (0..6).filter(|n| worth.contains(&path(&format!("{n}.{kind}")))).collect::<Vec<_>>();
        assert_eq!(videos("mkv"), [1, 2]);
        assert_eq!(videos("labelled.mkv"), [1, 2]);
        assert_eq!(videos("timeline.jsonl"), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_clock_that_was_set_back_and_a_file_that_cannot_be_read_cost_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a.vtt"), "WEBVTT\n\n00:09:00.000 --> 00:09:10.000\nactivity: tea (90 %)\n").unwrap();
        std::fs::create_dir(path("c.vtt")).unwrap();
        // `b` began two minutes after `a` by the clock.
        let files = [
            ("a.mkv", 0.0),
            ("a.vtt", 0.0),
            ("b.mkv", 120.0),
            ("b2.mkv", 9000.0),
            ("b3.mkv", 15_000.0),
            ("c.mkv", 20_000.0),
            ("c.vtt", 20_000.0),
        ];
        let files: Vec<(PathBuf, f64)> = files.map(|(name, start)| (path(name), start)).into();
        let dated: Vec<Dated> = files.iter().map(|(path, start)| Dated { path, start: *start }).collect();
        let worth = Worth::default().select(&dated);
        let kept: Vec<bool> =
            ["a.mkv", "b.mkv", "b2.mkv", "b3.mkv", "c.mkv"].iter().map(|name| worth.contains(&path(name))).collect();
        // By the clock the label is in `b`, and `b3` ends where `c` begins.
        assert_eq!(kept, [true, true, false, true, true]);
    }
}
