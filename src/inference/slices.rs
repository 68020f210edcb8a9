//! A model's accuracy on parts of its test data, from the file's metadata.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// One part of the test data: the pictures of one source, or a part that the training named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    pub name: String,
    pub pictures: usize,
    pub groups: usize,
    pub accuracy: f64,
    /// The accuracy's 95 % interval over groups.
    pub interval: (f64, f64),
    /// Mean confidence; equals the accuracy if confidences are calibrated.
    pub confidence: f64,
    /// Counts for each label.
    pub classes: Vec<Counts>,
}

/// Counts of one label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Pictures with this label.
    pub pictures: usize,
    /// Those of them that the model gave this label.
    pub found: usize,
    /// All pictures that the model gave this label.
    pub named: usize,
}

/// Formats the slices as a table, with the pictures found of each label.
pub fn table(labels: &[String], slices: &[Slice]) -> String {
    let widest = slices.iter().map(|slice| slice.name.chars().count()).max().unwrap_or(0).max(5);
    let mut text = format!(
        "{:<widest$} {:>8} {:>7}  {:<19} {:>10}",
        "slice", "pictures", "groups", "accuracy (95 %)", "confidence"
    );
    for label in labels {
        let _ = write!(text, "  {label:>14.14}");
    }
    for slice in slices {
        let (low, high) = slice.interval;
        let accuracy = format!("{:.3} ({low:.3}–{high:.3})", slice.accuracy);
        let _ = write!(
            text,
            "\n{:<widest$} {:>8} {:>7}  {accuracy:<19} {:>10.3}",
            slice.name, slice.pictures, slice.groups, slice.confidence
        );
        for counts in &slice.classes {
            let found =
                if counts.pictures == 0 { "–".into() } else { format!("{} of {}", counts.found, counts.pictures) };
            let _ = write!(text, "  {found:>14}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_slice_and_a_dash_for_a_label_without_pictures() {
        let counts = |pictures, found, named| Counts { pictures, found, named };
        let slice = Slice {
            name: "in cars".into(),
            pictures: 10,
            groups: 2,
            accuracy: 0.9,
            interval: (0.8, 1.0),
            confidence: 0.91,
            classes: vec![counts(10, 9, 9), counts(0, 0, 1)],
        };
        let text = table(&["sip".into(), "rest".into()], &[slice]);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["in", "cars", "10", "2", "0.900", "(0.800–1.000)", "0.910", "9", "of", "10", "–"]);
        assert!(lines[0].ends_with(&["confidence", "sip", "rest"]));
    }
}
