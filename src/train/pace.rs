//! Speed and remaining time of a long job, and how they are written.

use std::collections::VecDeque;
use std::time::Duration;

use crate::system::words;

/// Length in seconds that the speed is averaged over.
const WINDOW: f64 = 30.0;
/// What an estimate needs: so many reports, over so many seconds. The first batches are slower than the others.
const MIN_REPORTS: usize = 5;
const MIN_SECONDS: f64 = 1.0;

/// Measures the speed of one job.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// Seconds, and work done by then.
    reports: VecDeque<(f64, f64)>,
    count: usize,
}

impl Pace {
    /// Records that `done` of the work was done after `seconds`.
    pub fn report(&mut self, seconds: f64, done: f64) {
        self.count += 1;
        // Of a moment's reports the first is enough, so that their number is bounded.
        if self.count > MIN_REPORTS && self.reports.back().is_some_and(|last| seconds - last.0 < 0.1) {
            return;
        }
        self.reports.push_back((seconds, done));
        while self.reports.len() > 2 && self.reports[1].0 <= seconds - WINDOW {
            self.reports.pop_front();
        }
    }

    /// Returns the work done a second; nothing before there are enough reports.
    pub fn speed(&self) -> Option<f64> {
        let ((from, before), (to, done)) = (self.reports.front()?, self.reports.back()?);
        (self.count >= MIN_REPORTS && to - from >= MIN_SECONDS && done > before).then(|| (done - before) / (to - from))
    }

    /// Returns the seconds until `all` of the work is done.
    pub fn left(&self, all: f64) -> Option<f64> {
        let (_, done) = self.reports.back()?;
        Some((all - done).max(0.0) / self.speed()?)
    }
}

/// Formats a speed with three significant digits.
pub fn speed(a_second: f64, unit: &str) -> String {
    let digits = a_second.max(1e-3).log10().floor() as i32;
    let number = if digits >= 3 {
        let unit = 10_f64.powi(digits - 2);
        thousands(((a_second / unit).round() * unit) as usize)
    } else {
        format!("{a_second:.*}", (2 - digits) as usize)
    };
    format!("{number} {unit}/s")
}

/// Formats a count with a comma before each three digits.
pub fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a time, rounded to seconds, as `m:ss` or `h:mm:ss`.
pub fn clock(seconds: f64) -> String {
    words::clock(Duration::from_secs(seconds.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_estimate_before_a_few_reports() {
        let mut pace = Pace::default();
        // The first batch took long.
        for (seconds, done) in [(0.0, 0.0), (8.0, 32.0), (8.2, 64.0), (8.4, 96.0)] {
            pace.report(seconds, done);
            assert_eq!((pace.speed(), pace.left(1000.0)), (None, None));
        }
        pace.report(10.0, 352.0);
        assert_eq!((pace.speed(), pace.left(1056.0)), (Some(35.2), Some(20.0)));
    }

    #[test]
    fn the_speed_is_that_of_the_last_half_minute() {
        let mut pace = Pace::default();
        for second in 0..=100 {
            pace.report(f64::from(second), f64::from(if second < 60 { second } else { 60 + 5 * (second - 60) }));
        }
        assert_eq!((pace.speed(), pace.left(460.0)), (Some(5.0), Some(40.0)));
        let mut pace = Pace::default();
        (0..1_000_000).for_each(|i| pace.report(f64::from(i) * 1e-5, f64::from(i)));
        assert!(pace.reports.len() < 110, "{}", pace.reports.len());
        assert!((pace.speed().unwrap() - 1e5).abs() < 1.0);
    }

    #[test]
    fn numbers_are_written_with_three_digits() {
        let cases = [
            (6754.5804, "6,750"),
            (67_545.0, "67,500"),
            (675.46, "675"),
            (67.55, "67.5"),
            (6.754, "6.75"),
            (0.06754, "0.0675"),
        ];
        for (number, expected) in cases {
            assert_eq!(speed(number, "pictures"), format!("{expected} pictures/s"));
        }
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.4, 61.0, 3723.0].map(clock), ["0:00", "1:01", "1:02:03"]);
    }
}
