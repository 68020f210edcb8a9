//! Metrics of a model: those of scikit-learn's classification report, with confidence intervals.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::inference::slices::{Counts, Slice};
use crate::system::words::count;
use crate::train::bootstrap;
use crate::train::calibration::{MIN_GROUPS, too_few};

/// Bins of the calibration error.
const BINS: usize = 15;

/// A model's probabilities for a picture with a known class.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Prediction {
    pub name: String,
    pub group: String,
    pub class: usize,
    pub probabilities: Vec<f64>,
}

impl Prediction {
    /// Returns the most probable class; the first of equal ones.
    pub fn label(&self) -> usize {
        let better = |best: usize, next: usize| {
            if self.probabilities[next] > self.probabilities[best] { next } else { best }
        };
        (0..self.probabilities.len()).reduce(better).unwrap_or(0)
    }
}

/// Counts by truth and prediction: `confusion[truth][label]`.
pub type Confusion = Vec<Vec<usize>>;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClassMetrics {
    pub label: String,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
    /// Number of pictures of this class.
    pub support: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Metrics {
    pub pictures: usize,
    pub groups: usize,
    pub accuracy: f64,
    /// The 95 % interval, from resampling the groups.
    pub accuracy_interval: (f64, f64),
    pub macro_f1: f64,
    pub macro_f1_interval: (f64, f64),
    pub log_loss: f64,
    /// Mean distance between confidence and accuracy, in 15 bins of confidence.
    pub calibration_error: f64,
    pub classes: Vec<ClassMetrics>,
    pub recall_intervals: Vec<(f64, f64)>,
    pub confusion: Confusion,
}

impl Metrics {
    pub fn of(labels: &[String], predictions: &[Prediction]) -> Self {
        let mut groups: BTreeMap<&str, Confusion> = BTreeMap::new();
        let empty = || vec![vec![0; labels.len()]; labels.len()];
        for prediction in predictions {
            groups.entry(&prediction.group).or_insert_with(empty)[prediction.class][prediction.label()] += 1;
        }
        let groups: Vec<Confusion> = groups.into_values().collect();
        let confusion = groups.iter().fold(empty(), add);
        let classes: Vec<ClassMetrics> =
            (0..labels.len()).map(|class| of_class(&labels[class], &confusion, class)).collect();
        Self {
            pictures: predictions.len(),
            groups: groups.len(),
            accuracy: accuracy(&confusion),
            accuracy_interval: interval(&groups, accuracy),
            macro_f1: macro_f1(&confusion),
            macro_f1_interval: interval(&groups, macro_f1),
            log_loss: log_loss(predictions),
            calibration_error: calibration_error(predictions),
            recall_intervals: (0..labels.len()).map(|class| interval(&groups, |c| recall(c, class))).collect(),
            classes,
            confusion,
        }
    }

    /// Formats the report in scikit-learn's layout, then intervals and the confusion matrix.
    pub fn report(&self) -> String {
        let mut text = format!("{:>16} {:>9} {:>9} {:>9} {:>9}\n\n", "", "precision", "recall", "f1-score", "support");
        let mut line = |name: &str, numbers: [f64; 3], support: usize| {
            let [precision, recall, f1] = numbers;
            let _ = writeln!(text, "{name:>16} {precision:>9.3} {recall:>9.3} {f1:>9.3} {support:>9}");
        };
        for class in &self.classes {
            line(&class.label, [class.precision, class.recall, class.f1], class.support);
        }
        let mean = |weight: &dyn Fn(&ClassMetrics) -> f64| {
            let total: f64 = self.classes.iter().map(weight).sum::<f64>().max(f64::MIN_POSITIVE);
            let of = |value: fn(&ClassMetrics) -> f64| {
                self.classes.iter().map(|class| weight(class) * value(class)).sum::<f64>() / total
            };
            [of(|class| class.precision), of(|class| class.recall), of(|class| class.f1)]
        };
        line("macro avg", mean(&|_| 1.0), self.pictures);
        line("weighted avg", mean(&|class| class.support as f64), self.pictures);
        let _ = writeln!(
            text,
            "\n{} in {}; 95 % intervals over groups",
            count(self.pictures as u64, "picture"),
            count(self.groups as u64, "group")
        );
        let mut interval_line = |name: &str, value: f64, (low, high): (f64, f64)| {
            let _ = writeln!(text, "{name:>16} {value:.3} ({low:.3}–{high:.3})");
        };
        interval_line("accuracy", self.accuracy, self.accuracy_interval);
        interval_line("macro F1", self.macro_f1, self.macro_f1_interval);
        for (class, &interval) in self.classes.iter().zip(&self.recall_intervals) {
            interval_line(&format!("recall {}", class.label), class.recall, interval);
        }
        let calibration = match self.groups {
            few if few < MIN_GROUPS => too_few(few),
            _ => format!("{:.3}", self.calibration_error),
        };
        let _ = writeln!(text, "{:>16} {:.3}\n{:>16} {calibration}", "log loss", self.log_loss, "calibration err.");
        // Names do not touch each other.
        let longest = self.classes.iter().map(|class| class.label.chars().count()).max().unwrap_or(0);
        let width = longest.clamp(8, 16) + 1;
        let names: String = self.classes.iter().map(|class| format!("{:>width$.16}", class.label)).collect();
        let _ = writeln!(text, "\nconfusion matrix (rows: true class)\n{:>16} {names}", "");
        for (class, row) in self.classes.iter().zip(&self.confusion) {
            let cells: String = row.iter().map(|count| format!("{count:>width$}")).collect();
            let _ = writeln!(text, "{:>16} {cells}", class.label);
        }
        text
    }
}

/// Computes the slice `name` of these predictions; `None` if there are none.
pub fn slice(labels: &[String], name: &str, predictions: &[&Prediction]) -> Option<Slice> {
    let predictions: Vec<Prediction> = predictions.iter().map(|&prediction| prediction.clone()).collect();
    if predictions.is_empty() {
        return None;
    }
    let metrics = Metrics::of(labels, &predictions);
    let likeliest = |prediction: &Prediction| prediction.probabilities[prediction.label()];
    let counts = |class: usize| Counts {
        pictures: metrics.confusion[class].iter().sum(),
        found: metrics.confusion[class][class],
        named: metrics.confusion.iter().map(|row| row[class]).sum(),
    };
    Some(Slice {
        name: name.into(),
        pictures: metrics.pictures,
        groups: metrics.groups,
        accuracy: metrics.accuracy,
        interval: metrics.accuracy_interval,
        confidence: predictions.iter().map(likeliest).sum::<f64>() / predictions.len() as f64,
        classes: (0..labels.len()).map(counts).collect(),
    })
}

/// Returns each group's number of pictures and of mistakes, most mistakes first.
pub fn by_group(predictions: &[Prediction]) -> Vec<(String, usize, usize)> {
    let mut groups: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for prediction in predictions {
        let (all, wrong) = groups.entry(&prediction.group).or_default();
        *all += 1;
        *wrong += usize::from(prediction.label() != prediction.class);
    }
    let mut lines: Vec<_> = groups.into_iter().map(|(group, (all, wrong))| (group.to_string(), all, wrong)).collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.2));
    lines
}

