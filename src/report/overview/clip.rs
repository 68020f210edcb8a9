//! A clip's row in the overview.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::labels::{REST, palette};
use crate::report::journal::IntervalRecord;
use crate::report::overview::escaped;
use crate::report::overview::link::link;
use crate::report::overview::ribbon::{Bar, Ribbon};
use crate::system::words::{clock, count, stretch};

/// Labels of a clip, and times of a label, that a row lists.
const MAX_LABELS: usize = 8;
const MAX_TIMES: usize = 8;

/// What was found in a clip, in bounded memory.
pub struct Clip {
    labels: Vec<String>,
    ribbon: Ribbon,
    /// For each label.
    found: Vec<Found>,
    /// In order of time.
    thumbnails: Vec<Thumbnail>,
    /// End of the last frame, in milliseconds.
    pub duration: f64,
}

/// The intervals of a label: how many, their time in milliseconds, and the first ones.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub intervals: u64,
    pub time: f64,
    first: Vec<Bar>,
}

/// A small picture of an interval.
#[derive(Clone, Debug)]
pub struct Thumbnail {
    pub label: usize,
    /// Time of the picture, in milliseconds.
    pub ms: f64,
    pub confidence: f64,
    pub jpeg: Vec<u8>,
}

/// How a clip ended.
pub enum End<'a> {
    Done,
    Stopped,
    Failed(&'a str),
}

/// A clip's files: the clip, and what was made of it.
pub struct Files<'a> {
    pub name: &'a str,
    /// Absolute.
    pub clip: PathBuf,
    /// What they are, and where: absolute paths of files that exist.
    pub made: Vec<(&'static str, PathBuf)>,
}

impl Clip {
    pub fn new(labels: &[String]) -> Self {
        Self {
            labels: labels.to_vec(),
            ribbon: Ribbon::new(labels),
            found: vec![Found::default(); labels.len()],
            thumbnails: Vec::new(),
            duration: 0.0,
        }
    }

    /// Adds an interval that has ended.
    pub fn add(&mut self, interval: &IntervalRecord) {
        let Some(label) = self.labels.iter().position(|label| *label == interval.label) else { return };
        let (start, end) = interval.activity();
        self.duration = self.duration.max(end);
        // The ribbon has the same edges as the times below it: those of the activity.
        let bar = Bar { label, start, end, peak: interval.peak };
        let found = &mut self.found[label];
        found.intervals += 1;
        found.time += end - start;
        if found.first.len() < MAX_TIMES {
            found.first.push(bar.clone());
        }
        self.ribbon.add(bar);
    }

    /// Returns the confidence that a thumbnail of `label` must exceed to be among the best `most`; `None` for a label whose
    /// pictures are not shown: `other`, where something else was found.
    pub fn least_confidence(&self, label: usize, most: usize) -> Option<f64> {
        if self.labels[label] == REST && !self.thumbnails.is_empty() || most == 0 {
            return None;
        }
        let full = self.thumbnails.len() >= most;
        let least = self.thumbnails.iter().map(|thumbnail| thumbnail.confidence).fold(f64::INFINITY, f64::min);
        Some(if full && !self.shows_rest() { least } else { 0.0 })
    }

    /// Adds a thumbnail, and keeps the `most` of the highest confidence.
    pub fn add_thumbnail(&mut self, thumbnail: Thumbnail, most: usize) {
        if self.shows_rest() {
            self.thumbnails.clear();
        }
        self.thumbnails.push(thumbnail);
        if self.thumbnails.len() > most {
            let confidence = |&index: &usize| self.thumbnails[index].confidence;
            let least = (0..self.thumbnails.len()).min_by(|a, b| confidence(a).total_cmp(&confidence(b)));
            least.map(|index| self.thumbnails.remove(index));
        }
    }

    /// Returns whether its only thumbnail is of `other`.
    fn shows_rest(&self) -> bool {
        matches!(self.thumbnails.as_slice(), [only] if self.labels[only.label] == REST)
    }

    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// Returns the row, in a single line of HTML, for a page in `folder`. `key` names the run that it is from.
    pub fn row(&self, files: &Files, end: &End, folder: &Path, key: &str) -> String {
        let url = link(&files.clip, folder);
        let mut row = format!(
            "<article class=clip data-key=\"{}\" data-find=\"{}\"><header><h2><a href=\"{url}\">{}</a></h2>",
            escaped(key),
            self.words(files, end),
            escaped(files.name)
        );
        row.push_str("<p>");
        let duration = (self.duration > 0.0).then(|| clock(milliseconds(self.duration)));
        let made = files.made.iter().map(|(what, path)| format!("<a href=\"{}\">{what}</a>", link(path, folder)));
        row.push_str(&duration.into_iter().chain(made).collect::<Vec<_>>().join(" · "));
        row.push_str("</p></header>");
        match end {
            End::Done => {}
            End::Stopped => row.push_str("<p class=stopped>Stopped before its end</p>"),
            End::Failed(error) => {
                let _ = write!(row, "<p class=failed>{}</p>", escaped(error));
            }
        }
        if self.duration > 0.0 {
            self.write_ribbon(&mut row);
            self.write_found(&mut row, &url);
        }
        if !self.thumbnails.is_empty() {
            self.write_thumbnails(&mut row, &url);
        }
        row.push_str("</article>\n");
        row
    }

