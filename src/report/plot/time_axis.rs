//! The time axis: steps between ticks, and times as people read them.

/// Steps between ticks in seconds: parts of a second, seconds, minutes, hours.
const STEPS: [f64; 24] = [
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0,
    7200.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0,
];
/// Maximum number of steps on the axis, so that the times do not touch.
const MAX_STEPS: f64 = 14.0;

/// Returns the times of the ticks on an axis from 0 to `end`, and the form of their labels.
pub fn ticks(end: f64) -> (Vec<f64>, Form) {
    let days = |steps: f64| 86_400.0 * (end / steps / 86_400.0).ceil();
    let step = STEPS.into_iter().find(|step| end / step <= MAX_STEPS).unwrap_or_else(|| days(MAX_STEPS));
    let decimals = [1.0, 0.1].iter().filter(|&&limit| step < limit).count();
    let count = (end / step + 1e-9) as u32;
    ((0..=count).map(|i| f64::from(i) * step).collect(), Form { decimals, hours: end >= 3600.0 })
}

/// How a time is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Digits after the seconds.
    pub decimals: usize,
    /// Whether hours are written even if there are none.
    pub hours: bool,
}

impl Form {
    /// Returns the units of the form.
    pub fn units(self) -> &'static str {
        if self.hours { "h:mm:ss" } else { "m:ss" }
    }

    /// Formats a time in seconds as `m:ss`, or as `h:mm:ss` if it has hours.
    pub fn format(self, seconds: f64) -> String {
        let unit = 10_u64.pow(self.decimals as u32);
        let all = (seconds * unit as f64).round() as u64;
        let (whole, part) = (all / unit, all % unit);
        let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
        let fraction =
            if self.decimals > 0 { format!(".{part:0width$}", width = self.decimals) } else { String::new() };
        if self.hours || hours > 0 {
            format!("{hours}:{minutes:02}:{seconds:02}{fraction}")
        } else {
            format!("{minutes}:{seconds:02}{fraction}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(end: f64) -> Vec<String> {
        let (ticks, form) = ticks(end);
        ticks.into_iter().map(|tick| form.format(tick)).collect()
    }

    #[test]
    fn ticks_have_steps_that_people_count_in() {
        assert_eq!(
            labels(2.0),
            [
                "0:00.0", "0:00.2", "0:00.4", "0:00.6", "0:00.8", "0:01.0", "0:01.2", "0:01.4", "0:01.6", "0:01.8",
                "0:02.0"
            ]
        );
        assert_eq!(labels(33.84), ["0:00", "0:05", "0:10", "0:15", "0:20", "0:25", "0:30"]);
        assert_eq!(labels(200.0).last().unwrap(), "3:15");
        assert_eq!(labels(3599.0).last().unwrap(), "55:00");
        let long = labels(36_000.0);
        assert_eq!((long[1].as_str(), long.last().unwrap().as_str()), ("1:00:00", "10:00:00"));
        assert_eq!(labels(0.04), ["0:00.00", "0:00.01", "0:00.02", "0:00.03", "0:00.04"]);
        assert_eq!(labels(1e7).last().unwrap(), "2592:00:00");
    }

    #[test]
    fn every_length_has_a_readable_number_of_ticks() {
        for exponent in -30..100 {
            let end = 1.3_f64.powi(exponent);
            assert!((1..=15).contains(&ticks(end).0.len()), "{end}");
        }
    }

    #[test]
    fn a_time_is_rounded_to_its_last_digit() {
        let form = Form { decimals: 1, hours: false };
        assert_eq!((form.format(59.96), form.format(3723.04)), ("1:00.0".into(), "1:02:03.0".into()));
    }
}
