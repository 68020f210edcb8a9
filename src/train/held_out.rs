//! Predicts every correction and every kept row once, by an adapter that has not seen it.

use crate::error::{Error, Result};
use crate::shutdown::Shutdown;
use crate::train::adapter::{Lesson, Rows, train};
use crate::train::comparison::Compared;
use crate::train::corrections::{Corrections, Frame};
use crate::train::kept_features::KeptRow;
use crate::train::network::Dense;
use crate::train::parts::deal;

/// What adapters learn from, as tensors and as lists.
pub struct Material<'a> {
    pub corrections: &'a Corrections,
    pub rows: &'a Rows,
    /// Kept features, and their rows.
    pub kept: Option<(&'a [KeptRow], &'a Rows)>,
    /// The adapter of the model in use.
    pub old: Option<&'a Dense>,
}

/// All rows with what the model in use and an adapter that has not seen them say.
pub struct HeldOut {
    pub corrections: Vec<Compared>,
    pub kept: Vec<Compared>,
    /// Each visit's part.
    pub parts: Vec<usize>,
}

impl Material<'_> {
    /// Trains an adapter on everything.
    pub fn adapter(&self) -> Dense {
        self.train(&|_| true, &|_| true)
    }

    /// Deals visits and groups of kept rows into parts, and trains an adapter without each.
    ///
    /// # Errors
    /// `Failed` on a stop.
    pub fn held_out(&self, shutdown: &Shutdown) -> Result<HeldOut> {
        let frames = &self.corrections.frames;
        let parts = deal(&self.corrections.visits());
        let count = parts.iter().max().map_or(0, |last| last + 1).max(2);
        let part_of_row = |row: &KeptRow| row.group as usize % count;
        let kept = self.kept.map_or(&[][..], |(kept, _)| kept);
        let old = self.rows.said(self.old);
        let old_of_kept = self.kept.map(|(_, rows)| rows.said(self.old)).unwrap_or_default();
        let (mut new, mut new_of_kept) = (vec![0; frames.len()], vec![0; kept.len()]);
        for part in 0..count {
            if shutdown.requested() {
                return Err(Error::failed("stopped while adapting").remedy("run the same command again"));
            }
            let frame_is_in = |frame: &Frame| parts[frame.visit] == part;
            let adapter = self.train(&|frame| !frame_is_in(frame), &|row| part_of_row(row) != part);
            let inside: Vec<usize> = (0..frames.len()).filter(|&index| frame_is_in(&frames[index])).collect();
            predict(self.rows, &inside, &adapter, &mut new);
            if let Some((kept, rows)) = self.kept {
                let inside: Vec<usize> = (0..kept.len()).filter(|&index| part_of_row(&kept[index]) == part).collect();
                predict(rows, &inside, &adapter, &mut new_of_kept);
            }
        }
        let correction = |(index, frame): (usize, &Frame)| Compared {
            group: frame.visit,
            label: frame.label,
            old: old[index],
            new: new[index],
        };
        let of_kept = |(index, row): (usize, &KeptRow)| Compared {
            group: row.group as usize,
            label: row.label,
            old: old_of_kept[index],
            new: new_of_kept[index],
        };
        Ok(HeldOut {
            corrections: frames.iter().enumerate().map(correction).collect(),
            kept: kept.iter().enumerate().map(of_kept).collect(),
            parts,
        })
    }

    fn train(&self, learns: &dyn Fn(&Frame) -> bool, keeps: &dyn Fn(&KeptRow) -> bool) -> Dense {
        let chosen: Vec<(i64, i64)> = (0..)
            .zip(&self.corrections.frames)
            .filter(|(_, frame)| learns(frame))
            .map(|(index, frame)| (index, frame.label as i64))
            .collect();
        let (indexes, truth): (Vec<i64>, Vec<i64>) = chosen.into_iter().unzip();
        let corrections = self.rows.select(&indexes);
        let kept = self.kept.map(|(kept, rows)| {
            let indexes: Vec<i64> = (0..).zip(kept).filter(|(_, row)| keeps(row)).map(|(index, _)| index).collect();
            rows.select(&indexes)
        });
        let labels = self.corrections.labels.len();
        train(&Lesson { corrections: &corrections, truth: &truth, kept: kept.as_ref(), labels })
    }
}

fn predict(rows: &Rows, inside: &[usize], adapter: &Dense, said: &mut [usize]) {
    let indexes: Vec<i64> = inside.iter().map(|&index| index as i64).collect();
    for (&index, label) in inside.iter().zip(rows.select(&indexes).said(Some(adapter))) {
        said[index] = label;
    }
}