    /// What the filter looks in: the name, the labels, how it ended.
    fn words(&self, files: &Files, end: &End) -> String {
        let found = self.labels.iter().zip(&self.found).filter(|(_, found)| found.intervals > 0);
        let state = match end {
            End::Done => "",
            End::Stopped => "stopped",
            End::Failed(_) => "failed",
        };
        let words: Vec<&str> =
            [files.name].into_iter().chain(found.map(|(label, _)| label.as_str())).chain([state]).collect();
        escaped(&words.join(" ").to_lowercase())
    }

    fn write_ribbon(&self, row: &mut String) {
        row.push_str("<div class=ribbon aria-hidden=true>");
        for bar in self.ribbon.bars() {
            let share = |ms: f64| 100.0 * ms / self.duration;
            let _ = write!(
                row,
                "<i class={} style=\"left:{:.2}%;width:{:.2}%\" title=\"{} {}\"></i>",
                self.class(bar.label),
                share(bar.start),
                share(bar.end - bar.start),
                escaped(&self.labels[bar.label]),
                time(bar),
            );
        }
        let end = clock(milliseconds(self.duration));
        let _ = write!(row, "</div><div class=axis aria-hidden=true><span>0:00</span><span>{end}</span></div>");
    }

    fn write_found(&self, row: &mut String, url: &str) {
        let mut found: Vec<usize> = (0..self.labels.len())
            .filter(|&label| self.found[label].intervals > 0 && self.labels[label] != REST)
            .collect();
        found.sort_by(|&a, &b| self.found[b].time.total_cmp(&self.found[a].time));
        if found.is_empty() {
            let rest = self.labels.iter().zip(&self.found).any(|(_, found)| found.intervals > 0);
            row.push_str(if rest { "<p class=none>only other</p>" } else { "<p class=none>nothing found</p>" });
            return;
        }
        row.push_str("<ul class=found>");
        for &label in found.iter().take(MAX_LABELS) {
            let _ = write!(row, "<li><b class={}>{}</b>", self.class(label), escaped(&self.labels[label]));
            let Found { intervals, first, .. } = &self.found[label];
            for bar in first {
                let _ = write!(
                    row,
                    " <a href=\"{url}{}\">{} <small>{:.0} %</small></a>",
                    fragment(bar.start),
                    time(bar),
                    100.0 * bar.peak
                );
            }
            match intervals - first.len() as u64 {
                0 => {}
                more => {
                    let _ = write!(row, " <span>and {more} more</span>");
                }
            }
            row.push_str("</li>");
        }
        if found.len() > MAX_LABELS {
            let more = count((found.len() - MAX_LABELS) as u64, "more label");
            let _ = write!(row, "<li><span>and {more}</span></li>");
        }
        row.push_str("</ul>");
    }

    fn write_thumbnails(&self, row: &mut String, url: &str) {
        row.push_str("<div class=shots>");
        for Thumbnail { label, ms, confidence, jpeg } in &self.thumbnails {
            let (name, at) = (escaped(&self.labels[*label]), clock(milliseconds(*ms)));
            let _ = write!(
                row,
                "<a class={} href=\"{url}{}\"><img alt=\"{name} at {at}\" loading=lazy decoding=async \
                 src=\"data:image/jpeg;base64,{}\"><span>{at} <small>{:.0} %</small></span></a>",
                self.class(*label),
                fragment(*ms),
                BASE64_STANDARD.encode(jpeg),
                100.0 * confidence
            );
        }
        row.push_str("</div>");
    }

    fn class(&self, label: usize) -> String {
        class(&self.labels, label)
    }
}

/// Returns the class of a label's colour.
pub fn class(labels: &[String], label: usize) -> String {
    palette::index(labels, label).map_or("rest".into(), |index| format!("l{index}"))
}

fn time(bar: &Bar) -> String {
    stretch(milliseconds(bar.start), milliseconds(bar.end))
}

/// Returns the fragment of a URL that starts a video there.
fn fragment(ms: f64) -> String {
    format!("#t={:.2}", ms / 1000.0)
}

