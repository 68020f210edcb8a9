//! Reports a training on the terminal: a bar, or a line every few seconds where stderr is no terminal, and a line for
//! each epoch.

use std::cell::{Cell, RefCell};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::train::features::Extraction;
use crate::train::fit::Reporter;
use crate::train::pace::{Pace, clock, speed, thousands};
use crate::train::state::EpochRecord;

/// Time between lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Steps of the bar.
const STEPS: f64 = 1000.0;
/// Epochs before the time of the others is estimated. The first is often slower.
const MIN_EPOCHS: usize = 2;

/// Reports progress and prints results.
pub struct Terminal {
    quiet: bool,
    bar: ProgressBar,
    stage: RefCell<Stage>,
    /// When the first epoch of this process began, and the number of epochs since.
    epochs: Cell<Option<(Instant, usize)>>,
}

/// The current part of the work.
struct Stage {
    name: &'static str,
    began: Instant,
    /// When the last line was printed.
    printed: Instant,
    /// Share of the work.
    share: f64,
    /// The pace of shares, and of what is counted.
    shares: Pace,
    counts: Pace,
}

impl Stage {
    fn new(name: &'static str) -> Self {
        let now = Instant::now();
        Self { name, began: now, printed: now, share: 0.0, shares: Pace::default(), counts: Pace::default() }
    }
}

impl Terminal {
    pub fn new(quiet: bool) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        let bar = if shown { ProgressBar::new(STEPS as u64) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{prefix:>9} {bar:30} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { quiet, bar, stage: RefCell::new(Stage::new("")), epochs: Cell::new(None) }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Shows that a share of a stage is done, and `count` of `unit`. `what` says more about it.
    fn show(&self, name: &'static str, share: f64, count: usize, unit: &str, what: &str) {
        if self.quiet {
            return;
        }
        let mut stage = self.stage.borrow_mut();
        if stage.name != name || share < stage.share {
            *stage = Stage::new(name);
        }
        let seconds = stage.began.elapsed().as_secs_f64();
        stage.share = share;
        stage.shares.report(seconds, share);
        stage.counts.report(seconds, count as f64);
        let pace = stage.counts.speed().map(|pace| format!(", {}", speed(pace, unit)));
        let left = stage.shares.left(1.0).map(|seconds| format!(", {} left", clock(seconds)));
        let text = format!("{what}{}{}", pace.unwrap_or_default(), left.unwrap_or_default());
        if !self.bar.is_hidden() {
            self.bar.set_prefix(name);
            self.bar.set_position((share * STEPS) as u64);
            self.bar.set_message(text);
        } else if stage.printed.elapsed() >= LINE_INTERVAL {
            stage.printed = Instant::now();
            tracing::info!("{name}: {text}");
        }
    }
}

impl Reporter for Terminal {
    fn message(&self, text: &str) {
        if !self.quiet {
            // A closed pipe is not an error.
            let write = || drop(writeln!(std::io::stdout(), "{text}"));
            // A bar that shows nothing yet would be drawn.
            if self.stage.borrow().name.is_empty() { write() } else { self.bar.suspend(write) }
        }
    }

    fn features(&self, Extraction { done, all, rows, share }: &Extraction) {
        let what = format!("{} of {} files, {} rows", thousands(*done), thousands(*all), thousands(*rows));
        self.show("features", *share, *rows, "rows", &what);
    }

    fn samples(&self, done: usize, all: usize, loss: f64, accuracy: f64) {
        if self.epochs.get().is_none() {
            self.epochs.set(Some((Instant::now(), 0)));
        }
        let (count, of) = (thousands(done), thousands(all));
        let what = format!("{count} of {of} pictures, loss {loss:.3} accuracy {accuracy:.3}");
        self.show("epoch", done as f64 / all.max(1) as f64, done, "pictures", &what);
    }

    fn settings(&self, done: usize, all: usize) {
        self.show("sweep", done as f64 / all as f64, done, "settings", &format!("{done} of {all} settings"));
    }

    fn epoch(&self, record: &EpochRecord, epochs: usize) {
        let (began, before) = self.epochs.get().unwrap_or((Instant::now(), 0));
        let count = before + 1;
        self.epochs.set(Some((began, count)));
        let most = began.elapsed().as_secs_f64() / count as f64 * (epochs - record.epoch) as f64;
        let left = (count >= MIN_EPOCHS && record.epoch < epochs).then_some(most);
        if self.bar.is_hidden() {
            return self.message(&line(record, epochs, left));
        }
        if count == 1 {
            self.message("in brackets: on the pictures that are held out");
        }
        self.message(&short_line(record, epochs, left));
    }
}

/// Formats an epoch with all its figures, for a file. `left` is in seconds.
fn line(record: &EpochRecord, epochs: usize, left: Option<f64>) -> String {
    format!(
        "epoch {:>3}/{epochs}  loss {:.4} accuracy {:.3}  val_loss {:.4} val_accuracy {:.3} val_macro_f1 {:.3}  {}{}",
        record.epoch,
        record.loss,
        record.accuracy,
        record.val_loss,
        record.val_accuracy,
        record.val_macro_f1,
        speed(record.images_per_second, "pictures"),
        left.map_or(String::new(), |left| format!("  at most {} left", clock(left))),
    )
}

/// Formats an epoch in the 80 columns of a terminal, whose bar shows the speed.
fn short_line(record: &EpochRecord, epochs: usize, left: Option<f64>) -> String {
    let EpochRecord { epoch, loss, accuracy, val_loss, val_accuracy, val_macro_f1, .. } = record;
    format!(
        "epoch {epoch:>3}/{epochs}  loss {loss:.3} ({val_loss:.3})  accuracy {accuracy:.3} ({val_accuracy:.3})  \
         F1 ({val_macro_f1:.3}){}",
        left.map_or(String::new(), |left| format!("  {} left", clock(left))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_fits_a_terminal_and_a_file_has_all_of_it() {
        let record = EpochRecord {
            epoch: 2,
            loss: 1.302,
            accuracy: 0.423,
            val_loss: 0.8962,
            val_accuracy: 0.583,
            val_macro_f1: 0.589,
            images_per_second: 165.0,
            learning_rate: 0.0,
            seconds: 0.0,
        };
        let short = "epoch   2/35  loss 1.302 (0.896)  accuracy 0.423 (0.583)  F1 (0.589)";
        assert_eq!(short_line(&record, 35, None), short);
        let left = short_line(&record, 35, Some(31.0));
        assert_eq!((left.clone(), left.len() <= 80), (format!("{short}  0:31 left"), true));
        let figures = "loss 1.3020 accuracy 0.423  val_loss 0.8962 val_accuracy 0.583 val_macro_f1 0.589";
        let whole = format!("epoch   2/35  {figures}  165 pictures/s  at most 0:31 left");
        assert_eq!(line(&record, 35, Some(31.0)), whole);
    }
}
