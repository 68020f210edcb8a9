//! Whether an adapted model is better than the one in use, as a word and as a sentence.

use serde::Serialize;

use crate::system::words::count;
use crate::train::comparison::Comparison;

/// A label's recall on kept rows may fall by up to this share of its rows: the network learned from them, so nearly all
/// are right before, and a few of thousands that change are no reason against a model that is right on the camera.
const TOLERATED: f64 = 0.01;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Better,
    Unproven,
    Worse,
    Unknown,
}

/// What a verdict is made of.
pub struct Evidence<'a> {
    pub labels: &'a [String],
    /// On corrections that neither model has seen.
    pub corrections: &'a Comparison,
    /// On kept rows that the new adapter has not seen.
    pub kept: Option<&'a Comparison>,
    /// Labels that were corrected, each with its number of visits.
    pub corrected: &'a [(usize, usize)],
}

/// Judges the new model.
pub fn judge(evidence: &Evidence) -> (Verdict, String) {
    let Evidence { labels, corrections, kept, corrected } = evidence;
    if corrections.rows == 0 {
        let text =
            "cannot be known: the model in use learned from all of these corrections; make some that it has not seen";
        return (Verdict::Unknown, text.into());
    }
    let few: Vec<&(usize, usize)> = corrected.iter().filter(|(_, visits)| *visits < 2).collect();
    if let Some((label, visits)) = few.first() {
        let others = match few.len() - 1 {
            0 => String::new(),
            more => format!(", and {} like it", count(more as u64, "label")),
        };
        let visits = count(*visits as u64, "visit");
        let text =
            format!("cannot be known: {} was corrected in {visits} only{others}; two are needed", labels[*label]);
        return (Verdict::Unknown, text);
    }
    let (low, high) = (corrections.difference.0.round() as i64, corrections.difference.1.round() as i64);
    let score = format!("{} of {} instead of {}", corrections.new.right, corrections.rows, corrections.old.right);
    if let Some(text) = worse(labels, corrections, "corrections", 0.0) {
        return (Verdict::Worse, text);
    }
    if let Some(text) = kept.and_then(|kept| worse(labels, kept, "kept rows", TOLERATED)) {
        return (Verdict::Worse, text);
    }
    let range = range(low, high);
    if low > 0 {
        (Verdict::Better, format!("better: {score} ({range})"))
    } else if high < 0 {
        (Verdict::Worse, format!("worse: {score} ({range})"))
    } else {
        (Verdict::Unproven, format!("not shown to be better: {score} ({range})"))
    }
}

/// Names the label whose recall fell most, of those whose recall fell for sure: by more than `tolerated` of its rows.
fn worse(labels: &[String], comparison: &Comparison, rows: &str, tolerated: f64) -> Option<String> {
    let share = |label: usize| {
        let ((new, all), (old, _)) = (comparison.new.recall[&label], comparison.old.recall[&label]);
        (new as f64 - old as f64) / all as f64
    };
    let fell = comparison.of_labels.iter().filter(|(label, (_, high))| *high < 0.0 && share(**label) < -tolerated);
    let (&label, _) = fell.min_by(|(a, _), (b, _)| share(**a).total_cmp(&share(**b)))?;
    let ((new, all), (old, _)) = (comparison.new.recall[&label], comparison.old.recall[&label]);
    Some(format!("worse on {}: {new} of {all} {rows} instead of {old}", labels[label]))
}