/// Returns the number of groups.
pub fn count_groups(predictions: &[Prediction]) -> usize {
    predictions.iter().map(|prediction| prediction.group.as_str()).collect::<BTreeSet<_>>().len()
}

fn add(mut sum: Confusion, group: &Confusion) -> Confusion {
    for (sum, row) in sum.iter_mut().zip(group) {
        for (sum, count) in sum.iter_mut().zip(row) {
            *sum += count;
        }
    }
    sum
}

/// Divides; returns zero for a zero denominator, as scikit-learn does.
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

pub fn accuracy(confusion: &Confusion) -> f64 {
    let right = (0..confusion.len()).map(|class| confusion[class][class]).sum();
    share(right, confusion.iter().flatten().sum())
}

fn recall(confusion: &Confusion, class: usize) -> f64 {
    share(confusion[class][class], confusion[class].iter().sum())
}

fn of_class(label: &str, confusion: &Confusion, class: usize) -> ClassMetrics {
    let (right, support) = (confusion[class][class], confusion[class].iter().sum());
    let named: usize = confusion.iter().map(|row| row[class]).sum();
    ClassMetrics {
        label: label.into(),
        precision: share(right, named),
        recall: share(right, support),
        f1: share(2 * right, named + support),
        support,
    }
}

/// Returns the mean F1 of all classes that occur in the truth or in the predictions.
pub fn macro_f1(confusion: &Confusion) -> f64 {
    let scores: Vec<f64> = (0..confusion.len())
        .filter_map(|class| {
            let of = of_class("", confusion, class);
            let named: usize = confusion.iter().map(|row| row[class]).sum();
            (of.support + named > 0).then_some(of.f1)
        })
        .collect();
    scores.iter().sum::<f64>() / scores.len().max(1) as f64
}

/// Returns the mean of `-ln p` of the true class.
pub fn log_loss(predictions: &[Prediction]) -> f64 {
    let each = predictions.iter().map(|prediction| -prediction.probabilities[prediction.class].max(1e-15).ln());
    each.sum::<f64>() / predictions.len().max(1) as f64
}

