//! The smoothing window: the number of predictions, or the time, that the mean covers, and where it lies.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::system::spans;

/// Maximum number of predictions in a window, since they are kept in memory.
pub const MAX_PREDICTIONS: usize = 1_000_000;
const MAX_TIME: Duration = Duration::from_secs(3600);

/// The option `--window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmoothingWindow {
    /// N predictions, from 1 to [`MAX_PREDICTIONS`].
    Predictions(usize),
    /// The predictions of a stretch of time, whatever the frame rate; at most [`MAX_PREDICTIONS`].
    Time(Duration),
}

/// The option `--window-align`: which predictions around a frame its window covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum WindowAlign {
    /// Half of the window before the frame and half after it.
    Centred,
    /// The window ends with the frame.
    #[default]
    Trailing,
}

impl FromStr for SmoothingWindow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is neither a number of predictions from 1 to {MAX_PREDICTIONS} nor a time up to 1h, like 1.2s or 800ms"
            )
        };
        if let Ok(count) = text.parse::<usize>() {
            return if (1..=MAX_PREDICTIONS).contains(&count) { Ok(Self::Predictions(count)) } else { Err(wrong()) };
        }
        let time = Duration::from_nanos(spans::nanoseconds(text, &spans::LONG).ok_or_else(wrong)?.round() as u64);
        if time.is_zero() || time > MAX_TIME { Err(wrong()) } else { Ok(Self::Time(time)) }
    }
}

impl fmt::Display for SmoothingWindow {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            SmoothingWindow::Predictions(count) => count.fmt(f),
            SmoothingWindow::Time(time) => write!(f, "{}s", time.as_secs_f64()),
        }
    }
}

/// A number of predictions, or a time as text.
impl Serialize for SmoothingWindow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            SmoothingWindow::Predictions(count) => count.serialize(serializer),
            SmoothingWindow::Time(_) => self.to_string().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for SmoothingWindow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        number_or_text(deserializer)
    }
}

/// Deserialises a value that is written as a number or as text.
///
/// # Errors
/// The message of `T`'s parser.
pub fn number_or_text<'de, D: Deserializer<'de>, T: FromStr<Err = String>>(deserializer: D) -> Result<T, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Value {
        Number(i64),
        Text(String),
    }
    let text = match Value::deserialize(deserializer)? {
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text,
    };
    text.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_a_number_or_a_time() {
        let time = |ms| Ok(SmoothingWindow::Time(Duration::from_millis(ms)));
        for (text, expected) in [
            ("128", Ok(SmoothingWindow::Predictions(128))),
            ("1.2s", time(1200)),
            ("800ms", time(800)),
            ("0.5m", time(30_000)),
            ("1h", time(3_600_000)),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
        for text in ["", "0", "0s", "-1", "-1s", "many", "1.5", "1.2 parsecs", "2h", "1000001", "nans", "1e300s", "s"] {
            assert!(text.parse::<SmoothingWindow>().unwrap_err().contains("1.2s"), "{text}");
        }
    }

    #[test]
    fn it_survives_json() {
        for (window, json) in [("25", "25"), ("1.2s", "\"1.2s\""), ("400ms", "\"0.4s\"")] {
            let window: SmoothingWindow = window.parse().unwrap();
            assert_eq!(serde_json::to_string(&window).unwrap(), json);
            assert_eq!(serde_json::from_str::<SmoothingWindow>(json).unwrap(), window);
        }
        assert!(serde_json::from_str::<SmoothingWindow>("-3").is_err());
    }
}
