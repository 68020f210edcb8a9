//! The report of `adapt`, as text and as JSON.

use serde_json::{Map, Value, json};

use crate::inference::model::Model;
use crate::system::utc;
use crate::system::words::count;
use crate::train::comparison::{Comparison, Score};
use crate::train::verdict::Verdict;

/// Labels in the text; others are only in the JSON.
const SHOWN: usize = 20;

pub struct AdaptReport<'a> {
    pub verdict: Verdict,
    /// The verdict in words.
    pub text: String,
    /// The model in use.
    pub model: &'a Model,
    /// SHA-256 of the file that was first adapted.
    pub base: &'a str,
    pub labels: &'a [String],
    /// Number of labels that the model in use lacks, at the end of the labels.
    pub new_labels: usize,
    /// Changes of label an hour of the old and the new model.
    pub changes: [Option<f64>; 2],
    /// Visits that are not compared, because the model in use learned from them.
    pub learned_visits: usize,
    pub corrections: Comparison,
    pub kept: Option<Comparison>,
}

impl AdaptReport<'_> {
    /// Formats tables of both comparisons, and the verdict.
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        if self.learned_visits > 0 {
            let visits = count(self.learned_visits as u64, "visit");
            parts.push(format!("not compared: {visits} that {} learned from", self.model.name));
        }
        if self.corrections.rows > 0 {
            let visits = count(self.corrections.groups as u64, "visit");
            let mut table = self.table(&format!("corrections, {visits} held out in turn"), &self.corrections);
            if let [Some(old), Some(new)] = self.changes {
                table.push_str(&format!("\n  {:<24}{old:>14.1}{new:>14.1}", "changes of label an hour"));
            }
            parts.push(table);
        }
        if let Some(kept) = &self.kept {
            parts.push(self.table("kept rows, groups held out in turn", kept));
        }
        parts.push(self.text.clone());
        format!("\n{}", parts.join("\n\n"))
    }

    fn table(&self, title: &str, comparison: &Comparison) -> String {
        let mut lines = vec![format!("{title:<42.42}{:>8}{:>14}", "now", "adapted")];
        let mut line = |name: &str, all: usize, old: usize, new: usize| {
            lines.push(format!("  {name:<24.24}{:>14}{:>14}", format!("{old} of {all}"), format!("{new} of {all}")));
        };
        line("right", comparison.rows, comparison.old.right, comparison.new.right);
        for (&label, &(old, all)) in comparison.old.recall.iter().take(SHOWN) {
            line(&self.labels[label], all, old, comparison.new.recall[&label].0);
        }
        lines.join("\n")
    }

    pub fn json(&self) -> Value {
        let new_labels = &self.labels[self.labels.len() - self.new_labels..];
        let [old, new] = self.changes;
        let of_corrections = |score: &Score, changes: Option<f64>| {
            let mut value = self.score(score);
            let accuracy = score.right as f64 / self.corrections.rows.max(1) as f64;
            value.insert("accuracy".into(), json!(accuracy));
            value.insert("changes_per_hour".into(), json!(changes));
            value
        };
        json!({
            "verdict": self.verdict,
            "text": self.text,
            "model": self.model.sha256,
            "base": self.base,
            "made": utc::milliseconds(utc::now()),
            "labels": self.labels,
            "new_labels": new_labels,
            "corrections": {
                "frames": self.corrections.rows,
                "visits": self.corrections.groups,
                "old": of_corrections(&self.corrections.old, old),
                "new": of_corrections(&self.corrections.new, new),
                "difference": difference(&self.corrections),
            },
            "kept": self.kept.as_ref().map(|kept| json!({
                "rows": kept.rows,
                "old": self.score(&kept.old),
                "new": self.score(&kept.new),
                "difference": difference(kept),
            })),
        })
    }

    fn score(&self, score: &Score) -> Map<String, Value> {
        let recall =
            score.recall.iter().map(|(&label, &(right, all))| (self.labels[label].clone(), json!([right, all])));
        let recall: Map<String, Value> = recall.collect();
        Map::from_iter([("right".into(), json!(score.right)), ("recall".into(), Value::Object(recall))])
    }
}

fn difference(comparison: &Comparison) -> Value {
    let (low, high) = comparison.difference;
    json!({"low": low.round() as i64, "high": high.round() as i64})
}