/// Returns the expected calibration error (Guo et al. 2017) with bins of equal width.
fn calibration_error(predictions: &[Prediction]) -> f64 {
    let mut bins = [(0.0, 0.0); BINS];
    for prediction in predictions {
        let label = prediction.label();
        let confidence = prediction.probabilities[label];
        let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
        bin.0 += confidence;
        bin.1 += f64::from(u8::from(label == prediction.class));
    }
    bins.iter().map(|(confidence, right)| (confidence - right).abs()).sum::<f64>() / predictions.len().max(1) as f64
}

/// Returns the 95 % interval of a statistic by resampling the groups with replacement (percentile bootstrap).
pub fn interval(groups: &[Confusion], statistic: impl Fn(&Confusion) -> f64) -> (f64, f64) {
    let Some(first) = groups.first() else { return (0.0, 1.0) };
    let sum = |drawn: Vec<usize>| {
        let empty = vec![vec![0; first.len()]; first.len()];
        statistic(&drawn.into_iter().fold(empty, |sum, group| add(sum, &groups[group])))
    };
    bootstrap::middle(bootstrap::draws(groups.len()).map(sum).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(pairs: &[(usize, usize)]) -> Vec<Prediction> {
        pairs
            .iter()
            .enumerate()
            .map(|(i, &(class, label))| Prediction {
                name: format!("{i}"),
                group: format!("g{}", i % 3),
                class,
                probabilities: (0..3).map(|c| if c == label { 0.8 } else { 0.1 }).collect(),
            })
            .collect()
    }

    #[test]
    fn metrics_equal_scikit_learn() {
        // sklearn.metrics.classification_report([0,0,0,1,1,2], [0,0,1,1,0,1], zero_division=0, digits=6)
        let labels = ["a", "b", "c"].map(String::from);
        let metrics = Metrics::of(&labels, &predictions(&[(0, 0), (0, 0), (0, 1), (1, 1), (1, 0), (2, 1)]));
        let found: Vec<_> = metrics.classes.iter().map(|c| (c.precision, c.recall, c.f1, c.support)).collect();
        let third = 1.0 / 3.0;
        assert_eq!(found, [(2.0 * third, 2.0 * third, 2.0 * third, 3), (third, 0.5, 0.4, 2), (0.0, 0.0, 0.0, 1)]);
        assert_eq!(metrics.accuracy, 0.5);
        assert!((metrics.macro_f1 - (2.0 * third + 0.4) / 3.0).abs() < 1e-12);
        assert_eq!(metrics.confusion, [[2, 1, 0], [1, 1, 0], [0, 1, 0]]);
        // Confidence 0.8, correct half of the time.
        assert!((metrics.calibration_error - 0.3).abs() < 1e-12);
        assert!((metrics.log_loss - (-(0.8f64.ln() + 0.1f64.ln()) / 2.0)).abs() < 1e-12);
    }

    #[test]
    fn a_calibration_error_needs_ten_groups() {
        let labels = ["a", "b", "c"].map(String::from);
        let mut all = predictions(&[(0, 0); 10]);
        assert!(Metrics::of(&labels, &all).report().contains("calibration err. too few groups to say (3, at least 10"));
        all.iter_mut().enumerate().for_each(|(i, prediction)| prediction.group = i.to_string());
        assert!(Metrics::of(&labels, &all).report().contains("calibration err. 0.200\n"));
    }

    #[test]
    fn intervals_resample_the_groups() {
        let all_right = vec![vec![vec![5, 0], vec![0, 5]]; 4];
        assert_eq!(interval(&all_right, accuracy), (1.0, 1.0));
        // One of four groups is entirely wrong.
        let mut one_wrong = all_right;
        one_wrong[0] = vec![vec![0, 5], vec![5, 0]];
        let (low, high) = interval(&one_wrong, accuracy);
        assert_eq!((low, high), (0.25, 1.0));
        assert_eq!((low, high), interval(&one_wrong, accuracy));
    }

    #[test]
    fn names_of_the_confusion_matrix_do_not_touch() {
        let labels = ["brushing_teeth", "other"].map(String::from);
        let prediction = |class: usize| Prediction {
            name: String::new(),
            group: class.to_string(),
            class,
            probabilities: vec![0.25, 0.75],
        };
        let report = Metrics::of(&labels, &[prediction(0), prediction(1)]).report();
        let matrix: Vec<&str> = report.lines().skip_while(|line| !line.starts_with("confusion")).skip(1).collect();
        let expected = [
            "                  brushing_teeth          other",
            "  brushing_teeth               0              1",
            "           other               0              1",
        ];
        assert_eq!(matrix, expected);
    }
}
