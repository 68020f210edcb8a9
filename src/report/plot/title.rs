//! The title: what was found in the input, and when, as far as it fits.

use crate::report::plot::intervals::{Bar, Found};
use crate::report::plot::time_axis::Form;

/// Letters of an input's name. Of a longer one the middle is left out.
const NAME: usize = 40;
/// A run below this length, in seconds, has times with a decimal.
const SHORT: f64 = 10.0;

/// Returns the longest of the title's forms that `fits`: all intervals with their times, the first ones, or their
/// number. `end` is the length of the input in seconds.
pub fn title(
    name: &str,
    action: Option<&str>,
    labels: &[String],
    found: &Found,
    end: f64,
    fits: impl Fn(&str) -> bool,
) -> String {
    let name = shortened(name, NAME);
    let all: u64 = found.counts.iter().sum();
    if all == 0 {
        let nothing = match action {
            Some(action) => format!("no {action}"),
            None if found.rest => "only other".into(),
            None => "no label".into(),
        };
        return format!("{name}: {nothing}");
    }
    let form = Form { decimals: usize::from(end < SHORT), hours: false };
    let listed = |count: usize| {
        let more = all - count as u64;
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        format!("{name}: {}{more}", list(&found.first[..count], labels, form))
    };
    let times = |count: u64| if count == 1 { "once".into() } else { format!("{count} times") };
    let counts = found.counts.iter().zip(labels).filter(|(count, _)| **count > 0);
    let counted: Vec<String> = counts.map(|(&count, label)| format!("{label} {}", times(count))).collect();
    let forms = (1..=found.first.len()).rev().map(listed).chain([format!("{name}: {}", counted.join(", "))]);
    forms.into_iter().find(|form| fits(form)).unwrap_or_else(|| format!("{name}: {all} intervals"))
}

/// Formats bars as `drinking 0:16–0:18, 2:40–2:47, cooking 3:00–4:00`.
fn list(bars: &[Bar], labels: &[String], form: Form) -> String {
    let mut before = None;
    let phrases = bars.iter().map(|bar| {
        let times = format!("{}–{}", form.format(bar.start), form.format(bar.end));
        match before.replace(bar.label) {
            Some(label) if label == bar.label => times,
            _ => format!("{} {times}", labels[bar.label]),
        }
    });
    phrases.collect::<Vec<_>>().join(", ")
}

/// Returns at most `letters` letters of a text, without its middle.
pub fn shortened(text: &str, letters: usize) -> String {
    let all: Vec<char> = text.chars().collect();
    if all.len() <= letters {
        return text.into();
    }
    let end = letters / 2;
    let begin = letters - end - 1;
    all[..begin].iter().chain(&['…']).chain(&all[all.len() - end..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> [String; 3] {
        ["cooking", "drinking", "other"].map(String::from)
    }

    fn found(bars: &[(usize, f64, f64)], more: u64) -> Found {
        let mut counts = vec![0; 3];
        bars.iter().for_each(|&(label, ..)| counts[label] += 1);
        counts[1] += more;
        let first = bars.iter().map(|&(label, start, end)| Bar { label, start, end }).collect();
        Found { first, counts, rest: true }
    }

    #[test]
    fn the_title_says_what_was_found_and_when() {
        let title = |found: &Found, end| title("clip.mp4", None, &labels(), found, end, |_| true);
        assert_eq!(title(&found(&[(1, 16.2, 18.4)], 0), 33.8), "clip.mp4: drinking 0:16–0:18");
        assert_eq!(title(&found(&[(1, 0.2, 1.44)], 0), 2.0), "clip.mp4: drinking 0:00.2–0:01.4");
        let several = found(&[(1, 16.0, 18.0), (1, 160.0, 167.0), (0, 3600.0, 3700.0)], 2);
        let expected = "clip.mp4: drinking 0:16–0:18, 2:40–2:47, cooking 1:00:00–1:01:40, and 2 more";
        assert_eq!(title(&several, 4000.0), expected);
    }

    #[test]
    fn it_says_that_nothing_was_found() {
        let title = |action, rest| {
            title("a.mkv", action, &labels(), &Found { rest, counts: vec![0; 3], ..Found::default() }, 60.0, |_| true)
        };
        assert_eq!(title(None, true), "a.mkv: only other");
        assert_eq!(title(None, false), "a.mkv: no label");
        assert_eq!(title(Some("drinking"), true), "a.mkv: no drinking");
    }

    #[test]
    fn it_is_shortened_to_fit() {
        let several = found(&[(1, 16.0, 18.0), (1, 160.0, 167.0), (1, 200.0, 201.0)], 40);
        let title = |letters: usize| {
            title("clip.mp4", None, &labels(), &several, 600.0, |text| text.chars().count() <= letters)
        };
        assert_eq!(title(60), "clip.mp4: drinking 0:16–0:18, 2:40–2:47, and 41 more");
        assert_eq!(title(45), "clip.mp4: drinking 0:16–0:18, and 42 more");
        assert_eq!(title(40), "clip.mp4: drinking 43 times");
        assert_eq!(title(20), "clip.mp4: 43 intervals");
        assert_eq!(shortened("a-very-long-name.mp4", 12), "a-ver…me.mp4");
    }
}