fn milliseconds(ms: f64) -> Duration {
    Duration::from_secs_f64(ms.max(0.0) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<String> {
        ["cooking", "<b>drinking", "other"].map(Into::into).to_vec()
    }

    fn interval(label: &str, start: f64, end: f64) -> IntervalRecord {
        IntervalRecord {
            label: label.into(),
            start,
            end,
            mean: 0.5,
            peak: 0.994,
            onset: None,
            offset: None,
            pictures: Vec::new(),
        }
    }

    #[test]
    fn ribbon_and_times_have_the_edges_of_the_activity() {
        let mut clip = Clip::new(&labels());
        // As a trailing window shows them, 1.2 s late.
        for (label, start, end, onset, offset) in [
            ("other", 0.0, 5200.0, None, Some(4000.0)),
            ("cooking", 5200.0, 7200.0, Some(4000.0), Some(6000.0)),
            ("other", 7200.0, 8000.0, Some(6000.0), None),
        ] {
            clip.add(&IntervalRecord { onset, offset, ..interval(label, start, end) });
        }
        let files = Files { name: "a.mp4", clip: "/c/a.mp4".into(), made: Vec::new() };
        let row = clip.row(&files, &End::Done, Path::new("/r"), "k");
        for part in [
            "<i class=rest style=\"left:0.00%;width:50.00%\" title=\"other 0:00–0:04\"></i>",
            "<i class=l0 style=\"left:50.00%;width:25.00%\" title=\"cooking 0:04–0:06\"></i>",
            "<i class=rest style=\"left:75.00%;width:25.00%\" title=\"other 0:06–0:08\"></i>",
            "#t=4.00\">0:04–0:06 <small>",
        ] {
            assert!(row.contains(part), "{part}\n{row}");
        }
    }

    fn thumbnail(label: usize, confidence: f64) -> Thumbnail {
        Thumbnail { label, ms: 1000.0 * confidence, confidence, jpeg: vec![0xff, 0xd8] }
    }

    #[test]
    fn a_row_says_what_was_found_and_escapes_everything() {
        let mut clip = Clip::new(&labels());
        clip.add(&interval("other", 0.0, 16_200.0));
        clip.add(&interval("<b>drinking", 16_200.0, 18_680.0));
        clip.duration = 32_400.0;
        clip.add_thumbnail(thumbnail(1, 0.5), 6);
        let made = vec![("plot", PathBuf::from("/r/a.plot.png"))];
        let files = Files { name: "\"x\" & <y>.mp4", clip: "/c/\"x\" & <y>.mp4".into(), made };
        let row = clip.row(&files, &End::Failed("<no>"), Path::new("/r"), "k");
        let url = "file:///c/%22x%22%20%26%20%3Cy%3E.mp4";
        for part in [
            &format!("<a href=\"{url}\">&quot;x&quot; &amp; &lt;y&gt;.mp4</a>"),
            "data-find=\"&quot;x&quot; &amp; &lt;y&gt;.mp4 &lt;b&gt;drinking other failed\"",
            "<p>0:32 · <a href=\"a.plot.png\">plot</a></p>",
            "<p class=failed>&lt;no&gt;</p>",
            "<i class=rest style=\"left:0.00%;width:50.00%\" title=\"other 0:00–0:16\"></i>",
            "<i class=l1 style=\"left:50.00%;width:7.65%\" title=\"&lt;b&gt;drinking 0:16–0:18\"></i>",
            &format!("<b class=l1>&lt;b&gt;drinking</b> <a href=\"{url}#t=16.20\">0:16–0:18 <small>99 %</small></a>"),
            "src=\"data:image/jpeg;base64,/9g=\"",
        ] {
            assert!(row.contains(part), "{part}\n{row}");
        }
        assert_eq!(row.matches('\n').count(), 1);
    }

    #[test]
    fn the_best_thumbnails_are_kept_and_other_only_where_nothing_else_is() {
        let mut clip = Clip::new(&labels());
        clip.add_thumbnail(thumbnail(2, 0.9), 2);
        assert_eq!((clip.least_confidence(2, 2), clip.least_confidence(1, 2)), (None, Some(0.0)));
        for confidence in [0.5, 0.8, 0.7] {
            clip.add_thumbnail(thumbnail(1, confidence), 2);
        }
        let kept: Vec<f64> = clip.thumbnails.iter().map(|thumbnail| thumbnail.confidence).collect();
        assert_eq!(kept, [0.8, 0.7]);
        assert_eq!((clip.least_confidence(1, 2), clip.least_confidence(2, 2)), (Some(0.7), None));
        assert_eq!(clip.least_confidence(1, 0), None);
    }
}