fn range(low: i64, high: i64) -> String {
    let side = |number: i64| format!("{} {}", number.abs(), if number < 0 { "fewer" } else { "more" });
    match (low, high) {
        (0, 0) => "no difference".into(),
        (low, high) if low == high => format!("{} in every resampling", side(low)),
        (low, high) if low < 0 && high > 0 => format!("between {} and {}", side(low), side(high)),
        (low, high) if high <= 0 => format!("between {} and {} fewer", high.abs(), low.abs()),
        (low, high) => format!("between {low} and {high} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::comparison::Compared;

    fn labels() -> Vec<String> {
        ["cooking", "drinking", "other"].map(String::from).to_vec()
    }

    /// Rows of groups: label, rows, and those right with the old and with the new model.
    fn comparison(groups: &[(usize, usize, usize, usize)]) -> Comparison {
        let rows = groups.iter().enumerate().flat_map(|(group, &(label, all, old, new))| {
            let said = move |row: usize, right: usize| if row < right { label } else { (label + 1) % 3 };
            (0..all).map(move |row| Compared { group, label, old: said(row, old), new: said(row, new) })
        });
        Comparison::of(&rows.collect::<Vec<_>>())
    }

    fn verdict(corrections: &Comparison, kept: Option<&Comparison>, corrected: &[(usize, usize)]) -> (Verdict, String) {
        judge(&Evidence { labels: &labels(), corrections, kept, corrected })
    }

    #[test]
    fn a_model_that_is_better_in_every_visit_is_better() {
        let found = comparison(&[(1, 20, 10, 18), (1, 20, 14, 19), (1, 24, 20, 24)]);
        let text = "better: 61 of 64 instead of 44 (between 11 and 26 more)";
        assert_eq!(verdict(&found, None, &[(1, 3)]), (Verdict::Better, text.into()));
    }

    #[test]
    fn a_model_that_is_better_in_some_visits_only_is_not_shown_to_be_better() {
        let found = comparison(&[(1, 20, 10, 18), (1, 20, 14, 12)]);
        let text = "not shown to be better: 30 of 40 instead of 24 (between 4 fewer and 16 more)";
        assert_eq!(verdict(&found, None, &[(1, 2)]), (Verdict::Unproven, text.into()));
        let same = comparison(&[(1, 20, 20, 20), (0, 20, 20, 20)]);
        let text = "not shown to be better: 40 of 40 instead of 40 (no difference)";
        assert_eq!(verdict(&same, None, &[]), (Verdict::Unproven, text.into()));
    }

    #[test]
    fn a_label_that_is_lost_makes_it_worse() {
        let better = comparison(&[(1, 20, 10, 18), (1, 20, 14, 19)]);
        let kept = comparison(&[(0, 50, 46, 40), (0, 50, 46, 40), (2, 100, 100, 100)]);
        let text = "worse on cooking: 80 of 100 kept rows instead of 92";
        assert_eq!(verdict(&better, Some(&kept), &[(1, 2)]), (Verdict::Worse, text.into()));
        let found = comparison(&[(1, 20, 10, 20), (1, 20, 10, 20), (2, 10, 10, 8), (2, 10, 9, 7)]);
        let text = "worse on other: 15 of 20 corrections instead of 19";
        assert_eq!(verdict(&found, None, &[(1, 2)]), (Verdict::Worse, text.into()));
        let found = comparison(&[(1, 20, 18, 10), (2, 20, 14, 15), (1, 20, 18, 12)]);
        let text = "worse on drinking: 22 of 40 corrections instead of 36";
        assert_eq!(verdict(&found, None, &[(1, 2), (2, 2)]), (Verdict::Worse, text.into()));
    }

    #[test]
    fn a_hundredth_of_the_kept_rows_may_change() {
        let better = comparison(&[(1, 20, 10, 18), (1, 20, 14, 19)]);
        let groups: Vec<_> = (0..100).map(|group| (0, 10, 10, if group < 10 { 9 } else { 10 })).collect();
        assert_eq!(verdict(&better, Some(&comparison(&groups)), &[(1, 2)]).0, Verdict::Better);
        let groups: Vec<_> = (0..100).map(|group| (0, 10, 10, if group < 11 { 9 } else { 10 })).collect();
        let text = "worse on cooking: 989 of 1000 kept rows instead of 1000";
        assert_eq!(verdict(&better, Some(&comparison(&groups)), &[(1, 2)]), (Verdict::Worse, text.into()));
    }

    #[test]
    fn a_label_of_one_visit_cannot_be_known() {
        let better = comparison(&[(1, 20, 10, 18), (1, 20, 14, 19), (2, 5, 0, 5)]);
        let text = "cannot be known: other was corrected in 1 visit only; two are needed";
        assert_eq!(verdict(&better, None, &[(1, 2), (2, 1)]), (Verdict::Unknown, text.into()));
        let text = "cannot be known: drinking was corrected in 1 visit only, and 1 label like it; two are needed";
        assert_eq!(verdict(&better, None, &[(1, 1), (2, 1)]), (Verdict::Unknown, text.into()));
        let nothing = comparison(&[]);
        let (found, text) = verdict(&nothing, None, &[]);
        assert_eq!((found, text.starts_with("cannot be known: the model in use learned")), (Verdict::Unknown, true));
    }
}
